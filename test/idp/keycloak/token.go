// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

type tokenKind int

const (
	kindAccess tokenKind = iota
	kindRefresh
	kindID
)

// issued is a token and what its fate hangs on.
type issued struct {
	kind      tokenKind
	claims    map[string]any
	realm     *realm
	client    string // client id
	user      string // empty for a service account
	session   string // empty for a service account
	scopes    []string
	issuedAt  time.Time
	expires   time.Time
	revoked   bool
	requested string
}

// grant is what a token is issued for.
type grant struct {
	issuer  string
	realm   *realm
	client  *client
	user    *user
	session string
	scope   string // as requested
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	form(r)
	who := s.authenticate(r)
	if refuseCaller(w, who) {
		return
	}
	g := grant{issuer: s.issuer(r), realm: s.realms[r.PathValue("realm")], client: who.client, scope: r.PostForm.Get("scope")}
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		if who.public {
			refuse(w, http.StatusUnauthorized, "unauthorized_client", "Public client not allowed to retrieve service account")
			return
		}
		if !who.client.on("serviceAccountsEnabled") {
			refuse(w, http.StatusUnauthorized, "unauthorized_client", "Client not enabled to retrieve service account")
			return
		}
	case "password":
		if !s.signIn(w, r, &g) {
			return
		}
	case "refresh_token":
		old := s.tokens[r.PostForm.Get("refresh_token")]
		if old == nil || old.kind != kindRefresh || old.client != who.client.clientID() || !g.realm.sessions[old.session] {
			refuse(w, http.StatusBadRequest, "invalid_grant", "Token is not active")
			return
		}
		g.user, g.session, g.scope = g.realm.users[old.user], old.session, old.requested
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant_type")
		return
	}
	s.answerToken(w, g)
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request, g *grant) bool {
	found := g.realm.users[r.PostForm.Get("username")]
	switch {
	case !g.client.on("directAccessGrantsEnabled"):
		refuse(w, http.StatusBadRequest, "unauthorized_client", "Client not allowed for direct access grants")
	case found == nil || found.Password != r.PostForm.Get("password"):
		refuse(w, http.StatusUnauthorized, "invalid_grant", "Invalid user credentials")
	case !found.enabled:
		refuse(w, http.StatusBadRequest, "invalid_grant", "Account disabled")
	default:
		g.user, g.session = found, rand.Text()
		g.realm.sessions[g.session] = true
		return true
	}
	return false
}

func (s *Server) answerToken(w http.ResponseWriter, g grant) {
	scopes, words, ok := g.realm.effective(g.client, g.scope)
	if !ok {
		refuse(w, http.StatusBadRequest, "invalid_scope", "Invalid scopes: "+g.scope)
		return
	}
	access := s.issue(g, kindAccess, scopes, words)
	body := map[string]any{
		"access_token": access, "expires_in": int(s.life.Seconds()), "refresh_expires_in": 0,
		"token_type": "Bearer", "not-before-policy": max(g.realm.notBefore.Unix(), 0), "scope": words,
	}
	asked := strings.Fields(g.scope)
	if g.user != nil {
		body["refresh_token"] = s.issue(g, kindRefresh, scopes, words)
		body["session_state"] = g.session
		if !slices.Contains(asked, "offline_access") {
			body["refresh_expires_in"] = 1800
		}
		if slices.Contains(asked, "openid") {
			body["id_token"] = s.issue(g, kindID, scopes, words)
		}
	}
	answerJSON(w, http.StatusOK, body)
}

// effective are the ids of the scopes that a token gets, and its `scope`.
func (r *realm) effective(c *client, requested string) (ids []string, words string, ok bool) {
	ids = slices.Clone(c.defaults)
	var names []string
	for name := range strings.FieldsSeq(requested) {
		if name == "openid" {
			names = append(names, name)
			continue
		}
		sc := r.scopeByName(name)
		switch {
		case sc == nil, !slices.Contains(c.defaults, sc.id()) && !slices.Contains(c.optional, sc.id()):
			return nil, "", false
		case !slices.Contains(ids, sc.id()):
			ids = append(ids, sc.id())
		}
	}
	for _, id := range ids {
		if sc := r.scopeByID(id); sc != nil && sc.inTokenScope() {
			names = append(names, sc.name())
		}
	}
	return ids, strings.Join(names, " "), true
}

// audience is what the mappers of these scopes come to now. A client that does
// not exist is not added, and nobody says so.
func (r *realm) audience(scopeIDs []string) []string {
	var aud []string
	for _, id := range scopeIDs {
		sc := r.scopeByID(id)
		if sc == nil {
			continue
		}
		for _, m := range sc.mappers {
			config, _ := m["config"].(map[string]any)
			name, _ := config["included.client.audience"].(string)
			c := r.byClientID(name)
			if m["protocolMapper"] == "oidc-audience-mapper" && config["access.token.claim"] == "true" &&
				c != nil && c.on("enabled") && !slices.Contains(aud, name) {
				aud = append(aud, name)
			}
		}
	}
	return aud
}

func (s *Server) issue(g grant, kind tokenKind, scopes []string, words string) string {
	now := s.now()
	t := &issued{
		kind: kind, realm: g.realm, client: g.client.clientID(), session: g.session, scopes: scopes,
		issuedAt: now, expires: now.Add(s.life), requested: g.scope,
	}
	claims := map[string]any{
		"exp": t.expires.Unix(), "iat": now.Unix(), "jti": "trrtcc:" + uuid.NewString(), "iss": g.issuer,
		"sub": g.client.account, "typ": []string{"Bearer", "Refresh", "ID"}[kind], "azp": t.client, "acr": "1", "scope": words,
		"email_verified": false, "preferred_username": "service-account-" + t.client,
	}
	aud := g.realm.audience(scopes)
	if len(g.client.roles) > 0 && g.client.on("fullScopeAllowed") && g.user == nil {
		claims["resource_access"] = map[string]any{"realm-management": map[string]any{"roles": g.client.roles}}
		aud = append(aud, "realm-management")
	}
	if g.user != nil {
		t.user = g.user.Name
		claims["jti"], claims["sub"], claims["sid"] = "onrtro:"+uuid.NewString(), g.user.id, g.session
		claims["preferred_username"] = g.user.Name
		maps.Copy(claims, g.user.Claims)
	}
	if kind == kindID {
		aud = []string{t.client}
	}
	switch len(aud) {
	case 0:
	case 1:
		claims["aud"] = aud[0]
	default:
		claims["aud"] = aud
	}
	t.claims = claims
	signed := s.sign(claims)
	s.tokens[signed] = t
	return signed
}

// sign makes a JWS of the claims (RFC 7515), ES256.
func (s *Server) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // claims of a test that are no JSON
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","typ":"JWT","kid":"`+keyID+`"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return input + "." + encode(signature)
}

// ClientToken is an access token of a client's service account, in the first
// realm, for callers that use URL. It panics where the server would refuse.
func (s *Server) ClientToken(clientID, scope string) string { return s.get(clientID, "", scope) }

// UserToken is an access token of a user by way of a client.
func (s *Server) UserToken(clientID, username, scope string) string {
	return s.get(clientID, username, scope)
}

func (s *Server) get(clientID, username, scope string) string {
	issuer := s.Issuer()
	s.mu.Lock()
	defer s.mu.Unlock()
	g := grant{issuer: issuer, realm: s.main, client: s.main.must(clientID), scope: scope}
	if username != "" {
		g.user, g.session = s.main.users[username], rand.Text()
		s.main.sessions[g.session] = true
	}
	scopes, words, ok := s.main.effective(g.client, scope)
	if !ok {
		panic("invalid scopes: " + scope)
	}
	return s.issue(g, kindAccess, scopes, words)
}
