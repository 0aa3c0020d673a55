// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"maps"
	"net/http"
	"slices"
)

// introspect answers by RFC 7662, in Keycloak's words and with its audience rule.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	form(r)
	who := s.authenticate(r)
	tokens, hints := r.PostForm["token"], r.PostForm["token_type_hint"]
	switch {
	case refuseAsker(w, who):
	case len(tokens) == 0:
		refuse(w, http.StatusBadRequest, "invalid_request", "Token not provided.")
	case len(tokens) > 1 || len(hints) > 1:
		refuse(w, http.StatusBadRequest, "invalid_request", "duplicated parameter")
	case len(hints) == 1 && !slices.Contains([]string{"", "access_token", "refresh_token", "requesting_party_token"}, hints[0]):
		refuse(w, http.StatusBadRequest, "invalid_request", "Unsupported token type.")
	case slices.Contains(hints, "refresh_token"):
		inactive(w)
	default:
		s.judge(w, r, who.client.clientID(), tokens[0])
	}
}

func inactive(w http.ResponseWriter) { answerJSON(w, http.StatusOK, map[string]bool{"active": false}) }

func (s *Server) judge(w http.ResponseWriter, r *http.Request, asking, token string) {
	realm := s.realms[r.PathValue("realm")]
	t := s.tokens[token]
	if t == nil || t.kind != kindAccess || t.realm != realm || t.claims["iss"] != s.issuer(r) || !s.lives(t) {
		inactive(w)
		return
	}
	aud := t.audience()
	if !slices.Contains(aud, asking) {
		inactive(w)
		return
	}
	body := maps.Clone(t.claims)
	body["active"], body["client_id"], body["username"], body["token_type"] = true, t.client, t.claims["preferred_username"], "Bearer"
	body["aud"] = aud
	if len(aud) == 1 {
		body["aud"] = aud[0]
	}
	answerJSON(w, http.StatusOK, body)
}

// lives reports whether nothing ended the token. It lives in the second of its `exp`.
func (s *Server) lives(t *issued) bool {
	issuing := t.realm.byClientID(t.client)
	switch {
	case t.revoked, s.now().Unix() > t.expires.Unix(), t.issuedAt.Before(t.realm.notBefore):
		return false
	case issuing == nil || !issuing.on("enabled"):
		return false
	case t.user == "":
		return true
	}
	u := t.realm.users[t.user]
	return u != nil && u.enabled && t.realm.sessions[t.session]
}

// audience is the token's, or what the mappers say now if it has none.
func (t *issued) audience() []string {
	switch aud := t.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []string:
		return aud
	}
	c := t.realm.byClientID(t.client)
	if c == nil {
		return nil
	}
	ids, _, _ := t.realm.effective(c, t.requested)
	return t.realm.audience(ids)
}

// revoke ends a token, for the client that got it (RFC 7009).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	form(r)
	who := s.authenticate(r)
	if refuseCaller(w, who) {
		return
	}
	t := s.tokens[r.PostForm.Get("token")]
	switch {
	case t == nil:
		refuse(w, http.StatusOK, "invalid_token", "Invalid token")
	case t.client != who.client.clientID():
		refuse(w, http.StatusBadRequest, "invalid_request", "Unmatching clients")
	default:
		t.revoked = true
		if t.kind == kindRefresh {
			delete(t.realm.sessions, t.session)
		}
		w.WriteHeader(http.StatusOK)
	}
}

// logout ends the session of a refresh token.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	form(r)
	who := s.authenticate(r)
	if refuseCaller(w, who) {
		return
	}
	t := s.tokens[r.PostForm.Get("refresh_token")]
	if t == nil || t.kind != kindRefresh || t.client != who.client.clientID() {
		refuse(w, http.StatusBadRequest, "invalid_grant", "Invalid refresh token")
		return
	}
	delete(t.realm.sessions, t.session)
	w.WriteHeader(http.StatusNoContent)
}
