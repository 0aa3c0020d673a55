// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "fmt"

// maximalPolicy states every field.
const maximalPolicy = `
apiVersion: introspection.dev/v1alpha1
kind: TokenPolicy
metadata: {name: orders, namespace: shop}
spec:
  accept:
  - clientRef: {name: orders}
    validation: LocalThenIntrospect
    opaque: Accepted
    clients: {allow: [web, mobile]}
    subjects: {allow: [a-1, "any text: ü"]}
    tenant: {claim: tenant, values: [acme, "any text: ü"]}
  - clientRef: {name: partners}
    validation: Local
  require:
    audiences: {anyOf: [orders, "https://orders.example.com"]}
    scopes: {allOf: [orders.read, "https://example.com/scope"], anyOf: [a, b]}
    tokenTypes: [AccessToken, IDToken, RefreshToken]
    acr: {values: [gold, "urn:example:silver"]}
    maxAuthAge: 1h
    maxTokenAge: 12h
    clockSkew: 5m
    binding: {required: Any}
    rules: [{name: Read only, expression: "request.method in ['GET', 'HEAD']", message: "Reading only, please."}]
  freshness: {maxAge: 0s}
  outage: {mode: ServeStale, staleFor: 2m}
  resource: {identifier: "https://orders.example.com/v1", metadataURL: "https://orders.example.com/.well-known/oauth-protected-resource"}
  surfaces:
    introspection:
      serviceAccounts: [{namespace: shop, name: orders}]
      exp: Clamp
      boundTokens: CallerVerifies
    gateways: {names: [traefik], hosts: [orders.example.com], preflight: Allow}
    tokenReview:
      username: claims.sub
      groups: "claims.groups.map(g, 'sso-' + g)"
      extra: [{key: example.com/tenant, expression: claims.tenant}]
      audiences: [kubernetes]
  respond:
    headers: [{name: X-Auth-Subject, claim: sub}, {name: X-Auth-Issuer, claim: iss}, {name: X-Auth-Name, expression: "claims.given_name + ' ' + claims.family_name"}, {name: X-Auth-Tenant, claim: "https://example.com/tenant"}]
    claims: [sub, scope, tenant]
`

const badScope = "a scope must be printable ASCII without spaces, quotes and backslashes: list each scope by itself"

// Scopes by RFC 6749 section 3.3, and what is none.
var (
	badScopes  = []any{"orders.read orders.write", `a"b`, `a\b`, "ü", "a\n"}
	goodScopes = []any{"orders.read", "https://example.com/scope", "!#[]~"}
)

func policyRefusals() map[string]row {
	const (
		accept     = "spec.accept[0]"
		allow      = accept + ".clients.allow"
		tenants    = accept + ".tenant.values"
		audiences  = "spec.require.audiences.anyOf"
		allOf      = "spec.require.scopes.allOf"
		anyOf      = "spec.require.scopes.anyOf"
		types      = "spec.require.tokenTypes"
		headers    = "spec.respond.headers"
		claims     = "spec.respond.claims"
		subjects   = accept + ".subjects.allow"
		acr        = "spec.require.acr.values"
		conditions = "spec.require.rules"
	)
	condition := edits{conditions: []any{conditionOf("a")}}
	computed := edits{headers: []any{map[string]any{"name": "X-A", "expression": "claims.sub"}}}
	stale := edits{"spec.outage.mode": "ServeStale"}
	tenant := edits{accept + ".tenant": map[string]any{"claim": "tenant", "values": []any{"acme"}}}
	subject := edits{headers: []any{header("X-Auth-Subject")}}
	return tables(
		bounds(map[string]bound{
			"spec.accept":                 {reason: "bounded work", least: 1, most: 8, of: accepts},
			subjects:                      {reason: "none would refuse all", least: 1, most: 64, of: list},
			subjects + "[0]":              {reason: "a subject", least: 1, most: 255, of: text},
			acr:                           {reason: "none would refuse all", least: 1, most: 16, of: list},
			acr + "[0]":                   {reason: "it travels in a header", least: 1, most: 255, of: text},
			conditions:                    {reason: "bounded work", least: 1, most: 16, of: conditionList},
			conditions + "[0].name":       {reason: "it travels in a header", with: condition, least: 1, most: 63, of: text},
			conditions + "[0].expression": {reason: "bounded work", with: condition, least: 1, most: 1024, of: text},
			conditions + "[0].message":    {reason: "it travels in a header", with: condition, least: 1, most: 255, of: text},
			headers + "[0].expression":    {reason: "bounded work", with: computed, least: 1, most: 1024, of: text},
			"spec.outage.staleFor":        {reason: "a duration", with: stale, most: 16, of: seconds},
			accept + ".clientRef.name":    {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			allow:                         {reason: "none would refuse all", least: 1, most: 64, of: list},
			allow + "[0]":                 {reason: "a client id", least: 1, most: 255, of: text},
			tenants:                       {reason: "none would refuse all", with: tenant, least: 1, most: 64, of: list},
			tenants + "[0]":               {reason: "bounded", with: tenant, least: 1, most: 255, of: text},
			accept + ".tenant.claim":      {reason: "bounded", with: tenant, least: 1, most: 128, of: text},
			audiences:                     {reason: "none would refuse all", least: 1, most: 64, of: list},
			audiences + "[0]":             {reason: "bounded", least: 1, most: 255, of: text},
			allOf:                         {reason: "none would require nothing", least: 1, most: 64, of: list},
			allOf + "[0]":                 {reason: "bounded", least: 1, most: 255, of: text},
			anyOf:                         {reason: "none would refuse all", least: 1, most: 64, of: list},
			anyOf + "[0]":                 {reason: "bounded", least: 1, most: 255, of: text},
			types:                         {reason: "none would refuse all", least: 1, most: 3, of: typeList},
			headers:                       {reason: "gateways bound the answer", most: 16, of: headerList},
			headers + "[0].name":          {reason: "bounded", with: subject, least: 1, most: 64, of: text},
			headers + "[0].claim":         {reason: "bounded", with: subject, least: 1, most: 128, of: text},
			claims:                        {reason: "none: the standard ones or no member at all? say which", least: 1, most: 64, of: list},
			claims + "[0]":                {reason: "bounded", least: 1, most: 128, of: text},
			"spec.require.maxAuthAge":     {reason: "a duration", most: 16, of: seconds},
			"spec.require.maxTokenAge":    {reason: "a duration", most: 16, of: seconds},
			"spec.require.clockSkew":      {reason: "a duration", most: 16, of: seconds},
			"spec.freshness.maxAge":       {reason: "a duration", most: 16, of: seconds},
		}),
		choices(map[string]choice{
			accept + ".validation":          {reason: "three ways", values: []string{"Introspect", "Local", "LocalThenIntrospect"}},
			"spec.outage.mode":              {reason: "two ways", values: []string{"Deny", "ServeStale"}},
			"spec.require.binding.required": {reason: "four ways", with: edits{"spec.resource.identifier": "https://orders.example.com"}, values: []string{"None", "DPoP", "MTLS", "Any"}},
			accept + ".opaque":              {reason: "two ways", values: []string{"Refused", "Accepted"}},
			types + "[0]":                   {reason: "three types", values: []string{"AccessToken", "IDToken", "RefreshToken"}},
		}),
		sets(map[string]row{
			allow:      {reason: "twice is a slip", refused: edits{allow: "web"}, accepted: edits{allow: "Web"}},
			subjects:   {reason: "twice is a slip", refused: edits{subjects: "a"}, accepted: edits{subjects: "A"}},
			acr:        {reason: "twice is a slip", refused: edits{acr: "a"}, accepted: edits{acr: "A"}},
			conditions: {reason: "a refusal names one", refused: edits{conditions: conditionOf("a")}, accepted: edits{conditions: conditionOf("b")}},
			tenants:    {reason: "twice is a slip", with: tenant, refused: edits{tenants: "acme"}, accepted: edits{tenants: "Acme"}},
			audiences:  {reason: "twice is a slip", refused: edits{audiences: "orders"}, accepted: edits{audiences: "Orders"}},
			allOf:      {reason: "twice is a slip", refused: edits{allOf: "a"}, accepted: edits{allOf: "A"}},
			anyOf:      {reason: "twice is a slip", refused: edits{anyOf: "a"}, accepted: edits{anyOf: "A"}},
			types:      {reason: "twice is a slip", refused: edits{types: "IDToken"}, accepted: edits{types: "AccessToken"}},
			claims:     {reason: "twice is a slip", refused: edits{claims: "sub"}, accepted: edits{claims: "Sub"}},
			headers:    {reason: "one would hide the other", refused: edits{headers: header("X-A")}, accepted: edits{headers: header("X-B")}},
		}),
		needs(map[string]row{
			"spec":                        {reason: "a policy says something"},
			"spec.accept":                 {reason: "nothing stands in for it"},
			accept + ".clientRef":         {reason: "nothing stands in for it", with: edits{accept + ".validation": "Introspect"}},
			accept + ".clientRef.name":    {reason: "a reference"},
			allow:                         {reason: "{} would be read as all or none", with: edits{allow: []any{"web"}}},
			accept + ".tenant.claim":      {reason: "nothing stands in for it", with: tenant},
			tenants:                       {reason: "nothing stands in for it", with: tenant},
			audiences:                     {reason: "{} would be read as all or none", with: edits{audiences: []any{"orders"}}},
			headers + "[0].name":          {reason: "it is the key", with: subject},
			subjects:                      {reason: "{} would be read as all or none", with: edits{subjects: []any{"a"}}},
			acr:                           {reason: "{} would be read as all or none", with: edits{acr: []any{"a"}}},
			conditions + "[0].name":       {reason: "a refusal names it", with: condition},
			conditions + "[0].expression": {reason: "nothing stands in for it", with: condition},
		}),
		policyTogether(),
		surfaceRefusals(),
		rules(policyRules()),
		map[string]row{
			"spec null": {reason: "as kubectl apply sends it", refused: edits{"spec": nil}, field: "spec", message: "Required value"},
		},
	)
}

func policyRules() map[string]rule {
	const (
		claim   = "a claim's name must be printable ASCII without spaces"
		headers = "spec.respond.headers"
	)
	tenant := edits{"spec.accept[0].tenant.values": []any{"acme"}}
	condition := edits{"spec.require.rules": []any{conditionOf("a")}}
	subject := edits{headers: []any{header("X-Auth-Subject")}}
	badClaims, goodClaims := []any{"a b", "ü", "\t"}, []any{"https://example.com/tenant", "a.b"}
	return map[string]rule{
		"spec.accept[0].clientRef.name":     {reason: "it could never be found", message: "name must be the name of an object: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.accept[0].tenant.claim":       {reason: "it could never match", with: tenant, message: claim, refused: badClaims, accepted: goodClaims},
		"spec.respond.claims[0]":            {reason: "it could never match", message: claim, refused: badClaims, accepted: goodClaims},
		"spec.respond.headers[0].claim":     {reason: "it could never match", with: subject, message: claim, refused: badClaims, accepted: goodClaims},
		"spec.require.scopes.allOf[0]":      {reason: "it could never match", message: badScope, refused: badScopes, accepted: goodScopes},
		"spec.require.scopes.anyOf[0]":      {reason: "it could never match", message: badScope, refused: badScopes, accepted: goodScopes},
		"spec.require.scopes":               {reason: "it reads as a requirement and is none", message: "name at least one scope in allOf or anyOf", refused: []any{map[string]any{}}, accepted: []any{map[string]any{"anyOf": []any{"a"}}, map[string]any{"allOf": []any{"a"}}}},
		"spec.require.maxAuthAge":           {reason: "bounded", message: "maxAuthAge must be a duration such as 1h, from 1s to 8760h", refused: []any{"0s", "999ms", "8761h", "-1s", "30d", "3600", ""}, accepted: []any{"1s", "8760h", "1h30m"}},
		"spec.require.maxTokenAge":          {reason: "bounded", message: "maxTokenAge must be a duration such as 12h, from 1s to 8760h", refused: []any{"0s", "8760h1ms", "1d"}, accepted: []any{"1s", "8760h"}},
		"spec.require.clockSkew":            {reason: "much of it is no check", message: "clockSkew must be a duration such as 30s, from 0s to 5m", refused: []any{"301s", "-1s", "30"}, accepted: []any{"300s", "0s"}},
		"spec.require.acr.values[0]":        {reason: "it stands in a challenge's list", message: "an acr value must be printable ASCII without spaces, quotes and backslashes", refused: badScopes, accepted: goodScopes},
		"spec.require.rules[0].name":        {reason: "it stands in a challenge", with: condition, message: "a rule's name must be letters, digits, spaces and - _ .", refused: []any{" a", "a.", "a\"b", "ü", "a\n"}, accepted: []any{"Read only", "a-1_b.c"}},
		"spec.require.rules[0].message":     {reason: "it stands in a challenge", with: condition, message: "message must be printable ASCII without quotes and backslashes", refused: []any{`a "b"`, `a\b`, "ü", "a\nb"}, accepted: []any{"Reading only, please."}},
		"spec.outage.staleFor":              {reason: "it adds to the bound on revocation", with: edits{"spec.outage.mode": "ServeStale"}, message: "staleFor must be a duration such as 2m, from 1s to 10m", refused: []any{"601s", "999ms", "0s", "-1s", "1d"}, accepted: []any{"600s", "1s"}},
		"spec.freshness.maxAge":             {reason: "it is the bound on revocation", message: "maxAge must be a duration such as 30s, from 0s to 1h", refused: []any{"3601s", "-1s", "1d", "30"}, accepted: []any{"3600s", "0s", "1h"}},
		"spec.respond.claims":               {reason: "a library would misread them", message: "leave out active, which is always there, and cnf, which surfaces.introspection.boundTokens decides about", refused: []any{[]any{"sub", "active"}, []any{"cnf"}}, accepted: []any{[]any{"sub", "Active"}, []any{"token_type"}}},
		"spec.respond.headers[0].name":      {reason: "aliases of it pass filters", with: subject, message: "a header's name must start with a letter and hold only letters, digits and hyphens", refused: []any{"X_Auth", "X Auth", "X.Auth", "1X", "X-Auth:", "X-ü"}, accepted: []any{"X-Auth", "x1"}},
		"spec.respond.headers[0].name mean": meaningful(subject),
		headers: {
			reason: "one would hide the other", message: "two headers have the same name, compared without case: give each its own",
			refused:  []any{[]any{header("X-Auth-Subject"), header("x-auth-subject")}},
			accepted: []any{[]any{header("X-Auth-Subject"), header("X-Auth-Tenant")}},
		},
	}
}

// meaningful are headers that gateways, proxies or clients act upon.
func meaningful(with edits) rule {
	r := rule{
		reason: "to set it is to change the request", with: with,
		message:  "this header has a meaning of its own: name one of yours, such as X-Auth-Subject",
		accepted: []any{"X-Auth-Subject", "X-Forwarded", "X-Authorization", "Hostname"},
	}
	for _, name := range []string{
		"Host", "Authorization", "DPoP", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection", "WWW-Authenticate",
		"Cookie", "Set-Cookie", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
		"Content-Length", "Content-Type", "Content-Encoding", "Date", "Location", "Retry-After", "Cache-Control",
		"Introspection-Decision", "Forwarded", "X-Real-IP", "X-Original-URL", "X-Original-Method", "X-Forwarded-For", "x-forwarded-user",
		"X-Sendfile", "Content-Range", "Vary", "Via", "Server", "X-Accel-Redirect",
	} {
		r.refused = append(r.refused, name)
	}
	return r
}

func conditionOf(name string) any {
	return map[string]any{"name": name, "expression": "claims.sub != ''"}
}

func conditionList(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = conditionOf(fmt.Sprintf("rule %d", i))
	}
	return items
}

func header(name string) any { return map[string]any{"name": name, "claim": "sub"} }

func headerList(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = header(fmt.Sprintf("X-Auth-%d", i))
	}
	return items
}

func accepts(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = map[string]any{"clientRef": map[string]any{"name": fmt.Sprintf("orders%d", i)}}
	}
	return items
}

func typeList(size int) any {
	return []any{"AccessToken", "IDToken", "RefreshToken", "IDToken"}[:size]
}
