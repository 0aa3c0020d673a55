// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

// keys are the test's own, in place of those that the recording does not have.
type keys struct {
	rsa, ec, other jose.JSONWebKey
}

func newKeys(t *testing.T) keys {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return keys{
		rsa:   jose.JSONWebKey{Key: r, KeyID: "r1", Algorithm: string(jose.RS256), Use: "sig"},
		ec:    newEC(t, "e1"),
		other: newEC(t, "e1"),
	}
}

func newEC(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
}

// swap puts these keys in place of the recorded ones.
func (k keys) swap(t *testing.T, body string) string {
	t.Helper()
	var in map[string]any
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	secrets, _ := in["secrets"].([]any)
	swapped := 0
	for _, s := range secrets {
		secret, _ := s.(map[string]any)
		for _, key := range []jose.JSONWebKey{k.rsa, k.ec} {
			if secret["id"] != key.KeyID {
				continue
			}
			public, err := json.Marshal(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			secret["value"] = string(public)
			swapped++
		}
	}
	if swapped != 2 {
		t.Fatalf("%d keys swapped, want 2", swapped)
	}
	out, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// assertion is one of orders-api (RFC 7523).
type assertion struct {
	key jose.JSONWebKey
	aud any
	exp int64
	typ string
}

func (a assertion) sign(t *testing.T) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if a.typ != "" {
		o = o.WithType(jose.ContentType(a.typ))
	}
	return signed(t, a.key, o, map[string]any{
		"iss": "orders-api", "sub": "orders-api", "aud": a.aud, "exp": a.exp, "iat": a.exp - 60, "jti": rand.Text(),
	})
}

// proof is a DPoP proof for a POST (RFC 9449).
func (k keys) proof(t *testing.T, target string, now int64) string {
	t.Helper()
	o := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	return signed(t, jose.JSONWebKey{Key: k.ec.Key}, o, map[string]any{"htm": "POST", "htu": target, "iat": now, "jti": rand.Text()})
}

func signed(t *testing.T, key jose.JSONWebKey, o *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	algorithm := jose.ES256
	if _, ok := key.Key.(*rsa.PrivateKey); ok {
		algorithm = jose.RS256
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// compareSigned looks at an answer by RFC 9701, of which the recording only says that it is a JWT.
func (keys) compareSigned(t *testing.T, body string) {
	t.Helper()
	parsed, err := jwt.ParseSigned(body, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatalf("the body is no signed JWT: %v", err)
	}
	if typ := parsed.Headers[0].ExtraHeaders[jose.HeaderType]; typ != "token-introspection+jwt" {
		t.Errorf("typ %v, want token-introspection+jwt", typ)
	}
	var claims map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	if inner, ok := claims["token_introspection"].(map[string]any); !ok || inner["active"] == nil {
		t.Errorf("token_introspection %v, want an answer", claims["token_introspection"])
	}
	delete(claims, "token_introspection")
	if _, ok := claims["iat"].(float64); !ok {
		t.Errorf("iat %v, want a number", claims["iat"])
	}
	delete(claims, "iat")
	if diff := cmp.Diff(map[string]any{"iss": recordedIssuer, "aud": "orders-api"}, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// trusting is a client that trusts a server's certificate.
func trusting(t *testing.T, pem []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}
