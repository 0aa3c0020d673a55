// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

type realm struct {
	name      string
	clients   map[string]*client // by id
	scopes    []*scope           // in the order of creation
	index     index
	users     map[string]*user
	sessions  map[string]bool
	notBefore time.Time

	rotation   *Rotation
	providers  []identityProvider
	assertions map[string]bool // that were used
}

// client is one, as its representation; attached are ids of scopes.
type client struct {
	rep                map[string]any
	defaults, optional []string
	roles              []string // of realm-management, of its service account
	defines            []string // roles of its own
	account            string   // the service account's id
}

type scope struct {
	rep     map[string]any
	mappers []map[string]any
	builtIn bool
}

type user struct {
	User

	id      string
	enabled bool
}

func (c *client) id() string       { return c.text("id") }
func (c *client) clientID() string { return c.text("clientId") }

func (c *client) text(member string) string {
	v, _ := c.rep[member].(string)
	return v
}

func (c *client) on(member string) bool {
	v, _ := c.rep[member].(bool)
	return v
}

func (sc *scope) id() string   { v, _ := sc.rep["id"].(string); return v }
func (sc *scope) name() string { v, _ := sc.rep["name"].(string); return v }

func (sc *scope) attribute(name string) string {
	attributes, _ := sc.rep["attributes"].(map[string]any)
	v, _ := attributes[name].(string)
	return v
}

// inTokenScope reports whether the scope's name is in the token's `scope`.
func (sc *scope) inTokenScope() bool { return sc.attribute("include.in.token.scope") != "false" }

// ids are the ids of scopes of these names, without those that don't exist.
func (r *realm) ids(names []string) []string {
	ids := []string{}
	for _, name := range names {
		if sc := r.scopeByName(name); sc != nil {
			ids = append(ids, sc.id())
		}
	}
	return ids
}

func (r *realm) names(ids []string) []string {
	names := []string{}
	for _, id := range ids {
		if sc := r.scopeByID(id); sc != nil {
			names = append(names, sc.name())
		}
	}
	return names
}

func builtInDefaults() []string {
	return []string{"web-origins", "acr", "roles", "profile", "basic", "email"}
}

func builtInOptional() []string {
	return []string{"address", "phone", "offline_access", "organization", "microprofile-jwt"}
}

func newRealm(name string) *realm {
	r := &realm{name: name, clients: map[string]*client{}, users: map[string]*user{}, sessions: map[string]bool{}, assertions: map[string]bool{}}
	for _, builtIn := range append(builtInDefaults(), builtInOptional()...) {
		attributes := map[string]any{"include.in.token.scope": "true"}
		if slices.Contains([]string{"web-origins", "acr", "roles", "basic"}, builtIn) {
			attributes["include.in.token.scope"] = "false"
		}
		r.scopes = append(r.scopes, &scope{builtIn: true, rep: map[string]any{
			"id": uuid.NewString(), "name": builtIn, "protocol": "openid-connect",
			"description": "OpenID Connect built-in scope: " + builtIn, "attributes": attributes,
		}})
	}
	return r
}
