// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "fmt"

// surfaceRefusals are what a policy may not say about how the API is known, and about who
// asks.
func surfaceRefusals() map[string]row {
	const (
		accounts  = "spec.surfaces.introspection.serviceAccounts"
		names     = "spec.surfaces.gateways.names"
		hosts     = "spec.surfaces.gateways.hosts"
		review    = "spec.surfaces.tokenReview"
		extra     = review + ".extra"
		audiences = review + ".audiences"
	)
	account := edits{accounts: []any{map[string]any{"namespace": "shop", "name": "orders"}}}
	reviewed := edits{review: map[string]any{"username": "claims.sub", "audiences": []any{"kubernetes"}}}
	mapped := edits{review: map[string]any{"username": "claims.sub", "audiences": []any{"kubernetes"}, "extra": []any{extraOf("example.com/tenant")}}}
	return tables(
		bounds(map[string]bound{
			"spec.resource.identifier":  {reason: "bounded", least: 1, most: 512, of: address},
			"spec.resource.metadataURL": {reason: "it travels in a header", least: 1, most: 512, of: address},
			accounts:                    {reason: "none: leave it out", least: 1, most: 32, of: accountList},
			accounts + "[0].namespace":  {reason: "a name of Kubernetes", with: account, least: 1, most: 63, of: text},
			accounts + "[0].name":       {reason: "a name of Kubernetes", with: account, least: 1, most: 253, of: text},
			names:                       {reason: "none would refuse all", least: 1, most: 16, of: list},
			names + "[0]":               {reason: "bounded", least: 1, most: 253, of: text},
			hosts:                       {reason: "none would refuse all", least: 1, most: 32, of: list},
			hosts + "[0]":               {reason: "a name of the DNS", least: 1, most: 253, of: text},
			review + ".username":        {reason: "bounded work", with: reviewed, least: 1, most: 1024, of: text},
			review + ".groups":          {reason: "bounded work", with: reviewed, least: 1, most: 1024, of: text},
			extra:                       {reason: "bounded work", with: reviewed, least: 1, most: 8, of: extraList},
			extra + "[0].key":           {reason: "bounded", with: mapped, least: 1, most: 253, of: extraKey},
			extra + "[0].expression":    {reason: "bounded work", with: mapped, least: 1, most: 1024, of: text},
			audiences:                   {reason: "none means good for the API server", with: reviewed, least: 1, most: 8, of: list},
			audiences + "[0]":           {reason: "bounded", with: reviewed, least: 1, most: 255, of: text},
		}),
		choices(map[string]choice{
			"spec.surfaces.introspection.exp":         {reason: "two ways", values: []string{"Token", "Clamp"}},
			"spec.surfaces.introspection.boundTokens": {reason: "two ways", values: []string{"Refuse", "CallerVerifies"}},
			"spec.surfaces.gateways.preflight":        {reason: "two ways", values: []string{"Deny", "Allow"}},
		}),
		sets(map[string]row{
			names:     {reason: "twice is a slip", refused: edits{names: "nginx"}, accepted: edits{names: "traefik"}},
			hosts:     {reason: "twice is a slip", refused: edits{hosts: "a.example"}, accepted: edits{hosts: "b.example"}},
			audiences: {reason: "twice is a slip", with: reviewed, refused: edits{audiences: "a"}, accepted: edits{audiences: "b"}},
			extra:     {reason: "one would hide the other", with: reviewed, refused: edits{extra: extraOf("a.b/c")}, accepted: edits{extra: extraOf("a.b/d")}},
		}),
		needs(map[string]row{
			accounts + "[0].namespace": {reason: "whose?", with: account},
			accounts + "[0].name":      {reason: "which?", with: account},
			review + ".username":       {reason: "nothing stands in for it", with: reviewed},
			audiences:                  {reason: "none means good for the API server", with: reviewed},
			extra + "[0].key":          {reason: "it is the key", with: mapped},
			extra + "[0].expression":   {reason: "nothing stands in for it", with: mapped},
		}),
		rules(map[string]rule{
			"spec.resource.identifier": {
				reason: "a proof names it", message: "identifier must be a URL without user, query or fragment",
				refused:  []any{"orders.example.com", "ftp://orders.example.com", "https://orders.example.com?a", "https://orders.example.com#a", "https://u@orders.example.com", "https://"},
				accepted: []any{"https://orders.example.com", "http://orders.example.com:8080/v1"},
			},
			"spec.resource.metadataURL": {
				reason: "it stands in a challenge", message: "metadataURL must be an https URL",
				refused:  []any{"http://orders.example.com", "orders.example.com", `https://orders.example.com/"`, `https://orders.example.com/\`, "https://orders.example.com/ a"},
				accepted: []any{"https://orders.example.com/.well-known/oauth-protected-resource"},
			},
			accounts + "[0].namespace": {reason: "it could never be found", with: account, message: "namespace must be the name of a namespace: lower-case letters, digits and hyphens", refused: []any{"Shop", "a.b", "-a"}, accepted: []any{"shop", "a-1"}},
			accounts + "[0].name":      {reason: "it could never be found", with: account, message: "name must be the name of a ServiceAccount: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
			hosts + "[0]":              {reason: "it could never match", message: "a host must be a DNS name or an IPv4 address, without a port", refused: []any{"a.example:443", "[::1]", "https://a.example", "*.example", "a b", ".a", "ü.example"}, accepted: []any{"orders.example.com", "10.0.0.1", "A-1.example"}},
			extra + "[0].key":          {reason: "the API server would refuse it", with: mapped, message: "key must be a domain and a path in lower case, for example example.com/tenant", refused: []any{"tenant", "Example.com/tenant", "/tenant", "example.com/", "-a/b", "example.com/Tenant"}, accepted: []any{"example.com/tenant", "a/b/c_d"}},
		}),
		map[string]row{
			"spec.resource empty": {
				reason: "it says nothing", refused: edits{"spec.resource": map[string]any{}}, field: "spec.resource",
				message: "should have at least 1 properties", accepted: edits{"spec.resource": map[string]any{"identifier": "https://orders.example.com"}},
			},
		},
	)
}

func accountList(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = map[string]any{"namespace": "shop", "name": fmt.Sprintf("account%d", i)}
	}
	return items
}

func extraOf(key string) any { return map[string]any{"key": key, "expression": "claims.tenant"} }

func extraList(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = extraOf(fmt.Sprintf("example.com/key%d", i))
	}
	return items
}

// extraKey of a size; the shortest has three characters.
func extraKey(size int) any {
	const domain = "a/"
	if size == 0 {
		return ""
	}
	return domain + text(max(1, size-len(domain))).(string)
}
