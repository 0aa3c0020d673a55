// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// recordedCluster is the issuer of the ServiceAccounts' tokens in the recording.
const recordedCluster = "http://127.0.0.1:44591"

// assertion is what stands for {{jwt}} in an exchange.
type assertion struct {
	key string // r1, e1, e2, wrong for another key of the name e1, sa for the cluster's
	sub string // default shop.orders
	aud []string
	exp time.Duration // default 30 s
	id  string        // default a fresh one
}

const (
	byClient  = "private_key_jwt/"
	byAccount = "federated-jwt (a Kubernetes ServiceAccount)/"
	orders    = "system:serviceaccount:introspection:orders"
)

var assertions = map[string]assertion{
	byClient + "RSA, aud issuer":            {key: "r1"},
	byClient + "EC, aud issuer":             {key: "e1"},
	byClient + "aud token endpoint":         {key: "e1", aud: []string{"/protocol/openid-connect/token"}},
	byClient + "aud introspection endpoint": {key: "e1", aud: []string{"/protocol/openid-connect/token/introspect"}},
	byClient + "aud array of one":           {key: "e1", aud: []string{""}},
	byClient + "aud array of two":           {key: "e1", aud: []string{"", "/protocol/openid-connect/token"}},
	byClient + "used once":                  {key: "e1", id: "once"},
	byClient + "used again":                 {key: "e1", id: "once"},
	byClient + "exp in 5 minutes":           {key: "e1", exp: 5 * time.Minute},
	byClient + "expired":                    {key: "e1", exp: -time.Minute},
	byClient + "of another key":             {key: "wrong"},
	byClient + "old RSA key":                {key: "r1"},
	byClient + "new EC key at once":         {key: "e2"},
	byClient + "kept EC key":                {key: "e1"},

	byAccount + "introspect with a ServiceAccount token": {key: "sa", sub: orders, id: "again"},
	byAccount + "the same token again: reuse is allowed": {key: "sa", sub: orders, id: "again"},
	byAccount + "lives an hour":                          {key: "sa", sub: orders, exp: time.Hour},
	byAccount + "lives longer than an hour":              {key: "sa", sub: orders, exp: 3 * time.Hour},
	byAccount + "another subject":                        {key: "sa", sub: "system:serviceaccount:introspection:other"},
	byAccount + "aud two":                                {key: "sa", sub: orders, aud: []string{"", "/protocol/openid-connect/token"}},
	byAccount + "aud token endpoint":                     {key: "sa", sub: orders, aud: []string{"/protocol/openid-connect/token"}},
	byAccount + "expired":                                {key: "sa", sub: orders, exp: -time.Minute},
	byAccount + "then":                                   {key: "sa", sub: orders},
	byAccount + "token by ServiceAccount token":          {key: "sa", sub: "system:serviceaccount:introspection-system:controller"},
}

// signer has the keys that the recording has not, and is the cluster's issuer.
type signer struct {
	keys    map[string]jose.JSONWebKey
	cluster string
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{keys: map[string]jose.JSONWebKey{}}
	for _, name := range []string{"r1", "e1", "e2", "wrong", "sa"} {
		var private crypto.Signer
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		k := jose.JSONWebKey{KeyID: name, Algorithm: string(jose.ES256), Use: "sig"}
		if name == "r1" || name == "sa" { // the API server signs by RS256
			private, err = rsa.GenerateKey(rand.Reader, 2048)
			k.Algorithm = string(jose.RS256)
		}
		if err != nil {
			t.Fatal(err)
		}
		k.Key = private
		s.keys[name] = k
	}
	wrong := s.keys["wrong"]
	wrong.KeyID = "e1"
	s.keys["wrong"] = wrong
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.cluster, "jwks_uri": s.cluster + "/openid/v1/jwks"})
	})
	mux.HandleFunc("/openid/v1/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.public("sa")}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.cluster = server.URL
	return s
}

func (s *signer) public(name string) jose.JSONWebKey {
	k := s.keys[name]
	return k.Public()
}

// body is an exchange's body with our keys and assertions in it.
func (s *signer) body(t *testing.T, p *player, e exchange) string {
	t.Helper()
	if strings.Contains(e.Body, "client_assertion={{jwt}}") {
		a, ok := assertions[e.Name]
		if !ok {
			t.Fatal("nothing says what to assert")
		}
		return strings.ReplaceAll(e.Body, "{{jwt}}", url.QueryEscape(s.sign(t, p, a)))
	}
	if !strings.Contains(e.Body, "jwks.string") {
		return e.Body
	}
	var rep map[string]any
	if err := json.Unmarshal([]byte(e.Body), &rep); err != nil {
		t.Fatal(err)
	}
	attributes, _ := rep["attributes"].(map[string]any)
	recorded, _ := attributes["jwks.string"].(string)
	var named struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(recorded), &named); err != nil || len(named.Keys) == 0 {
		t.Fatalf("keys: %v", err)
	}
	var ours jose.JSONWebKeySet
	for _, k := range named.Keys {
		ours.Keys = append(ours.Keys, s.public(k.ID))
	}
	attributes["jwks.string"] = encoded(t, ours)
	return encoded(t, rep)
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func (s *signer) sign(t *testing.T, p *player, a assertion) string {
	t.Helper()
	k := s.keys[a.key]
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: k}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.exp == 0 {
		a.exp = 30 * time.Second
	}
	claims := jwt.Claims{Subject: a.sub, ID: a.id, IssuedAt: jwt.NewNumericDate(p.now), Expiry: jwt.NewNumericDate(p.now.Add(a.exp))}
	if a.sub == "" {
		claims.Subject = "shop.orders"
	}
	claims.Issuer = claims.Subject
	if a.key == "sa" {
		claims.Issuer = s.cluster
	}
	if a.id == "" {
		claims.ID = rand.Text()
	}
	if len(a.aud) == 0 {
		a.aud = []string{""}
	}
	for _, path := range a.aud {
		claims.Audience = append(claims.Audience, p.server.Issuer()+path)
	}
	token, err := jwt.Signed(by).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
