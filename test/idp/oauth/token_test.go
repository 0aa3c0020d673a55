// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestTokens(t *testing.T) {
	now := time.Now()
	o := options()
	o.Now = func() time.Time { return now }
	w := start(t, o)
	client := w.register(introspects())
	got := w.post("/introspect", client.text("client_id"), client.text("client_secret"), "token", w.token("scope", "orders.read").text("access_token"))
	delete(got.body, "jti")
	want := map[string]any{
		"active": true, "iss": w.Issuer(), "sub": "web", "client_id": "web", "scope": "orders.read", "aud": "https://orders.example.com",
		"token_type": "Bearer", "iat": float64(now.Unix()), "exp": float64(now.Add(10 * time.Minute).Unix()),
	}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		reason string
		form   []string
		want   refusal
	}{
		"scope":    {"a scope that the client has not", []string{"grant_type", "client_credentials", "scope", "x"}, refusal{400, "invalid_scope"}},
		"resource": {"a resource is a URI", []string{"grant_type", "client_credentials", "resource", "x"}, refusal{400, "invalid_target"}},
		"grant":    {"there is no password", []string{"grant_type", "password"}, refusal{400, "unsupported_grant_type"}},
		"user":     {"nobody", []string{"grant_type", oauth.UserGrant, "username", "bob"}, refusal{400, "invalid_grant"}},
		"refresh":  {"no such token", []string{"grant_type", "refresh_token", "refresh_token", "x"}, refusal{400, "invalid_grant"}},
	} {
		if diff := cmp.Diff(tc.want, w.post("/token", "web", "web+secret", tc.form...).refusal()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
	if got := w.post("/token", client.text("client_id"), client.text("client_secret"), "grant_type", "client_credentials").refusal(); got != (refusal{400, "unauthorized_client"}) {
		t.Errorf("a client without a grant: %+v", got)
	}
	if got := w.post("/introspect", client.text("client_id"), "x", "token", "x").refusal(); got != (refusal{401, "invalid_client"}) {
		t.Errorf("a bad secret: %+v", got)
	}
	old := w.token().text("access_token")
	now = now.Add(11 * time.Minute)
	if w.active(client, old) {
		t.Error("a token that ended is active")
	}
	if w.active(client, w.token().text("access_token")) != true || w.active(client, "x") {
		t.Error("a new token must be active, and none that was never issued")
	}
}

func TestEnds(t *testing.T) {
	w := start(t, options())
	client := w.register(introspects())
	user := func() said {
		got := w.post("/token", "web", "web+secret", "grant_type", oauth.UserGrant, "username", "alice", "resource", "https://a.example.com")
		if got.status != http.StatusOK || !w.active(client, got.text("access_token")) || w.active(client, got.text("refresh_token")) {
			t.Fatalf("alice's token: %+v", got)
		}
		return got
	}
	first := user()
	again := w.post("/token", "web", "web+secret", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"))
	if !w.active(client, again.text("access_token")) {
		t.Errorf("the refreshed token: %+v", again)
	}
	if used := w.post("/token", "web", "web+secret", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token")).refusal(); used.Error != "invalid_grant" {
		t.Errorf("a refresh token works once: %+v", used)
	}
	for name, end := range map[string]func(said){
		"logout":         func(said) { w.Logout("alice") },
		"disable":        func(said) { w.Disable("alice"); t.Cleanup(func() { w.Enable("alice") }) },
		"revoke":         func(s said) { w.post("/revoke", "web", "web+secret", "token", s.text("access_token")) },
		"revoke refresh": func(s said) { w.post("/revoke", "web", "web+secret", "token", s.text("refresh_token")) },
	} {
		t.Run(name, func(t *testing.T) {
			w.Enable("alice")
			got := user()
			w.post("/revoke", "jwt", "s", "token", got.text("access_token"))
			if !w.active(client, got.text("access_token")) {
				t.Fatal("somebody else revoked it")
			}
			end(got)
			if w.active(client, got.text("access_token")) {
				t.Error("the token is active still")
			}
		})
	}
}

func TestJWT(t *testing.T) {
	o := options()
	o.OnlyAudience = true
	w := start(t, o)
	client := w.register(introspects())
	got := w.post("/token", "jwt", "s", "grant_type", "client_credentials", "resource", "urn:"+client.text("client_id")).text("access_token")
	keys := w.do(http.MethodGet, w.URL()+"/jwks", "", "", nil)
	encoded, err := json.Marshal(keys.body)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(encoded, &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(got, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(set, &claims); err != nil || claims.Issuer != w.Issuer() || parsed.Headers[0].ExtraHeaders["typ"] != "at+jwt" {
		t.Errorf("the JWT: %+v, error %v", claims, err)
	}
	if w.active(client, got) {
		t.Error("the token does not name the client in aud, and is active for it")
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	w := start(t, options())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}
	made := w.register(with(with(introspects(), "token_endpoint_auth_method", "private_key_jwt"), "jwks", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}))
	if made.body["client_secret"] != nil {
		t.Error("a client with keys needs no secret")
	}
	assertion := func(audience, jti string, end time.Duration) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		id := made.text("client_id")
		value, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: id, Subject: id, Audience: jwt.Audience{audience}, ID: jti, Expiry: jwt.NewNumericDate(time.Now().Add(end)),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	ask := func(assertion string) int {
		return w.post("/introspect", "", "", "token", "x", "client_assertion", assertion,
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").status
	}
	once := assertion(w.Issuer(), "1", time.Minute)
	for _, tc := range []struct {
		reason    string
		assertion string
		want      int
	}{
		{"as it must be", once, 200},
		{"each works once", once, 401},
		{"the audience is the issuer", assertion(w.Issuer()+"/introspect", "2", time.Minute), 401},
		{"it must have an id", assertion(w.Issuer(), "", time.Minute), 401},
		{"it has ended", assertion(w.Issuer(), "3", -2*time.Minute), 401},
		{"it would be remembered for ever", assertion(w.Issuer(), "4", 2*time.Hour), 401},
	} {
		if got := ask(tc.assertion); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.reason, got, tc.want)
		}
	}
}
