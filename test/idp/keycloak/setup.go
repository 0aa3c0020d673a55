// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Client is a client to begin with.
type Client struct {
	// ID is the client id.
	ID string
	// Secret makes it confidential; without one it is public.
	Secret string
	// Roles are roles of realm-management that its service account has: manage-clients makes an
	// operator of it, view-clients a viewer.
	Roles []string
	// Scopes and OptionalScopes are attached beside the realm's own. Those that don't exist are made:
	// plain ones, whose name is in the token's `scope`.
	Scopes, OptionalScopes []string
	// Attributes are its attributes.
	Attributes map[string]string
}

// User is a user to begin with.
type User struct {
	// Name and Password are what the user signs in with.
	Name, Password string
	// Claims are added to tokens.
	Claims map[string]any
}

// Operator is a client with the rights that the product asks for.
func Operator(id, secret string) Client {
	return Client{ID: id, Secret: secret, Roles: []string{"manage-clients"}}
}

// AddRealm makes another realm.
func (s *Server) AddRealm(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.realms[name] = newRealm(name)
}

// In is the server with another realm in the place of the first, for helpers.
func (s *Server) In(realm string) *Realm {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Realm{s: s, r: s.realms[realm]}
}

// Realm is what tests do to a realm behind everybody's back.
type Realm struct {
	s *Server
	r *realm
}

func (s *Server) first() *Realm { return &Realm{s: s, r: s.main} }

// AddClient makes a client in the first realm.
func (s *Server) AddClient(c Client) { s.first().AddClient(c) }

// AddUser makes a user in the first realm.
func (s *Server) AddUser(u User) { s.first().AddUser(u) }

// AddClient makes a client.
func (r *Realm) AddClient(c Client) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, name := range append(slices.Clone(c.Scopes), c.OptionalScopes...) {
		if r.r.scopeByName(name) == nil {
			r.r.scoped(&scope{rep: map[string]any{
				"id": uuid.NewString(), "name": name, "protocol": "openid-connect", "attributes": map[string]any{"include.in.token.scope": "true"},
			}})
		}
	}
	attributes := map[string]any{}
	for k, v := range c.Attributes {
		attributes[k] = v
	}
	rep := map[string]any{
		"clientId": c.ID, "publicClient": c.Secret == "", "directAccessGrantsEnabled": true,
		"serviceAccountsEnabled": c.Secret != "", "attributes": attributes,
	}
	if c.Secret != "" {
		rep["secret"] = c.Secret
	}
	made := r.r.add(rep)
	made.roles = slices.Clone(c.Roles)
	made.defaults = append(made.defaults, r.r.ids(c.Scopes)...)
	made.optional = append(made.optional, r.r.ids(c.OptionalScopes)...)
}

// AddUser makes a user.
func (r *Realm) AddUser(u User) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.r.users[u.Name] = &user{User: u, id: uuid.NewString(), enabled: true}
}

// Client is a client's representation, nil if there is none.
func (s *Server) Client(clientID string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.main.byClientID(clientID)
	if c == nil {
		return nil
	}
	return s.main.represent(c, false)
}

// Scope is a client scope's representation, nil if there is none.
func (s *Server) Scope(name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.main.scopeByName(name)
	if sc == nil {
		return nil
	}
	return sc.represent()
}

// Attached are the names of the scopes that a client has.
func (s *Server) Attached(clientID string) (defaults, optional []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.main.byClientID(clientID)
	if c == nil {
		return nil, nil
	}
	return s.main.names(c.defaults), s.main.names(c.optional)
}

// EditClient changes members of a client behind everybody's back, as somebody in
// the administration console does. It panics if there is no such client.
func (s *Server) EditClient(clientID string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.main.must(clientID).rep, members)
	s.main.renamed()
}

// DefineRoles gives a client roles of its own, for users to have.
func (s *Server) DefineRoles(clientID string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main.must(clientID).defines = names
}

// TrustCluster makes an identity provider in the first realm that stands for a Kubernetes cluster. Its issuer
// is asked by the client given.
func (s *Server) TrustCluster(alias, issuer string, by *http.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster = by
	s.main.providers = append(s.main.providers, identityProvider{alias: alias, issuer: issuer})
}

// SetRoles changes the rights of a client's service account.
func (s *Server) SetRoles(clientID string, roles ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main.must(clientID).roles = roles
}

// DeleteClient deletes a client as somebody in the administration console does.
func (s *Server) DeleteClient(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.main.clients, s.main.must(clientID).id())
	s.main.renamed()
}

// DeleteScope deletes a client scope as somebody in the administration console does.
func (s *Server) DeleteScope(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.main.scopeByName(name); sc != nil {
		s.main.removeScope(sc)
	}
}

// EditScope changes members of a client scope as somebody in the administration console does, the mappers
// among them if there is a member protocolMappers. It panics if there is no such scope.
func (s *Server) EditScope(name string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.main.scopeByName(name)
	if sc == nil {
		panic(fmt.Sprintf("no client scope %q", name))
	}
	members = maps.Clone(members)
	if mappers, given := members["protocolMappers"].([]map[string]any); given {
		sc.mappers = mappers
		delete(members, "protocolMappers")
	}
	maps.Copy(sc.rep, members)
	s.main.rescoped()
}

// Detach takes a client scope off a client as somebody in the administration console does.
func (s *Server) Detach(clientID, scope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main.must(clientID).drop(s.main.scopeByName(scope).id())
}

// Logout ends a user's sessions.
func (s *Server) Logout(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if t.user == username && t.realm == s.main {
			delete(s.main.sessions, t.session)
		}
	}
}

// EnableUser enables or disables a user.
func (s *Server) EnableUser(username string, enabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main.users[username].enabled = enabled
}

// NotBefore makes tokens issued before then inactive.
func (s *Server) NotBefore(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main.notBefore = at
}

// SignOut makes every access token one that the Admin API no longer knows.
func (s *Server) SignOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]*issued{}
}

func (r *realm) must(clientID string) *client {
	c := r.byClientID(clientID)
	if c == nil {
		panic(fmt.Sprintf("no client %q", clientID))
	}
	return c
}
