// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"crypto/rand"
	"maps"
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
	protocol        = "openid-connect"
	fieldMethod     = "clientAuthenticatorType"
	fieldAttributes = "attributes"
	fieldSecret     = "secret"
)

// managed are the fields that make a client one that may ask about tokens and
// can get none: each said outright, since the defaults of a server's version
// are not ours to rely on.
func (s *Server) managed(d provider.Desired) []field {
	name := d.DisplayName
	if name == "" {
		name = d.ClientID
	}
	method := authenticator(d.Credentials.Current.Method)
	wanted := s.attributes(d)
	return []field{
		{"clientId", d.ClientID, func(c *client) bool { return c.ClientID == d.ClientID }},
		{"name", name, func(c *client) bool { return c.Name == name }},
		{provider.DriftEnabled, !d.Disabled, func(c *client) bool { return c.Enabled != d.Disabled }},
		{"protocol", protocol, func(c *client) bool { return c.Protocol == protocol || c.Protocol == "" }},
		{"publicClient", false, func(c *client) bool { return !c.PublicClient }},
		{"bearerOnly", false, func(c *client) bool { return !c.BearerOnly }},
		{"consentRequired", false, func(c *client) bool { return !c.ConsentRequired }},
		{fieldMethod, method, func(c *client) bool { return c.ClientAuthenticatorType == method }},
		{"standardFlowEnabled", false, func(c *client) bool { return !c.StandardFlowEnabled }},
		{"implicitFlowEnabled", false, func(c *client) bool { return !c.ImplicitFlowEnabled }},
		{"directAccessGrantsEnabled", false, func(c *client) bool { return !c.DirectAccessGrantsEnabled }},
		{"serviceAccountsEnabled", false, func(c *client) bool { return !c.ServiceAccountsEnabled }},
		{"fullScopeAllowed", false, func(c *client) bool { return !c.FullScopeAllowed }},
		{"redirectUris", []string{}, func(c *client) bool { return len(c.RedirectURIs) == 0 }},
		{"webOrigins", []string{}, func(c *client) bool { return len(c.WebOrigins) == 0 }},
		{fieldAttributes, wanted, func(c *client) bool { return c.owner() == d.Owner && offAsIn(wanted, c) }},
	}
}

// grantAttributes are flows that are switched by attributes.
func grantAttributes() []string {
	return []string{"oauth2.device.authorization.grant.enabled", "oidc.ciba.grant.enabled", "standard.token.exchange.enabled"}
}

// attributes are those that a client should have. An empty one is one that it should not have.
func (s *Server) attributes(d provider.Desired) map[string]string {
	a := s.credentialAttributes(d.Credentials)
	a[ownerMark] = d.Owner
	for _, grant := range grantAttributes() {
		a[grant] = "false"
	}
	return a
}

// offAsIn reports whether the attributes that should be off, or not there, are.
func offAsIn(wanted map[string]string, c *client) bool {
	for name, value := range wanted {
		has := c.attribute(name)
		if value == "" && has != "" && has != "false" || value == "false" && has == "true" {
			return false
		}
	}
	return true
}

// creation is the whole representation of a new client. An empty id lets the
// server choose. Scope lists are empty, or the server adds the realm's.
func (s *Server) creation(d provider.Desired, id string) map[string]any {
	r := map[string]any{
		"defaultClientScopes":  []string{},
		"optionalClientScopes": []string{},
	}
	if id != "" {
		r["id"] = id
	}
	for _, f := range s.managed(d) {
		r[f.name] = f.want
	}
	attributes := s.attributes(d)
	maps.DeleteFunc(attributes, func(_, value string) bool { return value == "" })
	r[fieldAttributes] = attributes
	if d.Credentials.Current.Method == provider.ClientSecret {
		r[fieldSecret] = d.Credentials.Current.Secret.Reveal()
	}
	return r
}

// change is what a PUT sends to a client: the fields that drifted. The server
// keeps what is left out. The client id is always there, and the attributes:
// without them a PUT to a client whose secret has expired breaks the server.
func (s *Server) change(d provider.Desired, drift []string, found *client) map[string]any {
	r := map[string]any{}
	attributes := s.attributesOf(found, d)
	for _, f := range s.managedOf(found, d) {
		if f.name == "clientId" || slices.Contains(drift, f.name) {
			r[f.name] = f.want
		}
	}
	switched := slices.Contains(drift, fieldMethod)
	switch bySecret := d.Credentials.Current.Method == provider.ClientSecret; {
	case bySecret && (switched || slices.Contains(drift, provider.DriftSecret)):
		r[fieldSecret] = d.Credentials.Current.Secret.Reveal()
		maps.Copy(attributes, s.rotation(d.Credentials))
	case switched:
		// The secret that the client had is nobody's any more, also if the method is put back by hand.
		r[fieldSecret] = rand.Text()
		maps.Copy(attributes, s.rotation(provider.Credentials{}))
	case s.ending(found):
		attributes[secretEnds] = ""
	}
	r[fieldAttributes] = attributes
	return r
}
