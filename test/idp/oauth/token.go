// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// UserGrant is the grant type of a user's tokens: its parameter username is believed, there is no password. It is fit
// for tests and a demo, and for nothing else.
const UserGrant = "urn:introspection:demo:user"

const (
	grantClient  = "client_credentials"
	grantRefresh = "refresh_token"
)

// token is one that was issued.
type token struct {
	client, user string
	scopes       []string
	audience     []string
	jti          string
	issued, ends time.Time
	refresh      bool
	// grant is shared by an access token and its refresh token: they are revoked together.
	grant string
}

// good says whether a token is active.
func (s *Server) good(t *token) bool {
	return s.now().Before(t.ends) && !s.disabled[t.user] && s.clients[t.client] != nil
}

// token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	c := s.authenticated(w, r)
	if c == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &token{client: c.id, grant: rand.Text(), scopes: c.scopes, audience: c.audience}
	kind := r.PostForm.Get("grant_type")
	switch {
	case !slices.Contains([]string{grantClient, grantRefresh, UserGrant}, kind):
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "there is no such grant")
		return
	case !slices.Contains(c.grants, kind):
		refuse(w, http.StatusBadRequest, "unauthorized_client", "this client may not use the grant")
		return
	case kind == UserGrant:
		t.user = r.PostForm.Get("username")
		if !s.knows(t.user) {
			refuse(w, http.StatusBadRequest, "invalid_grant", "there is no such user, or it is disabled")
			return
		}
	case kind == grantRefresh:
		given := r.PostForm.Get("refresh_token")
		old := s.tokens[given]
		if old == nil || !old.refresh || old.client != c.id || !s.good(old) {
			refuse(w, http.StatusBadRequest, "invalid_grant", "no refresh token of this client")
			return
		}
		delete(s.tokens, given) // each works once
		t.user, t.scopes, t.audience, t.grant = old.user, old.scopes, old.audience, old.grant
	}
	if code, why := narrow(t, r.PostForm); code != "" {
		refuse(w, http.StatusBadRequest, code, why)
		return
	}
	s.issue(w, c, t)
}

func (s *Server) knows(user string) bool {
	return !s.disabled[user] && slices.ContainsFunc(s.o.Users, func(u User) bool { return u.Name == user })
}

// narrow applies scope (RFC 6749 section 3.3) and resource (RFC 8707 section 2).
func narrow(t *token, form url.Values) (code, why string) {
	if asked := strings.Fields(form.Get("scope")); len(asked) > 0 {
		for _, scope := range asked {
			if !slices.Contains(t.scopes, scope) {
				return "invalid_scope", "the client may not have this scope"
			}
		}
		t.scopes = asked
	}
	if resources := form["resource"]; len(resources) > 0 {
		for _, resource := range resources {
			if u, err := url.Parse(resource); err != nil || u.Scheme == "" || u.Fragment != "" {
				return "invalid_target", "a resource is an absolute URI without a fragment"
			}
		}
		t.audience = resources
	}
	return "", ""
}

// refreshLife is how much longer than an access token a refresh token lives.
const refreshLife = 24

func (s *Server) issue(w http.ResponseWriter, c *client, t *token) {
	t.jti, t.issued = rand.Text(), s.now()
	t.ends = t.issued.Add(s.o.TokenLife)
	value := rand.Text()
	if c.jwt {
		var err error
		if value, err = s.sign(t); err != nil {
			refuse(w, http.StatusInternalServerError, "server_error", "the token can't be signed")
			return
		}
	}
	s.tokens[value] = t
	said := map[string]any{"access_token": value, "token_type": "Bearer", "expires_in": int(s.o.TokenLife / time.Second)}
	if len(t.scopes) > 0 {
		said["scope"] = strings.Join(t.scopes, " ")
	}
	if t.user != "" {
		again := *t
		again.refresh, again.ends = true, t.issued.Add(refreshLife*s.o.TokenLife)
		key := rand.Text()
		s.tokens[key], said["refresh_token"] = &again, key
	}
	answer(w, http.StatusOK, said)
}

// claims are what JWTs and introspection say of a token.
func (s *Server) claims(t *token) map[string]any {
	c := map[string]any{
		"iss": s.Issuer(), "client_id": t.client, "sub": t.client, "jti": t.jti, "iat": t.issued.Unix(), "exp": t.ends.Unix(),
	}
	if t.user != "" {
		c["sub"] = t.user
	}
	if len(t.scopes) > 0 {
		c["scope"] = strings.Join(t.scopes, " ")
	}
	switch len(t.audience) {
	case 0:
	case 1:
		c["aud"] = t.audience[0]
	default:
		c["aud"] = t.audience
	}
	return c
}

func (s *Server) sign(t *token) (string, error) {
	return jwt.Signed(s.signer).Claims(s.claims(t)).Serialize()
}

// introspect is RFC 7662. A refresh token is inactive: none is a key to an API.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	c := s.authenticated(w, r)
	if c == nil {
		return
	}
	given := r.PostForm.Get("token")
	if given == "" {
		refuse(w, http.StatusBadRequest, "invalid_request", "which token?")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[given]
	if t == nil || t.refresh || !s.good(t) || s.o.OnlyAudience && !slices.Contains(t.audience, c.id) {
		answer(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	said := s.claims(t)
	said["active"], said["token_type"] = true, "Bearer"
	if t.user != "" {
		said["username"] = t.user
	}
	answer(w, http.StatusOK, said)
}

// revoke is RFC 7009: 200 for what is unknown or somebody else's too. A refresh token takes its access tokens with it,
// and the other way round.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	c := s.authenticated(w, r)
	if c == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[r.PostForm.Get("token")]; t != nil && t.client == c.id {
		maps.DeleteFunc(s.tokens, func(_ string, other *token) bool { return other.grant == t.grant })
	}
	w.WriteHeader(http.StatusOK)
}
