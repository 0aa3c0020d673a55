// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"slices"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// field is one member of a client that we manage: what it should be, and
// whether it is.
type field struct {
	name string
	want any
	is   func(*client) bool
}

const (
	protocol      = "openid-connect"
	authenticator = "client-secret"
)

// managed are the fields that make a client one that may ask about tokens and
// can get none: each said outright, since the defaults of a server's version
// are not ours to rely on.
func managed(d provider.Desired) []field {
	name := d.DisplayName
	if name == "" {
		name = d.ClientID
	}
	fields := []field{
		{"clientId", d.ClientID, func(c *client) bool { return c.ClientID == d.ClientID }},
		{"name", name, func(c *client) bool { return c.Name == name }},
		{"enabled", true, func(c *client) bool { return c.Enabled }},
		{"protocol", protocol, func(c *client) bool { return c.Protocol == protocol || c.Protocol == "" }},
		{"publicClient", false, func(c *client) bool { return !c.PublicClient }},
		{"bearerOnly", false, func(c *client) bool { return !c.BearerOnly }},
		{"consentRequired", false, func(c *client) bool { return !c.ConsentRequired }},
		{"clientAuthenticatorType", authenticator, func(c *client) bool { return c.ClientAuthenticatorType == authenticator }},
		{"standardFlowEnabled", false, func(c *client) bool { return !c.StandardFlowEnabled }},
		{"implicitFlowEnabled", false, func(c *client) bool { return !c.ImplicitFlowEnabled }},
		{"directAccessGrantsEnabled", false, func(c *client) bool { return !c.DirectAccessGrantsEnabled }},
		{"serviceAccountsEnabled", false, func(c *client) bool { return !c.ServiceAccountsEnabled }},
		{"fullScopeAllowed", false, func(c *client) bool { return !c.FullScopeAllowed }},
		{"redirectUris", []string{}, func(c *client) bool { return len(c.RedirectURIs) == 0 }},
		{"webOrigins", []string{}, func(c *client) bool { return len(c.WebOrigins) == 0 }},
	}
	return append(fields, field{"attributes", attributes(d), func(c *client) bool {
		return c.owner() == d.Owner && !slices.ContainsFunc(grantAttributes(), func(grant string) bool { return c.Attributes[grant] == "true" })
	}})
}

func attributes(d provider.Desired) map[string]string {
	a := map[string]string{ownerMark: d.Owner}
	for _, grant := range grantAttributes() {
		a[grant] = "false"
	}
	return a
}

// creation is the whole representation of a new client. An empty id lets the
// server choose. Scope lists are empty, or the server adds the realm's.
func creation(d provider.Desired, id string) map[string]any {
	r := map[string]any{
		"secret":               d.Secret.Reveal(),
		"defaultClientScopes":  []string{},
		"optionalClientScopes": []string{},
	}
	if id != "" {
		r["id"] = id
	}
	for _, f := range managed(d) {
		r[f.name] = f.want
	}
	return r
}

// change is what a PUT sends: the fields that drifted. The server keeps what is
// left out. The client id is always there, and the attributes: without them a
// PUT to a client whose secret has expired breaks the server.
func change(d provider.Desired, drift []string) map[string]any {
	r := map[string]any{}
	for _, f := range managed(d) {
		if f.name == "clientId" || f.name == "attributes" || slices.Contains(drift, f.name) {
			r[f.name] = f.want
		}
	}
	if slices.Contains(drift, provider.DriftSecret) {
		r["secret"] = d.Secret.Reveal()
	}
	return r
}
