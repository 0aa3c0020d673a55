// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	grantClient   = "client_credentials"
	grantPassword = "password"
	scopeOffline  = "offline_access"

	defaultLife = time.Hour
	refreshLife = 30 * 24 * time.Hour
	// skew is what a JWT may be past its `exp`.
	skew = 5 * time.Minute
)

// issued is a token and what its fate hangs on.
type issued struct {
	claims  map[string]any // aud is []string, scope is not in it
	client  string
	scopes  []string
	issuer  string
	expires time.Time
	jwt     bool
	refresh bool
}

// lives reports whether a token is good where the issuer is this one.
func (t *issued) lives(now time.Time, issuer string) bool {
	if t.jwt {
		return t.issuer == issuer && !now.After(t.expires.Add(skew))
	}
	return !now.After(t.expires)
}

// grant is a token to be.
type grant struct {
	client   *client
	user     *User
	scopes   []string
	audience []string
	jkt      string
	issuer   string
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !isForm(r) {
		refuse(w, "invalid_request")
		return
	}
	who, ok := s.asker(r)
	if !ok {
		refuse(w, "invalid_client")
		return
	}
	g := grant{client: who, issuer: s.issuer(r)}
	switch jkt, err := s.proof(r); {
	case err != nil:
		refuse(w, "invalid_dpop_proof", err.Error())
		return
	case jkt == "" && who.DPoP:
		refuse(w, "invalid_request", "Client requires DPoP and a DPoP header value was not provided.")
		return
	default:
		g.jkt = jkt
	}
	if g.user, ok = s.signIn(w, r, who); !ok {
		return
	}
	if code, description := s.narrow(&g, r.PostForm); code != "" {
		refuse(w, code, description...)
		return
	}
	s.answerToken(w, g)
}

// asker is the client that asks.
func (s *Server) asker(r *http.Request) (*client, bool) {
	c, ok := parse(r)
	if !ok {
		return nil, false
	}
	found := s.clients[c.id]
	return found, found != nil && s.accepts(r, found.secrets, c)
}

// signIn looks at the grant; the user is nil for a client's own token.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, who *client) (*User, bool) {
	switch r.PostForm.Get("grant_type") {
	case grantClient:
		return nil, true
	case grantPassword:
		if !who.Password {
			refuse(w, "unauthorized_client")
			return nil, false
		}
		for i, u := range s.o.Users {
			if u.Name == r.PostForm.Get("username") && u.Password == r.PostForm.Get("password") {
				return &s.o.Users[i], true
			}
		}
		refuse(w, "invalid_grant", "invalid_username_or_password")
	default:
		refuse(w, "unsupported_grant_type")
	}
	return nil, false
}

// narrow finds the scopes and audience of a grant (RFC 8707 for resource=), or says what is wrong.
func (s *Server) narrow(g *grant, form url.Values) (code string, description []string) {
	g.scopes = strings.Fields(form.Get("scope"))
	if len(g.scopes) == 0 {
		g.scopes = slices.Clone(g.client.Scopes)
	}
	slices.Sort(g.scopes)
	g.scopes = slices.Compact(g.scopes)
	for _, scope := range g.scopes {
		offline := scope == scopeOffline && g.client.Password
		if !offline && (!slices.Contains(g.client.Scopes, scope) || !slices.Contains(s.o.Scopes, scope)) {
			return "invalid_scope", nil
		}
	}
	asked := form["resource"]
	if why := unfit(asked); why != "" {
		return "invalid_target", []string{why}
	}
	for _, resource := range s.resources() {
		switch {
		case resource.Disabled || !slices.ContainsFunc(g.scopes, resource.has):
		case len(asked) == 0 && !resource.RequireResourceIndicator:
			g.audience = append(g.audience, resource.Name)
		case len(asked) == 1 && resource.Name == asked[0]:
			g.audience = []string{resource.Name}
			g.scopes = slices.DeleteFunc(g.scopes, func(scope string) bool { return scope != scopeOffline && !resource.has(scope) })
		}
	}
	if len(asked) == 1 && len(g.audience) == 0 {
		return "invalid_target", []string{"Invalid resource indicator"}
	}
	return "", nil
}

// unfit says what is wrong with resource indicators (RFC 8707 section 2).
func unfit(asked []string) string {
	if len(asked) > 1 {
		return "Multiple resource indicators not supported on token endpoint."
	}
	for _, indicator := range asked {
		if u, err := url.Parse(indicator); err != nil || !u.IsAbs() || u.Fragment != "" {
			return "Invalid resource indicator format"
		}
	}
	return ""
}

func (s *Server) answerToken(w http.ResponseWriter, g grant) {
	life := g.client.Life
	if life == 0 {
		life = defaultLife
	}
	body := map[string]any{
		"access_token": s.issue(g, life), "expires_in": int(life.Seconds()),
		"token_type": "Bearer", "scope": strings.Join(g.scopes, " "),
	}
	if g.jkt != "" {
		body["token_type"] = "DPoP"
	}
	if g.user != nil && slices.Contains(g.scopes, scopeOffline) {
		body["refresh_token"] = s.issueRefresh(g)
	}
	private(w, http.StatusOK, body)
}

func (s *Server) issue(g grant, life time.Duration) string {
	now := s.o.Now().Truncate(time.Second)
	t := &issued{
		client: g.client.ID, scopes: g.scopes, issuer: g.issuer, expires: now.Add(life), jwt: !g.client.Reference,
		claims: map[string]any{
			"iss": g.issuer, "nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(life).Unix(),
			"client_id": g.client.ID, "jti": random(16),
		},
	}
	if len(g.audience) > 0 {
		t.claims["aud"] = g.audience
	}
	if g.jkt != "" {
		t.claims["cnf"] = map[string]string{"jkt": g.jkt}
	}
	if g.user != nil {
		maps.Copy(t.claims, map[string]any{"sub": g.user.Name, "auth_time": now.Unix(), "idp": "local", "amr": []string{"pwd"}})
	} else {
		for name, value := range g.client.Claims {
			t.claims[name] = value
		}
	}
	handle := random(32) + "-1"
	if t.jwt {
		claims := maps.Clone(t.claims)
		claims["scope"] = g.scopes
		if len(g.audience) == 1 {
			claims["aud"] = g.audience[0]
		}
		handle = s.sign("at+jwt", claims)
	}
	s.tokens[handle] = t
	return handle
}

func (s *Server) issueRefresh(g grant) string {
	now := s.o.Now().Truncate(time.Second)
	handle := random(32) + "-1"
	s.tokens[handle] = &issued{
		client: g.client.ID, scopes: g.scopes, issuer: g.issuer, expires: now.Add(refreshLife), refresh: true,
		claims: map[string]any{
			"client_id": g.client.ID, "sub": g.user.Name, "iat": now.Unix(), "exp": now.Add(refreshLife).Unix(),
		},
	}
	return handle
}

func (s *Server) sign(typ string, claims map[string]any) string {
	signer, err := jose.NewSigner(s.signer, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err) // a key of ours
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err) // claims of ours
	}
	return token
}

// isForm parses a request's form, if that is what it brings.
func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return false
	}
	_ = r.ParseForm() // what can be read of it
	return true
}
