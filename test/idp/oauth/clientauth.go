// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Ways to prove oneself, by their registered names.
const (
	basic         = "client_secret_basic"
	post          = "client_secret_post"
	privateKeyJWT = "private_key_jwt"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// client is one that the server knows. Its fields are the Server's lock's.
type client struct {
	id        string
	secrets   []string // the current one first
	keys      jose.JSONWebKeySet
	scopes    []string
	audience  []string
	grants    []string
	jwt       bool
	registers bool
	// metadata is what was registered, nil for one that was there from the start; token manages it.
	metadata map[string]any
	token    string
}

func staticClient(c Client) *client {
	k := &client{
		id: c.ID, keys: c.Keys, scopes: c.Scopes, audience: c.Audience, jwt: c.JWT, registers: c.Registers,
		grants: []string{grantClient, grantRefresh, UserGrant},
	}
	if c.Secret != "" {
		k.secrets = []string{c.Secret}
	}
	return k
}

// authenticated is the client that makes a request, nil after a refusal. A registered client may only use the method
// that it registered.
func (s *Server) authenticated(w http.ResponseWriter, r *http.Request) *client {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "the body is no form")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, method := s.prove(r)
	if c != nil && c.metadata != nil {
		if registered, _ := c.metadata["token_endpoint_auth_method"].(string); registered != method {
			c = nil
		}
	}
	if c == nil {
		w.Header().Set("WWW-Authenticate", "Basic")
		refuse(w, http.StatusUnauthorized, "invalid_client", "client authentication failed")
	}
	return c
}

func (s *Server) prove(r *http.Request) (c *client, method string) {
	if id, secret, ok := r.BasicAuth(); ok {
		id, errID := url.QueryUnescape(id)
		secret, errSecret := url.QueryUnescape(secret)
		if errID != nil || errSecret != nil {
			return nil, basic
		}
		return s.bySecret(id, secret), basic
	}
	if assertion := r.PostForm.Get("client_assertion"); assertion != "" {
		if r.PostForm.Get("client_assertion_type") != assertionType {
			return nil, privateKeyJWT
		}
		return s.byAssertion(assertion), privateKeyJWT
	}
	return s.bySecret(r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")), post
}

func (s *Server) bySecret(id, secret string) *client {
	c := s.clients[id]
	if c == nil || !slices.ContainsFunc(c.secrets, func(known string) bool {
		return subtle.ConstantTimeCompare([]byte(known), []byte(secret)) == 1
	}) {
		return nil
	}
	return c
}

// maxAssertion bounds how far ahead an assertion may end: its jti is remembered as long.
const maxAssertion = time.Hour

// byAssertion is RFC 7523 section 3, with the issuer as the one audience, and each assertion once.
func (s *Server) byAssertion(assertion string) *client {
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256})
	if err != nil {
		return nil
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil
	}
	c := s.clients[claims.Subject]
	if c == nil || claims.Issuer != c.id || claims.ID == "" || claims.Expiry == nil {
		return nil
	}
	verified := slices.ContainsFunc(c.keys.Keys, func(k jose.JSONWebKey) bool {
		return (parsed.Headers[0].KeyID == "" || parsed.Headers[0].KeyID == k.KeyID) && parsed.Claims(k.Key, &claims) == nil
	})
	now := s.now()
	expected := jwt.Expected{Time: now, Issuer: c.id, Subject: c.id}
	if !verified || len(claims.Audience) != 1 || claims.Audience[0] != s.Issuer() || claims.Validate(expected) != nil {
		return nil
	}
	if claims.Expiry.Time().After(now.Add(maxAssertion)) || s.usedBefore(c.id+" "+claims.ID, claims.Expiry.Time(), now) {
		return nil
	}
	return c
}

// usedBefore remembers an assertion till nobody would take it any more.
func (s *Server) usedBefore(jti string, end, now time.Time) bool {
	for id, till := range s.used {
		if now.After(till) {
			delete(s.used, id)
		}
	}
	_, used := s.used[jti]
	s.used[jti] = end.Add(jwt.DefaultLeeway)
	return used
}

// publicKeys are the keys of a jwks that somebody registered; ok is false if that is none of public keys.
func publicKeys(jwks any) (keys jose.JSONWebKeySet, ok bool) {
	encoded, err := json.Marshal(jwks)
	if err != nil || json.Unmarshal(encoded, &keys) != nil || len(keys.Keys) == 0 {
		return keys, false
	}
	return keys, !slices.ContainsFunc(keys.Keys, func(k jose.JSONWebKey) bool { return !k.Valid() || !k.IsPublic() })
}

// bearer is the token of a request (RFC 6750 section 2.1).
func bearer(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return value
}
