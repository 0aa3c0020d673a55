// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// FuzzVerify: whatever comes, nothing but what the key signed gets in, and no refusal says a
// word of the token.
func FuzzVerify(f *testing.F) {
	key := ecKey(f, elliptic.P256())
	s := &server{}
	s.publish(jwk(f, key.Public(), "k", nil))
	v := open(f, s, func(o *jwt.Options) { o.Types = []string{"at+jwt", "JWT", ""} })
	good := sign(f, header("k"), claims(), key)
	f.Add(good)
	for _, seed := range []string{
		"", "..", "...", "a.b.c", "e30.e30.e30", strings.Repeat(".", 8<<10), good + ".", good + "==", "{}", good[:len(good)-1],
		sign(f, object{"alg": "none"}, claims(), nil), sign(f, with(header("k"), object{"crit": []string{"b64"}, "b64": false}), claims(), key),
		sign(f, with(header("k"), object{"jwk": jwk(f, key.Public(), "k", nil)}), claims(), ecKey(f, elliptic.P256())),
		rawSegment(`{"alg":"ES256","kid":"k"}`) + "." + strings.Repeat("W1t", 1000) + ".AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		facts, err := v.Verify(t.Context(), token.New(raw))
		if got := outcome(t, err); got == unavailable {
			t.Fatalf("a token made the keys unavailable: %v", err)
		}
		if (err == nil) != (facts != nil) || err == nil && raw != good {
			t.Fatalf("%q gets in", raw)
		}
		refused, ok := errors.AsType[*jwt.Refused](err)
		if ok && (refused.Reason == "" || strings.ContainsAny(refused.Message, "\"\\") || len(raw) > 40 && strings.Contains(refused.Message, raw)) {
			t.Fatalf("a refusal is no error_description: %+v", refused)
		}
	})
}

// FuzzKeys: whatever a server publishes is keys or an error.
func FuzzKeys(f *testing.F) {
	key := ecKey(f, elliptic.P256())
	raw := sign(f, header("k"), claims(), ecKey(f, elliptic.P256()))
	f.Add([]byte(`{"keys":[` + encodeJSON(f, jwk(f, key.Public(), "k", nil)) + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"AA"},null,7]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"k"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		v := open(t, &server{}, func(o *jwt.Options) {
			o.Keys = func(context.Context) ([]byte, error) { return document, nil }
		})
		if _, err := v.Verify(t.Context(), token.New(raw)); outcome(t, err) == "ok" {
			t.Fatal("a key that nobody has verifies a token")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ec := ecKey(b, elliptic.P256())
	s := &server{}
	s.publish(jwk(b, ec.Public(), "k", nil), jwk(b, rsaKey().Public(), "rsa", nil))
	body := with(claims(), object{"scope": "openid profile email", "azp": "web", "realm_access": object{"roles": []string{"user", "admin"}}, "jti": "0af76519-16cd-43dd-8448-eb211c80319c"})
	for name, raw := range map[string]string{
		"ES256":          sign(b, header("k"), body, ec),
		"RS256":          sign(b, with(header("rsa"), object{"alg": "RS256"}), body, rsaKey()),
		"wrongSignature": sign(b, header("k"), body, ecKey(b, elliptic.P256())),
		"dots":           strings.Repeat(".", 8<<10),
	} {
		b.Run(name, func(b *testing.B) {
			v, t := open(b, s, nil), token.New(raw)
			if err := v.Warm(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Verify(b.Context(), t)
			}
		})
	}
}
