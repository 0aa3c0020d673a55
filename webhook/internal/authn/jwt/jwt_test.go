// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestForgedTokens(t *testing.T) {
	good, foreign := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	s := &server{}
	s.publish(jwk(t, good.Public(), "ec", nil), jwk(t, rsaKey().Public(), "rsa", nil), jwk(t, good.Public(), "es384", object{"alg": "ES384"}))
	v := open(t, s, nil)
	valid := sign(t, header("ec"), claims(), good)
	segments := strings.Split(valid, ".")
	cases := map[string]struct {
		reason string
		raw    string
		want   token.Reason
	}{
		"none":             {"RFC 8725 3.2: nobody signed it", sign(t, object{"alg": "none", "typ": "at+jwt"}, claims(), nil), token.ReasonInvalidSignature},
		"None":             {"a spelling of none", sign(t, object{"alg": "NoNe", "typ": "at+jwt", "kid": "ec"}, claims(), nil), token.ReasonInvalidSignature},
		"no alg":           {"RFC 7515 4.1.1: alg must be there", sign(t, object{"typ": "at+jwt", "kid": "ec"}, claims(), good), token.ReasonInvalidSignature},
		"HS256":            {"RFC 8725 2.1: the public key is no secret", sign(t, object{"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}, claims(), asPEM), token.ReasonInvalidSignature},
		"HS256 of DER":     {"the same in DER", sign(t, object{"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}, claims(), der), token.ReasonInvalidSignature},
		"RSA key for EC":   {"the algorithm must be of the key's kind", sign(t, object{"alg": "ES256", "typ": "at+jwt", "kid": "rsa"}, claims(), good), token.ReasonInvalidSignature},
		"EC key for RSA":   {"the algorithm must be of the key's kind", sign(t, object{"alg": "RS256", "typ": "at+jwt", "kid": "ec"}, claims(), good), token.ReasonInvalidSignature},
		"PS256 of RS256":   {"the algorithm is what it says", sign(t, object{"alg": "PS256", "typ": "at+jwt", "kid": "rsa"}, claims(), rsaKey()), token.ReasonInvalidSignature},
		"other curve":      {"ES384 is P-384", sign(t, object{"alg": "ES384", "typ": "at+jwt", "kid": "ec"}, claims(), good), token.ReasonInvalidSignature},
		"key's own alg":    {"a key for ES384 verifies no ES256", sign(t, header("es384"), claims(), good), token.ReasonInvalidSignature},
		"foreign key":      {"same kid, another key", sign(t, header("ec"), claims(), foreign), token.ReasonInvalidSignature},
		"unknown kid":      {"a key that nobody published", sign(t, header("evil"), claims(), good), token.ReasonInvalidSignature},
		"no signature":     {"nobody signed it", segments[0] + "." + segments[1] + ".", token.ReasonInvalidSignature},
		"other claims":     {"the signature is of other claims", segments[0] + "." + encode(t, with(claims(), object{"sub": "root"})) + "." + segments[2], token.ReasonInvalidSignature},
		"embedded jwk":     {"RFC 8725 3.5: the sender's key is the sender's", sign(t, with(header("ec"), object{"jwk": jwk(t, foreign.Public(), "ec", nil)}), claims(), foreign), token.ReasonInvalidSignature},
		"jwk, no kid":      {"the same without a kid", sign(t, with(header(""), object{"kid": nil, "jwk": jwk(t, foreign.Public(), "", nil)}), claims(), foreign), token.ReasonInvalidSignature},
		"jku":              {"the sender's address is not asked", sign(t, with(header("ec"), object{"jku": "https://evil.example.com/jwks"}), claims(), foreign), token.ReasonInvalidSignature},
		"x5u":              {"the sender's address is not asked", sign(t, with(header("ec"), object{"x5u": "https://evil.example.com/x"}), claims(), foreign), token.ReasonInvalidSignature},
		"x5c":              {"the sender's certificate is the sender's", sign(t, with(header("ec"), object{"x5c": []string{"AAAA"}}), claims(), foreign), token.ReasonInvalidSignature},
		"kid a path":       {"a kid is a name, no path", sign(t, header("../../dev/null"), claims(), []byte{}), token.ReasonInvalidSignature},
		"typ JWT":          {"RFC 9068 4: an ID token has it", sign(t, with(header("ec"), object{"typ": "JWT"}), claims(), good), token.ReasonInvalidTokenType},
		"typ logout":       {"another use of the same key", sign(t, with(header("ec"), object{"typ": "logout+jwt"}), claims(), good), token.ReasonInvalidTokenType},
		"typ RFC 9701":     {"an answer about a token is no token", sign(t, with(header("ec"), object{"typ": "token-introspection+jwt"}), claims(), good), token.ReasonInvalidTokenType},
		"typ absent":       {"not listed", sign(t, with(header("ec"), object{"typ": nil}), claims(), good), token.ReasonInvalidTokenType},
		"typ application/": {"a media type without a name is none", sign(t, with(header("ec"), object{"typ": "application/"}), claims(), good), token.ReasonInvalidTokenType},
		"typ a list":       {"typ is a string", sign(t, with(header("ec"), object{"typ": []string{"at+jwt"}}), claims(), good), token.ReasonMalformedToken},
		"crit":             {"RFC 7515 4.1.11: not understood is refused", sign(t, with(header("ec"), object{"crit": []string{"exp"}, "exp": 1}), claims(), good), token.ReasonMalformedToken},
		"empty crit":       {"RFC 7515 4.1.11: not allowed", sign(t, with(header("ec"), object{"crit": []string{}}), claims(), good), token.ReasonMalformedToken},
		"b64":              {"RFC 7797: another payload", sign(t, with(header("ec"), object{"b64": false}), claims(), good), token.ReasonMalformedToken},
		"nested":           {"RFC 7519 5.2: the claims are in another token", sign(t, with(header("ec"), object{"cty": "JWT"}), claims(), good), token.ReasonMalformedToken},
		"alg twice":        {"readers differ about which one counts", twice(t, good), token.ReasonMalformedToken},
		"JSON":             {"compact serialization only", `{"payload":"` + segments[1] + `","protected":"` + segments[0] + `","signature":"` + segments[2] + `"}`, token.ReasonMalformedToken},
		"five segments":    {"an encrypted token is none that we read", valid + ".d.e", token.ReasonMalformedToken},
		"padded":           {"RFC 7515: no padding", valid + "==", token.ReasonMalformedToken},
		"trailing bits":    {"RFC 4648 3.5: another spelling of one token", valid[:len(valid)-1] + string(valid[len(valid)-1]+1), token.ReasonMalformedToken},
		"line break":       {"Go's decoder skips it: two spellings of one token", segments[0] + "\n." + segments[1] + "." + segments[2], token.ReasonMalformedToken},
		"too long":         {"over the length nothing is read", valid + strings.Repeat("A", token.MaxLength), token.ReasonMalformedToken},
		"empty":            {"nothing", "", token.ReasonMalformedToken},
		"other issuer":     {"lua-resty-openidc #399: `iss` must be that server's", sign(t, header("ec"), with(claims(), object{"iss": issuer + "/"}), good), token.ReasonInvalidIssuer},
		"no issuer":        {"RFC 9068 2.2: iss must be there", sign(t, header("ec"), with(claims(), object{"iss": nil}), good), token.ReasonInvalidIssuer},
		"expired":          {"exp is the first instant at which it is not good", sign(t, header("ec"), with(claims(), object{"exp": time.Now().Unix()}), good), token.ReasonExpired},
		"no exp":           {"RFC 9068 2.2: exp must be there", sign(t, header("ec"), with(claims(), object{"exp": nil}), good), token.ReasonMalformedToken},
		"exp a string":     {"RFC 7519 2: a NumericDate is a number", sign(t, header("ec"), with(claims(), object{"exp": "9999999999"}), good), token.ReasonMalformedToken},
		"aud a number":     {"a form that no standard gives it", sign(t, header("ec"), with(claims(), object{"aud": 7}), good), token.ReasonMalformedToken},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := verify(t, v, c.raw); got != string(c.want) {
				t.Errorf("%s: %s, want %s", c.reason, got, c.want)
			}
		})
	}
	if got := verify(t, v, valid); got != "ok" {
		t.Errorf("the good one: %s", got)
	}
}

// twice has two algorithms in its header.
func twice(t *testing.T, key any) string {
	t.Helper()
	input := rawSegment(`{"alg":"none","typ":"at+jwt","kid":"ec","alg":"ES256"}`) + "." + encode(t, claims())
	return input + "." + rawSegment(string(signature(t, input, key)))
}

func TestGoodTokens(t *testing.T) {
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.publish(
		jwk(t, p256.Public(), "p256", object{"use": "sig", "alg": "ES256"}), jwk(t, rsaKey().Public(), "rsa", object{"key_ops": []string{"verify"}}),
		jwk(t, public, "ed", nil), jwk(t, p384.Public(), "p384", nil),
	)
	types := []string{"at+jwt", "JWT"}
	cases := map[string]struct {
		reason string
		types  []string
		header object
		key    any
	}{
		"ES256":       {"RFC 7518", nil, header("p256"), p256},
		"RS256":       {"RFC 9068 2.1: all must", nil, with(header("rsa"), object{"alg": "RS256"}), rsaKey()},
		"EdDSA":       {"RFC 8037", nil, with(header("ed"), object{"alg": "EdDSA"}), ed},
		"media type":  {"RFC 9068 2.1: with application/ too", nil, with(header("p256"), object{"typ": "application/AT+JWT"}), p256},
		"keycloak":    {"Keycloak says JWT", types, with(header("p256"), object{"typ": "JWT"}), p256},
		"absent typ":  {"RFC 7519 5.1: typ is optional", types, with(header("p256"), object{"typ": nil}), p256},
		"only absent": {"Kubernetes says no typ", []string{""}, with(header("p256"), object{"typ": nil}), p256},
		"no kid":      {"one key fits", nil, with(header(""), object{"kid": nil}), p256},
		"jku":         {"the sender's words are ignored, the token is good", nil, with(header("p256"), object{"jku": "https://evil.example.com", "x5t": "AAAA"}), p256},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := open(t, s, func(o *jwt.Options) { o.Types = c.types })
			if got := verify(t, v, sign(t, c.header, claims(), c.key)); got != "ok" {
				t.Errorf("%s: %s", c.reason, got)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	s := &server{}
	s.publish(jwk(t, key.Public(), "ec", nil))
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	raw := sign(t, header("ec"), object{"iss": issuer, "sub": "alice", "azp": "web", "aud": []string{"a", "b"}, "scope": "r w", "exp": exp.Unix()}, key)
	got, err := open(t, s, nil).Verify(t.Context(), token.New(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := &token.Facts{
		Active: true, Issuer: issuer, Subject: "alice", ClientID: "web", Audience: []string{"a", "b"},
		Scope: []string{"r", "w"}, ExpiresAt: exp,
	}
	ignore := cmpopts.IgnoreFields(token.Facts{}, "Claims", "Size")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(token.Facts{}), ignore); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// TestLuaResty399JWTOfAnotherIssuer: two issuers have a kid in common, as static ones do.
func TestLuaResty399JWTOfAnotherIssuer(t *testing.T) {
	ours, theirs := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	a, b := &server{}, &server{}
	a.publish(jwk(t, ours.Public(), "1", nil))
	b.publish(jwk(t, theirs.Public(), "1", nil))
	other := "https://other.example.com"
	va, vb := open(t, a, nil), open(t, b, func(o *jwt.Options) { o.Issuer = other })
	raw := sign(t, header("1"), with(claims(), object{"iss": other}), theirs)
	if got := verify(t, vb, raw); got != "ok" {
		t.Errorf("at its own issuer: %s", got)
	}
	if got := verify(t, va, raw); got != string(token.ReasonInvalidSignature) {
		t.Errorf("at another issuer: %s", got)
	}
	if got := verify(t, va, sign(t, header("1"), claims(), theirs)); got != string(token.ReasonInvalidSignature) {
		t.Errorf("with that issuer's name: %s", got)
	}
}

// TestCVE202527144ThousandsOfDots: they cost what three cost.
func TestCVE202527144ThousandsOfDots(t *testing.T) {
	v := open(t, &server{}, nil)
	cost := func(raw string) float64 {
		dots := token.New(raw)
		return testing.AllocsPerRun(10, func() {
			if _, err := v.Verify(t.Context(), dots); err == nil {
				t.Fatal("dots are a token")
			}
		})
	}
	few := cost("...")
	for name, raw := range map[string]string{
		"dots":                  strings.Repeat(".", 8<<10),
		"dots behind a JWT":     "e30.e30.e30" + strings.Repeat(".", 8<<10),
		"dots between segments": strings.Repeat("e30.", 2<<10),
	} {
		if got := cost(raw); got > few || got > 1 {
			t.Errorf("%s: %v allocations, three dots %v", name, got, few)
		}
	}
}

func TestOptions(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*jwt.Options)
		ok     bool
	}{
		"plain":       {"defaults", func(*jwt.Options) {}, true},
		"some":        {"an allow-list", func(o *jwt.Options) { o.Algorithms, o.Types = []string{"ES256"}, []string{"JWT"} }, true},
		"none":        {"never, even if listed", func(o *jwt.Options) { o.Algorithms = []string{"RS256", "none"} }, false},
		"HS256":       {"a shared secret is no server's signature", func(o *jwt.Options) { o.Algorithms = []string{"HS256"} }, false},
		"lower case":  {"names have case (RFC 7515 4.1.1)", func(o *jwt.Options) { o.Algorithms = []string{"es256"} }, false},
		"RFC 9701":    {"an answer about a token is no token", func(o *jwt.Options) { o.Types = []string{"application/Token-Introspection+JWT"} }, false},
		"no issuer":   {"anybody's tokens", func(o *jwt.Options) { o.Issuer = "" }, false},
		"no keys":     {"nothing to verify with", func(o *jwt.Options) { o.Keys = nil }, false},
		"no clock":    {"nothing expires", func(o *jwt.Options) { o.Clock = nil }, false},
		"empty alg":   {"no algorithm", func(o *jwt.Options) { o.Algorithms = []string{""} }, false},
		"absent type": {"Kubernetes", func(o *jwt.Options) { o.Types = []string{""} }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			opts := jwt.Options{Issuer: issuer, Keys: (&server{}).fetch, Clock: time.Now}
			c.change(&opts)
			if _, err := jwt.New(opts); (err == nil) != c.ok {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestAllowLists(t *testing.T) {
	s := &server{}
	s.publish(jwk(t, rsaKey().Public(), "rsa", nil))
	v := open(t, s, func(o *jwt.Options) { o.Algorithms = []string{"PS256", "ES256"} })
	if got := verify(t, v, sign(t, with(header("rsa"), object{"alg": "RS256"}), claims(), rsaKey())); got != string(token.ReasonInvalidSignature) {
		t.Errorf("RS256 is not listed: %s", got)
	}
	v = open(t, s, func(o *jwt.Options) { o.Types = []string{""} })
	for _, typ := range []string{"application/", "JWT", "at+jwt", " "} {
		if got := verify(t, v, sign(t, with(header("rsa"), object{"alg": "RS256", "typ": typ}), claims(), rsaKey())); got != string(token.ReasonInvalidTokenType) {
			t.Errorf("only an absent type is listed, %q is there: %s", typ, got)
		}
	}
	if s.count() != 0 {
		t.Error("a token that no key could save made us ask for keys")
	}
}

func TestWarm(t *testing.T) {
	bubble(t, func(at scene) {
		if _, ok := at.v.KeysAge(); ok {
			at.Error("keys that nobody fetched have an age")
		}
		for range 2 {
			if err := at.v.Warm(at.Context()); err != nil {
				at.Error(err)
			}
		}
		time.Sleep(time.Minute)
		if age, ok := at.v.KeysAge(); !ok || age != time.Minute {
			at.Errorf("the keys are %v old, %t", age, ok)
		}
		at.expect("warm", at.by("old"), "ok", 1)
	})
}
