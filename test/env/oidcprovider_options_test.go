// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// Each option, and that a provider that stopped is gone.
func TestOIDCProviderOptions(t *testing.T) {
	rotating := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{RotateRegistrationToken: true}), t}
	made := rotating.register(introspects())
	at, key := made.text("registration_client_uri"), made.text("registration_access_token")
	put := rotating.manage(http.MethodPut, at, key, with(introspects(), "client_id", made.text("client_id")))
	next := put.text("registration_access_token")
	if put.status != http.StatusOK || next == "" || next == key {
		t.Errorf("no other registration access token: %+v", put)
	}
	for token, want := range map[string]int{key: http.StatusUnauthorized, next: http.StatusOK} {
		if got := rotating.manage(http.MethodGet, at, token, nil); got.status != want {
			t.Errorf("the old token must end at once, and the new one work: %+v, want %d", got, want)
		}
	}

	open := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{
		OpenRegistration: true, NoManagement: true, ExtraMetadata: []string{"software_id"}, Scopes: []string{"pay"},
	}), t}
	made = open.register(with(with(introspects(), "software_id", "0b1d"), "scope", "pay"))
	if made.text("software_id") != "0b1d" || made.text("scope") != "pay" {
		t.Errorf("the metadata or the scope were not kept: %+v", made)
	}
	// A registration access token all the same, and a read; but no change, and no deletion.
	at, key = made.text("registration_client_uri"), made.text("registration_access_token")
	for method, want := range map[string]int{http.MethodGet: http.StatusOK, http.MethodPut: http.StatusNotFound, http.MethodDelete: http.StatusNotFound} {
		if got := open.manage(method, at, key, with(introspects(), "client_id", made.text("client_id"))); got.status != want {
			t.Errorf("%s without management: %+v, want %d", method, got, want)
		}
	}
	bare := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{NoRegistrationToken: true}), t}
	if made = bare.register(introspects()); made.body["registration_access_token"] != nil || made.body["registration_client_uri"] != nil {
		t.Errorf("a token to manage it with, and yet: %v", made.body)
	}
	if err := open.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, open.URL+"/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Error("it answers after Stop", resp.Body.Close())
	}
}

// Keys in place of a secret (RFC 7523, RFC 7591 jwks): a PUT changes them, several stand side by side.
func TestOIDCProviderTakesKeys(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	first, second := newSigner(t, "first"), newSigner(t, "second")
	metadata := with(with(introspects(), "token_endpoint_auth_method", "private_key_jwt"), "jwks", jwks(first))
	made := o.register(metadata)
	id, at, key := made.text("client_id"), made.text("registration_client_uri"), made.text("registration_access_token")
	if made.body["client_secret"] != nil || made.body["client_secret_expires_at"] != nil {
		t.Errorf("a secret that nobody needs: %v", made.body)
	}
	token := o.token(env.OIDCProviderOpaque)
	put := func(keys ...signer) said {
		t.Helper()
		return o.manage(http.MethodPut, at, key, with(with(metadata, "client_id", id), "jwks", jwks(keys...)))
	}
	for i, tc := range []struct {
		reason        string
		keys          []signer // put before, if any
		signer        signer
		audience, jti string
		good          bool
	}{
		{"the assertion is for the issuer", nil, first, o.Issuer, "1", true},
		{"the same assertion does not pass again", nil, first, o.Issuer, "1", false},
		{"nor one for somebody else", nil, first, "https://elsewhere.example.com", "2", false},
		{"a key that it does not know", nil, second, o.Issuer, "3", false},
		{"two keys: the old one goes on", []signer{first, second}, first, o.Issuer, "4", true},
		{"two keys: the new one works", nil, second, o.Issuer, "5", true},
		{"the old key is taken away", []signer{second}, first, o.Issuer, "6", false},
		{"and the new one stays", nil, second, o.Issuer, "7", true},
	} {
		if tc.keys != nil {
			if got := put(tc.keys...); got.status != http.StatusOK {
				t.Fatalf("%d: putting keys: %+v", i, got)
			}
		}
		got := o.do(http.MethodPost, o.URL+"/token/introspection", "application/x-www-form-urlencoded", form("token", token,
			"client_id", id, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			"client_assertion", tc.signer.assertion(t, id, tc.audience, tc.jti)).Encode(), nil)
		if tc.good && (got.status != http.StatusOK || got.body["active"] != true) {
			t.Errorf("%s: %+v", tc.reason, got)
		}
		if !tc.good && got.refusal() != notProven() {
			t.Errorf("%s: %+v", tc.reason, got)
		}
	}
}

// notProven is how a client is refused.
func notProven() refusal { return refusal{401, "invalid_client", "client authentication failed"} }

func TestOIDCProviderTurnsFromKeysToSecrets(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	metadata := with(with(introspects(), "token_endpoint_auth_method", "private_key_jwt"), "jwks", jwks(newSigner(t, "first")))
	made := o.register(metadata)
	id, at, key := made.text("client_id"), made.text("registration_client_uri"), made.text("registration_access_token")
	// It makes a secret.
	secret := o.manage(http.MethodPut, at, key, with(introspects(), "client_id", id))
	if secret.status != http.StatusOK || secret.text("client_secret") == "" {
		t.Errorf("from a key to a secret: %+v", secret)
	}
	ask := func() said {
		t.Helper()
		return o.post("/token/introspection", id, secret.text("client_secret"), form("token", o.token(env.OIDCProviderOpaque)))
	}
	if got := ask(); got.body["active"] != true {
		t.Errorf("the secret does not work: %+v", got)
	}
	// And back: the secret stays in its answers, and is none that works.
	back := o.manage(http.MethodPut, at, key, with(metadata, "client_id", id))
	if back.status != http.StatusOK || back.text("client_secret") != secret.text("client_secret") {
		t.Errorf("from a secret to a key: %+v", back)
	}
	if got := ask(); got.refusal() != notProven() {
		t.Errorf("the secret of a client with keys: %+v", got)
	}
}

// signer is a private key, and the id of its public one.
type signer struct {
	kid string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, key}
}

func jwks(signers ...signer) map[string]any {
	keys := []jose.JSONWebKey{}
	for _, s := range signers {
		keys = append(keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: "ES256", Use: "sig"})
	}
	return map[string]any{"keys": keys}
}

func (s signer) assertion(t *testing.T, id, audience, jti string) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(made).Claims(jwt.Claims{
		Issuer: id, Subject: id, Audience: jwt.Audience{audience}, ID: jti,
		IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
