// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// clusterAlias is what realms call the cluster.
const clusterAlias = "cluster"

// cluster signs for ServiceAccounts.
type cluster struct {
	issuer string
	// token is one of the ServiceAccount <name> in namespace introspection.
	token func(t *testing.T, name, audience string) provider.Secret
}

func subject(name string) string { return "system:serviceaccount:introspection:" + name }

// trust has the realm's administrator make the cluster an identity provider.
func (w *world) trust(t *testing.T, c cluster) {
	t.Helper()
	w.must(t, http.MethodPost, "/identity-provider/instances", map[string]any{
		"alias": clusterAlias, "providerId": "kubernetes", "enabled": true, "config": map[string]any{"issuer": c.issuer},
	})
	w.account = &providertest.ServiceAccount{
		Subject: subject("orders"),
		Token: func(t *testing.T, audience string) provider.Secret {
			t.Helper()
			return c.token(t, "orders", audience)
		},
	}
}

// standInCluster is a cluster as far as its issuer goes.
func standInCluster(t *testing.T) cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL, "jwks_uri": server.URL + "/openid/v1/jwks"})
	})
	mux.HandleFunc("/openid/v1/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"}}})
	})
	return cluster{issuer: server.URL, token: func(t *testing.T, name, audience string) provider.Secret {
		t.Helper()
		return signed(t, key, "k", jwt.Claims{Issuer: server.URL, Subject: subject(name), Audience: jwt.Audience{audience}})
	}}
}

// signed is an assertion for a minute.
func signed(t *testing.T, key crypto.Signer, id string, claims jwt.Claims) provider.Secret {
	t.Helper()
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims.ID, claims.IssuedAt, claims.Expiry = rand.Text(), jwt.NewNumericDate(time.Now()), jwt.NewNumericDate(time.Now().Add(time.Minute))
	token, err := jwt.Signed(by).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return provider.Secret(token)
}

// signsIn has a session sign in with assertions, and use it.
func signsIn(t *testing.T, w *world, s provider.SignIn, d provider.Desired) {
	t.Helper()
	session := w.session(t, func(c *provider.Config) { c.SignIn = s })
	report, err := session.Probe(t.Context())
	if err != nil || report.Rights != provider.RightsManage {
		t.Fatalf("rights %q, error %v", report.Rights, err)
	}
	created(t, session, d)
}

func trapKeySignIn(t *testing.T, w *world, _ *keycloak.Server, d provider.Desired) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "op", Algorithm: string(jose.ES256), Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.edit(t, "operator", map[string]any{
		"clientAuthenticatorType": "client-jwt", "attributes": map[string]any{"use.jwks.string": "true", "jwks.string": string(set)},
	})
	defer w.edit(t, "operator", map[string]any{"clientAuthenticatorType": "client-secret", "attributes": map[string]any{"use.jwks.string": "", "jwks.string": ""}})
	assert := func(by string) provider.SignIn {
		return provider.SignIn{ClientID: by, Assertion: func(context.Context) (provider.Secret, error) {
			return signed(t, key, "op", jwt.Claims{Issuer: by, Subject: by, Audience: jwt.Audience{w.issuer()}}), nil
		}}
	}
	signsIn(t, w, assert("operator"), d)
	_, err = w.session(t, func(c *provider.Config) { c.SignIn = assert("nobody") }).Probe(t.Context())
	wantKind(t, err, provider.KindCredentials)
}

// accountSignIn signs in as the ServiceAccount of the operator.
func accountSignIn(t *testing.T, w *world, c cluster) {
	t.Helper()
	w.edit(t, "operator", map[string]any{
		"clientAuthenticatorType": "federated-jwt",
		"attributes":              map[string]any{"jwt.credential.issuer": clusterAlias, "jwt.credential.sub": subject("controller")},
	})
	defer w.edit(t, "operator", map[string]any{"clientAuthenticatorType": "client-secret", "attributes": map[string]any{"jwt.credential.issuer": "", "jwt.credential.sub": ""}})
	assert := func(name string) provider.SignIn {
		return provider.SignIn{Assertion: func(context.Context) (provider.Secret, error) { return c.token(t, name, w.issuer()), nil }}
	}
	signsIn(t, w, assert("controller"), desired("made.by.account"))
	_, err := w.session(t, func(c *provider.Config) { c.SignIn = assert("stranger") }).Probe(t.Context())
	wantKind(t, err, provider.KindCredentials)
}

func TestAccountSignIn(t *testing.T) {
	_, w := fakeWorld(t)
	c := standInCluster(t)
	w.trust(t, c)
	accountSignIn(t, w, c)
}

// TestNoCluster: a realm that knows no cluster can't take its ServiceAccounts' tokens, and says so.
func TestNoCluster(t *testing.T) {
	_, w := fakeWorld(t)
	s := w.session(t)
	d := desired("no.cluster")
	d.Credentials.Current = provider.Credential{Method: provider.ServiceAccountJWT, ID: "1", Subject: subject("orders")}
	_, err := s.Create(t.Context(), d, providertest.Allow)
	if e := errorOf(t, err, provider.KindUnsupported); e.Advice == "" {
		t.Error("no advice")
	}
	if w.client(t, d.ClientID) != nil {
		t.Error("it was created all the same")
	}
}
