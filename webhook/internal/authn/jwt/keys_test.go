// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
)

// TestKeysOfAJWKS: one key, in all the states that a server may publish it in, beside
// others that are broken.
func TestKeysOfAJWKS(t *testing.T) {
	ec := ecKey(t, elliptic.P256())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private := func(key any) object {
		b, err := jose.JSONWebKey{Key: key, KeyID: "k"}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var out object
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	secret := []byte("0123456789abcdef0123456789abcdef")
	es, rs, hs := header("k"), with(header("k"), object{"alg": "RS256"}), with(header("k"), object{"alg": "HS256"})
	good := func(other object) object { return jwk(t, ec.Public(), "k", other) }
	cases := map[string]struct {
		reason string
		keys   []any
		header object
		key    any
		want   string
	}{
		"plain":             {"a key", []any{good(nil)}, es, ec, "ok"},
		"broken beside":     {"one must not spoil the others", []any{7, "x", nil, object{}, object{"kty": "EC", "kid": "k", "crv": "P-256", "x": "AA", "y": "AA"}, object{"kty": "RSA", "n": "", "e": "??"}, good(nil)}, es, ec, "ok"},
		"unknown beside":    {"RFC 7517 5: unknown kinds are ignored", []any{object{"kty": "AKP", "alg": "X"}, object{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, object{"kty": "OKP", "crv": "X25519", "x": "AA"}, good(nil)}, es, ec, "ok"},
		"odd certificate":   {"one that Go can't read must not cost the key", []any{good(object{"x5c": []string{"AAAA"}, "x5t": "??", "x5u": ":"})}, es, ec, "ok"},
		"for encryption":    {"RFC 7517 4.2", []any{good(object{"use": "enc"})}, es, ec, unavailable},
		"ops of encryption": {"RFC 7517 4.3", []any{good(object{"key_ops": []string{"encrypt"}})}, es, ec, unavailable},
		"enc, sig":          {"Keycloak publishes both", []any{jwk(t, rsaKey().Public(), "e", object{"use": "enc", "alg": "RSA-OAEP"}), good(object{"use": "sig"})}, es, ec, "ok"},
		"small RSA":         {"RFC 7518 3.3: 2048 bits", []any{jwk(t, small.Public(), "k", nil)}, rs, small, unavailable},
		"private EC":        {"whoever read it signs", []any{private(ec)}, es, ec, unavailable},
		"private RSA":       {"whoever read it signs", []any{private(rsaKey())}, rs, rsaKey(), unavailable},
		"leaked prime":      {"a public key beside which its secret stands", []any{jwk(t, rsaKey().Public(), "k", object{"p": "AQAB"})}, rs, rsaKey(), unavailable},
		"symmetric":         {"whoever read it signs", []any{private(secret)}, hs, secret, "invalid_signature"},
		"none":              {"nothing to tell with", []any{}, es, ec, unavailable},
		"same kid twice":    {"a kid is a hint: all of it are tried", []any{jwk(t, ecKey(t, elliptic.P256()).Public(), "k", nil), jwk(t, rsaKey().Public(), "k", nil), good(nil)}, es, ec, "ok"},
		"fourth":            {"four are tried", append(others(t, 3, "k"), good(nil)), es, ec, "ok"},
		"fifth":             {"and no more: they cost", append(others(t, 4, "k"), good(nil)), es, ec, wrongSignature},
		"fifth, no kid":     {"and no more: they cost", append(others(t, 4, "x"), good(nil)), with(es, object{"kid": nil}), ec, wrongSignature},
		"100":               {"as many as anybody has", append(many(99), good(nil)), es, ec, "ok"},
		"101":               {"more is no JWKS", append(many(100), good(nil)), es, ec, unavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := open(t, &server{}, func(o *jwt.Options) {
				o.Keys = func(context.Context) ([]byte, error) { return json.Marshal(object{"keys": c.keys}) }
			})
			if got := verify(t, v, sign(t, c.header, claims(), c.key)); got != c.want {
				t.Errorf("%s: %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func many(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = object{"kty": "EC"}
	}
	return out
}

func others(t *testing.T, n int, kid string) []any {
	t.Helper()
	out := make([]any, n)
	for i := range out {
		out[i] = jwk(t, ecKey(t, elliptic.P256()).Public(), kid, nil)
	}
	return out
}

func TestDocumentsThatAreNoJWKS(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	raw := sign(t, header("k"), claims(), key)
	one := encodeJSON(t, jwk(t, key.Public(), "k", nil))
	cases := map[string]string{
		"empty":      "",
		"HTML":       "<html>canary</html>",
		"null":       "null",
		"list":       "[" + one + "]",
		"no keys":    "{}",
		"null keys":  `{"keys":null}`,
		"upper case": `{"KEYS":[` + one + `]}`,
		"object":     `{"keys":{"k":` + one + `}}`,
		"cut":        `{"keys":[` + one,
		"two":        `{"keys":[` + one + `]}{}`,
		"too large":  `{"keys":[` + one + `],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
	}
	for name, document := range cases {
		t.Run(name, func(t *testing.T) {
			v := open(t, &server{}, func(o *jwt.Options) {
				o.Keys = func(context.Context) ([]byte, error) { return []byte(document), nil }
			})
			if got := verify(t, v, raw); got != unavailable {
				t.Errorf("%s", got)
			}
			err := v.Warm(t.Context())
			if outcome(t, err) != unavailable {
				t.Fatalf("warm: %v", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes the document: %v", err)
			}
		})
	}
}

// TestCurvesAreOfTheirAlgorithms: RFC 7518 section 3.4, each with each.
func TestCurvesAreOfTheirAlgorithms(t *testing.T) {
	curves := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
	for of, curve := range curves {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s := &server{}
		s.publish(jwk(t, key.Public(), "k", nil))
		v := open(t, s, nil)
		for alg := range curves {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(of), Key: key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign([]byte(encodeJSON(t, claims())))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if alg != of { // another name for the same signature
				_, rest, _ := strings.Cut(raw, ".")
				raw = encode(t, with(header("k"), object{"alg": alg})) + "." + rest
			}
			if got := verify(t, v, raw); (got == "ok") != (alg == of) {
				t.Errorf("a key for %s with %s: %s", of, alg, got)
			}
		}
	}
}
