// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// register is RFC 7591 section 3.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mayRegister(w, r) {
		return
	}
	var metadata map[string]any
	if err := json.NewDecoder(r.Body).Decode(&metadata); err != nil || metadata == nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata", "the body is no JSON object")
		return
	}
	c := &client{id: "c-" + rand.Text()}
	if s.o.TakesAnything {
		c.metadata, c.secrets = metadata, []string{rand.Text()}
	} else if code, why := s.settle(c, metadata); code != "" {
		refuse(w, http.StatusBadRequest, code, why)
		return
	}
	c.metadata["client_id_issued_at"] = s.now().Unix()
	if !s.o.NoManagement {
		c.token = rand.Text()
	}
	s.clients[c.id] = c
	answer(w, http.StatusCreated, without(s.view(c), s.o.Untold))
}

// mayRegister refuses who may not.
func (s *Server) mayRegister(w http.ResponseWriter, r *http.Request) bool {
	given := bearer(r)
	if s.o.InitialAccessToken != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.o.InitialAccessToken)) == 1 {
		return true
	}
	open := s.o.InitialAccessToken == ""
	for _, c := range s.clients {
		open = open && !c.registers
	}
	if open {
		return true
	}
	t := s.tokens[given]
	switch {
	case t == nil || t.refresh || !s.good(t):
		refuseToken(w, http.StatusUnauthorized, "invalid_token", "no token that is known here")
	case s.clients[t.client] == nil || !s.clients[t.client].registers:
		refuseToken(w, http.StatusForbidden, "insufficient_scope", "this client may not register others")
	default:
		return true
	}
	return false
}

// refuseToken is RFC 6750 section 3.1.
func refuseToken(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("WWW-Authenticate", `Bearer error="`+code+`"`)
	refuse(w, status, code, description)
}

// managed lets through who has the registration access token (RFC 7592 section 2). A client that is not there is told
// from a bad token by nobody: 401.
func (s *Server) managed(work func(http.ResponseWriter, *http.Request, *client)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := s.clients[r.PathValue("id")]
		if c == nil || c.token == "" || subtle.ConstantTimeCompare([]byte(c.token), []byte(bearer(r))) != 1 {
			refuseToken(w, http.StatusUnauthorized, "invalid_token", "no registration access token of this client")
			return
		}
		work(w, r, c)
	}
}

func (s *Server) read(w http.ResponseWriter, _ *http.Request, c *client) {
	view := s.view(c)
	if s.o.HideSecret {
		view = without(view, []string{"client_secret", "client_secret_expires_at"})
	}
	answer(w, http.StatusOK, view)
}

func without(view map[string]any, members []string) map[string]any {
	for _, member := range members {
		delete(view, member)
	}
	return view
}

func (s *Server) remove(w http.ResponseWriter, _ *http.Request, c *client) {
	s.drop(c.id)
	w.WriteHeader(http.StatusNoContent)
}

// drop removes a client, and its tokens with it.
func (s *Server) drop(id string) {
	delete(s.clients, id)
	maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return t.client == id })
}

// update is RFC 7592 section 2.2: what is left out falls to its default.
func (s *Server) update(w http.ResponseWriter, r *http.Request, c *client) {
	var metadata map[string]any
	if err := json.NewDecoder(r.Body).Decode(&metadata); err != nil || metadata == nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata", "the body is no JSON object")
		return
	}
	for _, member := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		if _, there := metadata[member]; there {
			refuse(w, http.StatusBadRequest, "invalid_request", "the request must not have "+member)
			return
		}
	}
	secret, brought := metadata["client_secret"].(string)
	if metadata["client_id"] != c.id || brought && (len(c.secrets) == 0 || secret != c.secrets[0]) {
		refuse(w, http.StatusBadRequest, "invalid_request", "client_id and client_secret must be those of the client")
		return
	}
	for _, member := range s.o.Fixed {
		metadata[member] = c.metadata[member]
	}
	changed := *c
	changed.secrets = slices.Clone(c.secrets)
	if code, why := s.settle(&changed, metadata); code != "" {
		refuse(w, http.StatusBadRequest, code, why)
		return
	}
	changed.metadata["client_id_issued_at"] = c.metadata["client_id_issued_at"]
	*c = changed
	if s.o.NewSecret && len(c.secrets) > 0 {
		c.secrets = append([]string{rand.Text()}, c.secrets...)
		if !s.o.KeepOldSecret {
			c.secrets = c.secrets[:1]
		}
	}
	if s.o.NewRegistrationToken {
		c.token = rand.Text()
	}
	answer(w, http.StatusOK, without(s.view(c), s.o.Untold))
}

// settle makes the client what the metadata say, or says with a code of RFC 7591 section 3.2.2 why not.
func (s *Server) settle(c *client, metadata map[string]any) (code, why string) {
	for member, value := range metadata {
		if !fits(member, value) {
			return "invalid_client_metadata", member + " is of another type"
		}
	}
	kept := maps.Clone(metadata)
	for _, member := range append(slices.Clone(s.o.Forget), "client_id", "client_secret") {
		delete(kept, member)
	}
	for member, otherwise := range map[string]any{
		"grant_types": []any{"authorization_code"}, "response_types": []any{"code"}, "token_endpoint_auth_method": basic,
	} {
		if kept[member] == nil {
			kept[member] = otherwise
		}
	}
	c.grants = texts(kept["grant_types"])
	if slices.Contains(c.grants, "authorization_code") && len(texts(kept["redirect_uris"])) == 0 {
		return "invalid_redirect_uri", "authorization_code needs redirect_uris"
	}
	if s.o.NeedGrant && len(c.grants) == 0 {
		return "invalid_client_metadata", "grant_types must not be empty"
	}
	scope, _ := kept["scope"].(string)
	c.scopes = strings.Fields(scope)
	for _, asked := range c.scopes {
		if len(s.o.Scopes) > 0 && !slices.Contains(s.o.Scopes, asked) {
			return "invalid_client_metadata", "there is no such scope"
		}
	}
	c.keys.Keys = nil
	switch kept["token_endpoint_auth_method"] {
	case basic, post:
		if len(c.secrets) == 0 {
			c.secrets = []string{rand.Text()}
		}
	case privateKeyJWT:
		c.secrets = nil
		keys, ok := publicKeys(kept["jwks"])
		if !ok {
			return "invalid_client_metadata", "private_key_jwt needs jwks with public keys"
		}
		c.keys = keys
	default:
		return "invalid_client_metadata", "no such token_endpoint_auth_method"
	}
	c.metadata = kept
	return "", ""
}

// view is the client information response (RFC 7591 section 3.2.1).
func (s *Server) view(c *client) map[string]any {
	v := maps.Clone(c.metadata)
	v["client_id"] = c.id
	if len(c.secrets) > 0 {
		v["client_secret"], v["client_secret_expires_at"] = c.secrets[0], 0
	}
	if c.token != "" {
		v["registration_access_token"] = c.token
		v["registration_client_uri"] = s.Issuer() + "/register/" + url.PathEscape(c.id)
	}
	return v
}

// fits says whether a member is of the type that RFC 7591 section 2 has it in, as far as it is looked at here.
func fits(member string, value any) bool {
	ok := value == nil
	switch member {
	case "grant_types", "response_types", "redirect_uris":
		list, isList := value.([]any)
		ok = ok || isList && len(texts(value)) == len(list)
	case "client_name", "scope", "token_endpoint_auth_method", "software_id":
		_, isText := value.(string)
		ok = ok || isText
	default:
		ok = true
	}
	return ok
}

func texts(value any) []string {
	list, _ := value.([]any)
	var out []string
	for _, entry := range list {
		if text, ok := entry.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
