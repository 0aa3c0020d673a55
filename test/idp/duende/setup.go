// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
)

// Client may get tokens.
type Client struct {
	ID string
	// Secret in plain; empty for none.
	Secret string
	// Keys are JWKs of private_key_jwt.
	Keys []json.RawMessage
	// Scopes that it may ask for.
	Scopes []string
	// Reference makes its access tokens reference tokens in place of JWTs.
	Reference bool
	// Life of its access tokens; 0 means an hour.
	Life time.Duration
	// Claims of its own tokens.
	Claims map[string]string
	// DPoP makes it need a proof (RFC 9449).
	DPoP bool
	// Password lets it have users' tokens by the password grant, and refresh tokens.
	Password bool
}

// User may sign in by the password grant.
type User struct {
	Name, Password string
}

// Resource is an ApiResource: what may introspect the tokens of its scopes.
type Resource struct {
	Name string
	// DisplayName may be null.
	DisplayName *string
	Disabled    bool
	Scopes      []string
	// RequireResourceIndicator keeps it out of `aud` but of tokens that ask for it with resource=.
	RequireResourceIndicator bool
	Secrets                  []Secret
	// Properties hold the marks of the registration endpoints.
	Properties map[string]string
}

// Secret is one of a resource's or client's.
type Secret struct {
	// Description tells those of the registration endpoints from the host's own.
	Description string
	// Type is SharedSecret or JWK; Value a hash as Hash makes it, or the JWK.
	Type, Value string
	// Expiration is when it ends; nil for never.
	Expiration *time.Time
}

const (
	typeSharedSecret = "SharedSecret"
	typeJWK          = "JWK"
)

// Hash is a plain secret as the server keeps it: base64 of its SHA-256.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Recorded are the options of the host that was recorded.
func Recorded() Options {
	all := []string{"orders.read", "orders.write", "billing.read"}
	orders := []string{"orders.read"}
	acme := map[string]string{"tenant": "acme"}
	return Options{
		Scopes:        append(slices.Clone(all), RegistrationScope),
		AllowedScopes: all,
		AllowAdoption: true,
		Resources: []Resource{{
			Name: "legacy-api", Scopes: []string{"billing.read"},
			Secrets: []Secret{{Type: typeSharedSecret, Value: Hash("legacy-secret")}},
		}},
		Users: []User{{Name: "alice", Password: "alice-password"}},
		Clients: []Client{
			{ID: "operator", Secret: "operator-secret", Scopes: []string{RegistrationScope, "orders.read", "billing.read"}, Claims: acme},
			{ID: "canary", Secret: "canary-secret", Scopes: all, Claims: acme, Reference: true},
			{ID: "web-jwt", Secret: "web-secret", Scopes: all, Claims: acme},
			{ID: "web-ref", Secret: "web-secret", Scopes: all, Claims: acme, Reference: true},
			{ID: "web-jwt-short", Secret: "web-secret", Scopes: orders, Claims: acme, Life: 5 * time.Second},
			{ID: "web-ref-short", Secret: "web-secret", Scopes: orders, Claims: acme, Life: 5 * time.Second, Reference: true},
			{ID: "web-dpop", Secret: "web-secret", Scopes: orders, Claims: acme, DPoP: true},
			{ID: "web-user", Secret: "web-secret", Scopes: orders, Claims: acme, Reference: true, Password: true},
		},
	}
}

// client is a Client and its secrets as the server keeps them.
type client struct {
	Client

	secrets []Secret
}

// Reimport throws the host's data away and makes them anew: what registered is gone, none of its
// tokens is known any more, and it signs with another key.
func (s *Server) Reimport() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newKey()
	s.rows, s.snapshot, s.tokens = nil, nil, map[string]*issued{}
	for _, r := range s.o.Resources {
		s.keep(r.clone())
	}
}

// AddClient adds a client, or replaces it.
func (s *Server) AddClient(c Client) {
	made := &client{Client: c}
	if c.Secret != "" {
		made.secrets = append(made.secrets, Secret{Type: typeSharedSecret, Value: Hash(c.Secret)})
	}
	for _, key := range c.Keys {
		made.secrets = append(made.secrets, Secret{Type: typeJWK, Value: string(key)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.ID] = made
}

// AddResource adds a resource, or replaces it, as the host's people do.
func (s *Server) AddResource(r Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(r.clone())
}

// EditResource changes a resource past the registration endpoints, and says whether it is there.
func (s *Server) EditResource(name string, change func(*Resource)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.find(name)
	if found == nil {
		return false
	}
	edited := found.clone()
	change(edited)
	s.keep(edited)
	return true
}

// RemoveResource removes a resource past the registration endpoints.
func (s *Server) RemoveResource(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
}

// Resource is a copy of a resource, and whether it is there.
func (s *Server) Resource(name string) (Resource, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.find(name)
	if found == nil {
		return Resource{}, false
	}
	return *found.clone(), true
}

// Resources are the names of all resources.
func (s *Server) Resources() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.rows))
	for _, r := range s.rows {
		names = append(names, r.Name)
	}
	return names
}
