// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

const mediaTypeJWT = "application/token-introspection+jwt"

// introspect answers by RFC 7662. A resource may look into every access token that has one of its
// scopes, whatever its audience; a client into its own tokens only.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case !isForm(r):
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	c, ok := parse(r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	resource := named(s.resources(), c.id)
	if resource != nil && (resource.Disabled || !s.accepts(r, resource.Secrets, c)) {
		resource = nil
	}
	asking := s.clients[c.id]
	if resource == nil && (asking == nil || !s.accepts(r, asking.secrets, c)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	token := strings.Join(r.PostForm["token"], ",") // two are taken for one
	if strings.TrimSpace(token) == "" {
		refuse(w, "missing_token")
		return
	}
	var body map[string]any
	if resource != nil {
		body = s.forResource(r, resource, token)
	} else {
		body = s.forClient(r, asking, token)
	}
	if r.Header.Get("Accept") == mediaTypeJWT { // no list of types will do
		s.answerSigned(w, r, c.id, body)
		return
	}
	private(w, http.StatusOK, body)
}

func (s *Server) forResource(r *http.Request, resource *Resource, token string) map[string]any {
	t := s.tokens[token]
	if t == nil || t.refresh || !t.lives(s.o.Now(), s.issuer(r)) {
		return map[string]any{"active": false}
	}
	seen := slices.DeleteFunc(slices.Clone(t.scopes), func(scope string) bool { return !resource.has(scope) })
	if len(seen) == 0 {
		return map[string]any{"active": false}
	}
	return t.body(seen)
}

func (s *Server) forClient(r *http.Request, asking *client, token string) map[string]any {
	t := s.tokens[token]
	if t == nil || t.client != asking.ID || !t.lives(s.o.Now(), s.issuer(r)) {
		return map[string]any{"active": false}
	}
	body := t.body(t.scopes)
	body["token_type"] = "access_token"
	if t.refresh {
		body["token_type"] = "refresh_token"
	}
	return body
}

// body has each claim that stands alone as a value of its own, and several as an array.
func (t *issued) body(scopes []string) map[string]any {
	body := maps.Clone(t.claims)
	for name, value := range body {
		if several, ok := value.([]string); ok && len(several) == 1 {
			body[name] = several[0]
		}
	}
	body["active"], body["scope"] = true, strings.Join(scopes, " ")
	return body
}

// answerSigned answers by RFC 9701.
func (s *Server) answerSigned(w http.ResponseWriter, r *http.Request, audience string, body map[string]any) {
	uncached(w)
	w.Header().Set("Content-Type", mediaTypeJWT)
	_, _ = w.Write([]byte(s.sign("token-introspection+jwt", map[string]any{
		"iss": s.issuer(r), "iat": s.o.Now().Unix(), "aud": audience, "token_introspection": body,
	})))
}

// revoke ends a reference or refresh token of the client that asks (RFC 7009). Whatever else it is
// given, a JWT above all, it says the same and does nothing.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case !isForm(r):
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	who, ok := s.asker(r)
	if !ok {
		refuse(w, "invalid_client")
		return
	}
	token := r.PostForm.Get("token")
	if token == "" {
		refuse(w, "invalid_request")
		return
	}
	if t := s.tokens[token]; t != nil && !t.jwt && t.client == who.ID {
		delete(s.tokens, token)
	}
	w.WriteHeader(http.StatusOK)
}
