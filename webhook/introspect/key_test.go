// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

// newKey is a private key, and its PEM as PKCS#8.
func newKey(t *testing.T, curve elliptic.Curve) (private *ecdsa.PrivateKey, pkcs8 []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, inPKCS8(t, private)
}

func inPKCS8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("PRIVATE KEY", der)
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// parseKey is ParseKey of a key that is good.
func parseKey(t *testing.T, pemKey []byte, id string) *introspect.Key {
	t.Helper()
	key, err := introspect.ParseKey(pemKey, id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseKey(t *testing.T) {
	private, pkcs8 := newKey(t, elliptic.P256())
	_, p384 := newKey(t, elliptic.P384())
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1 := inPEM("EC PRIVATE KEY", der)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		pem    []byte
		id     string
		want   string
	}{
		"PKCS#8":        {"as we make it", pkcs8, "k1", ""},
		"SEC 1":         {"as openssl ec makes it", sec1, "k1", ""},
		"parameters":    {"as openssl ecparam -genkey makes it", append(inPEM("EC PARAMETERS", []byte("canary")), sec1...), "k1", ""},
		"P-384":         {"ES256 wants P-256", p384, "k1", "no EC key on the curve P-256"},
		"RSA, PKCS#8":   {"ES256 wants an EC key", inPKCS8(t, rsaKey), "k1", "no EC key on the curve P-256"},
		"RSA, PKCS#1":   {"ES256 wants an EC key", inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "k1", "no EC key on the curve P-256"},
		"encrypted":     {"nobody has the password", inPEM("ENCRYPTED PRIVATE KEY", []byte("canary")), "k1", "is encrypted"},
		"old encrypted": {"nobody has the password", []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nY2FuYXJ5\n-----END EC PRIVATE KEY-----\n"), "k1", "is encrypted"},
		"certificate":   {"the other half", inPEM("CERTIFICATE", der), "k1", "something else than a private key"},
		"broken":        {"half a key", inPEM("PRIVATE KEY", []byte("canary")), "k1", "no PKCS#8 or SEC 1 key"},
		"text":          {"a client secret in its place", []byte("canary"), "k1", "is not PEM"},
		"empty":         {"no key", nil, "k1", "is not PEM"},
		"huge":          {"CVE-2024-12401: parsing it burns CPU", make([]byte, 16<<10+1), "k1", "larger than 16 KiB"},
		"no id":         {"the server could not tell two keys apart", pkcs8, "", "key id"},
		"line feed":     {"a file with one at its end: no server knows that id", pkcs8, "canary\n", "key id"},
		"long id":       {"bounded", pkcs8, strings.Repeat("k", 256), "key id"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			key, err := introspect.ParseKey(c.pem, c.id)
			if (err == nil) != (c.want == "") || (key == nil) != (err != nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.reason, err)
			}
			noCanary(t, err)
		})
	}
}

// TestAssertion: RFC 7523 section 3, and what Keycloak and Duende take of it.
func TestAssertion(t *testing.T) {
	private, pkcs8 := newKey(t, elliptic.P256())
	key := parseKey(t, pkcs8, "k1")
	now := time.Unix(1_800_000_000, 9)
	assertion, err := key.Assertion("shop.orders", issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	header, got := verified(t, assertion, &private.PublicKey)
	if header.KeyID != "k1" || header.Algorithm != "ES256" || header.ExtraHeaders[jose.HeaderType] != "JWT" || header.JSONWebKey != nil {
		t.Errorf("header %+v", header)
	}
	if id, _ := got["jti"].(string); len(id) < 22 {
		t.Errorf("jti %q has less than 128 bits", id)
	}
	delete(got, "jti")
	if diff := cmp.Diff(map[string]any{
		"iss": "shop.orders", "sub": "shop.orders", "aud": issuer, "iat": 1.8e9, "nbf": 1.8e9, "exp": 1.8e9 + 60,
	}, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	for name, of := range map[string][2]string{"no client": {"", issuer}, "no audience": {"shop.orders", ""}} {
		if assertion, err := key.Assertion(of[0], of[1], now); err == nil || assertion != "" {
			t.Errorf("%s: an assertion that proves nothing, or anything", name)
		}
	}
}

// verified is an assertion's header, and its claims.
func verified(t *testing.T, assertion introspect.Secret, public *ecdsa.PublicKey) (header jose.Header, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(assertion.Reveal(), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header, claims
}

// TestAssertionIsFresh: a server takes each once, and calls are made at once.
func TestAssertionIsFresh(t *testing.T) {
	private, pkcs8 := newKey(t, elliptic.P256())
	key := parseKey(t, pkcs8, "k1")
	made := make([]introspect.Secret, 16)
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() {
			assertion, err := key.Assertion("shop.orders", issuer, time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Error(err)
			}
			made[i] = assertion
		})
	}
	wg.Wait()
	seen := map[any]bool{}
	for _, assertion := range made {
		_, claims := verified(t, assertion, &private.PublicKey)
		if seen[claims["jti"]] {
			t.Error("a jti twice")
		}
		seen[claims["jti"]] = true
		if len(assertion) != len(made[0]) {
			t.Error("another length: a request that is sent again has the first one's Content-Length")
		}
	}
}

func TestFingerprint(t *testing.T) {
	_, first := newKey(t, elliptic.P256())
	_, second := newKey(t, elliptic.P256())
	secret := func(id, value string) introspect.Credential {
		return introspect.Credential{ClientID: id, Secret: introspect.Secret(value)}
	}
	key := func(pemKey []byte, id string) introspect.Credential {
		return introspect.Credential{ClientID: "a", Key: parseKey(t, pemKey, id)}
	}
	account := func(id string) introspect.Credential {
		return introspect.Credential{ClientID: "a", Assertion: &introspect.Assertion{ID: id}}
	}
	cases := map[string]struct {
		reason string
		a, b   introspect.Credential
		same   bool
	}{
		"same secret":      {"by content", secret("a", "s"), secret("a", "s"), true},
		"other secret":     {"rotated", secret("a", "s"), secret("a", "t"), false},
		"other client":     {"another identity", secret("a", "s"), secret("b", "s"), false},
		"moved boundary":   {"no two lists run into one", secret("a", "bs"), secret("ab", "s"), false},
		"quote":            {"no two lists run into one", secret(`a" "b`, "s"), secret("a", `b" "s`), false},
		"space":            {"no two lists run into one", secret("a b", "s"), secret("a", "b s"), false},
		"bytes":            {"not text: JSON would make one of the two", secret("a", "\xff"), secret("a", "\xfe"), false},
		"same key":         {"read twice, by content", key(first, "k"), key(first, "k"), true},
		"other key":        {"rotated", key(first, "k"), key(second, "k"), false},
		"other key id":     {"the server looks it up by that", key(first, "k"), key(first, "l"), false},
		"same account":     {"whatever its source", account("a"), account("a"), true},
		"other account":    {"another identity", account("a"), account("b"), false},
		"secret, account":  {"the form is part of it", secret("a", "b"), account("b"), false},
		"secret and a key": {"the key is what is used", introspect.Credential{ClientID: "a", Secret: "s", Key: key(first, "k").Key}, key(first, "k"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.a.Fingerprint() == c.b.Fingerprint(); got != c.same {
				t.Errorf("%s: the same: %t", c.reason, got)
			}
		})
	}
}

func TestKeyNeverPrints(t *testing.T) {
	private, pkcs8 := newKey(t, elliptic.P256())
	key := parseKey(t, pkcs8, "canary")
	as := introspect.Credential{ClientID: "shop.orders", Key: key}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&printed, verb+verb+verb, key, *key, as)
	}
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("x", "key", key, "credential", as)
	if err := json.NewEncoder(&printed).Encode([]any{key, as, *key}); err != nil {
		t.Fatal(err)
	}
	d, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"canary", fmt.Sprintf("%x", d[:8]), fmt.Sprintf("%d", d[:4]), "0x"} {
		if strings.Contains(printed.String(), leak) {
			t.Errorf("%q is printed: %s", leak, printed.String())
		}
	}
}
