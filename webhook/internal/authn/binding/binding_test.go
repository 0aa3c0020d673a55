// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestCheck(t *testing.T) {
	c := newClient(t, "ES256")
	mine, others := sha256.Sum256([]byte("my certificate")), sha256.Sum256([]byte("another's"))
	x5t := encode(mine[:])
	const bearer, dpop = token.SchemeBearer, token.SchemeDPoP
	const certificate = "invalid_certificate"
	tests := map[string]struct {
		reason    string
		facts     *token.Facts
		scheme    token.Scheme
		presented *[32]byte
		noHTTP    bool
		noProof   bool
		want      string
	}{
		"unbound":                      {reason: "nothing to prove", facts: &token.Facts{}, want: "ok"},
		"unbound, nobody saw HTTP":     {reason: "nothing to prove", facts: &token.Facts{}, noHTTP: true, want: "ok"},
		"unbound, with a certificate":  {reason: "nothing to prove", facts: &token.Facts{}, presented: &others, want: "ok"},
		"unbound, sent as DPoP":        {reason: "RFC 9449 section 7.1: the scheme is for bound tokens", facts: &token.Facts{}, scheme: dpop, want: "unbound_token"},
		"bound by an unknown cnf":      {reason: "RFC 7800 has more than we check", facts: &token.Facts{Bound: true}, want: boundToken},
		"unknown cnf, as DPoP":         {reason: "a proof proves nothing about it", facts: &token.Facts{Bound: true}, scheme: dpop, want: boundToken},
		"called DPoP, without a key":   {reason: "token_type says so", facts: &token.Facts{Bound: true, TokenType: "dpop"}, scheme: dpop, want: boundToken},
		"called DPoP, certificate":     {reason: "the certificate is not the key that was meant", facts: &token.Facts{Bound: true, Type: "DPoP", X5T: x5t}, presented: &mine, want: boundToken},
		"key":                          {reason: "a good proof", facts: &token.Facts{Bound: true, JKT: c.jkt()}, scheme: dpop, want: "ok"},
		"key, not called bound":        {reason: "cnf counts, whoever made the facts", facts: &token.Facts{JKT: c.jkt()}, want: boundToken},
		"key, sent as Bearer":          {reason: "RFC 9449 section 7.1: a proof beside Bearer is no proof", facts: &token.Facts{Bound: true, JKT: c.jkt()}, want: boundToken},
		"key, no proof":                {reason: "a stolen token", facts: &token.Facts{Bound: true, JKT: c.jkt()}, scheme: dpop, noProof: true, want: invalidProof},
		"key, nobody saw HTTP":         {reason: "TokenReview, introspection", facts: &token.Facts{Bound: true, JKT: c.jkt()}, scheme: dpop, noHTTP: true, want: boundToken},
		"certificate":                  {reason: "RFC 8705 section 3", facts: &token.Facts{Bound: true, X5T: x5t}, presented: &mine, want: "ok"},
		"certificate, none":            {reason: "RFC 8705 section 3", facts: &token.Facts{Bound: true, X5T: x5t}, want: certificate},
		"certificate, another":         {reason: "RFC 8705 section 3", facts: &token.Facts{Bound: true, X5T: x5t}, presented: &others, want: certificate},
		"certificate, padded":          {reason: "RFC 8705 section 3.1: without padding", facts: &token.Facts{Bound: true, X5T: x5t + "="}, presented: &mine, want: certificate},
		"certificate, other alphabet":  {reason: "base64url, not hexadecimal", facts: &token.Facts{Bound: true, X5T: "zz"}, presented: &mine, want: certificate},
		"certificate, sent as DPoP":    {reason: "it has no DPoP key", facts: &token.Facts{Bound: true, X5T: x5t}, scheme: dpop, presented: &mine, want: "unbound_token"},
		"certificate, nobody saw HTTP": {reason: "TokenReview, introspection", facts: &token.Facts{Bound: true, X5T: x5t}, noHTTP: true, want: boundToken},
		"certificate, not called so":   {reason: "cnf counts, whoever made the facts", facts: &token.Facts{X5T: x5t}, want: certificate},
		"both":                         {reason: "both hold", facts: &token.Facts{Bound: true, JKT: c.jkt(), X5T: x5t}, scheme: dpop, presented: &mine, want: "ok"},
		"both, no certificate":         {reason: "one is not enough", facts: &token.Facts{Bound: true, JKT: c.jkt(), X5T: x5t}, scheme: dpop, want: certificate},
		"both, another certificate":    {reason: "one is not enough", facts: &token.Facts{Bound: true, JKT: c.jkt(), X5T: x5t}, scheme: dpop, presented: &others, want: certificate},
		"both, no proof":               {reason: "one is not enough", facts: &token.Facts{Bound: true, JKT: c.jkt(), X5T: x5t}, scheme: dpop, presented: &mine, noProof: true, want: invalidProof},
		"both, sent as Bearer":         {reason: "one is not enough", facts: &token.Facts{Bound: true, JKT: c.jkt(), X5T: x5t}, scheme: bearer, presented: &mine, want: boundToken},
		"no facts":                     {reason: "a fault of ours is no verdict", want: "internal"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := c.question(c.proof("id-1"))
			q.Facts, q.Scheme, q.HTTP.Certificate = tc.facts, tc.scheme, tc.presented
			if tc.noProof {
				q.HTTP.Proofs = nil
			}
			if tc.noHTTP {
				q.HTTP = nil
			}
			v := New(Options{Clock: newWatch().Now})
			if diff := cmp.Diff(tc.want, outcomeOf(t, v, q)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// A client that sent a bound token as Bearer, or without a good proof, is told to use DPoP.
func TestChallenge(t *testing.T) {
	c := newClient(t, "ES256")
	v := New(Options{Clock: newWatch().Now})
	asBearer := c.question(c.proof("id-1"))
	asBearer.Scheme = token.SchemeBearer
	unbound := c.question(c.proof("id-2"))
	unbound.Facts = &token.Facts{}
	certificate := c.question()
	certificate.Scheme, certificate.Facts = token.SchemeBearer, &token.Facts{Bound: true, X5T: "x"}
	for name, tc := range map[string]struct {
		q    *Question
		want bool
	}{
		"as Bearer": {asBearer, true}, "no proof": {c.question(), true},
		"unbound": {unbound, false}, "certificate": {certificate, false},
	} {
		if d, _ := v.Check(tc.q); d == nil || d.Challenge.DPoP != tc.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// What Keycloak 26 answered about a DPoP token: `typ`, `token_type`, and a `cnf` with a
// member of its own.
func TestKeycloak(t *testing.T) {
	c := newClient(t, "ES256")
	factsOf := func(jkt string) *token.Facts {
		members, err := token.Members([]byte(`{"exp":1795406879,"jti":"trrtcc:1d","iss":"http://127.0.0.1:18080/realms/acme",
			"aud":"shop.orders","sub":"b5a532c6-2b9d-49d3-9084-33278f5a04fd","typ":"DPoP","azp":"web","acr":"1",
			"cnf":{"jkt":"` + jkt + `","kc-jkt-type":"DPoP"},"scope":"profile email","client_id":"web","token_type":"DPoP","active":true}`))
		if err != nil {
			t.Fatal(err)
		}
		facts, err := token.NewFacts(members)
		if err != nil {
			t.Fatal(err)
		}
		return facts
	}
	v := New(Options{Clock: newWatch().Now})
	q := c.question(c.proof("id-1"))
	q.Facts = factsOf("TwpVZI-ZMFLn9tDp7kdWIQ5h_zkwbWvWFpMAKzm0GJc")
	if got := outcomeOf(t, v, q); got != invalidProof {
		t.Errorf("as recorded, with another's proof: %s", got)
	}
	q.Scheme = token.SchemeBearer
	if got := outcomeOf(t, v, q); got != boundToken {
		t.Errorf("as recorded, sent as Bearer: %s", got)
	}
	q.Scheme, q.Facts = token.SchemeDPoP, factsOf(c.jkt())
	if got := outcomeOf(t, v, q); got != "ok" {
		t.Errorf("bound to the client's key: %s", got)
	}
}

func FuzzProof(f *testing.F) {
	c := newClient(f, "ES256")
	good := c.proof("id-1")
	rsa := newClient(f, "RS256")
	f.Add(good, "/orders/7", testResource)
	f.Add(rsa.proof("id-1"), "/orders/7", testResource)
	f.Add(newClient(f, "EdDSA").proof("id-1"), "/", "http://a:80/b/")
	f.Add(c.sign(object{"typ": "dpop+jwt", "alg": "ES256", "jwk": object{"kty": "EC", "crv": "P-256", "x": "", "y": ""}}, c.claims("a")), "*", "https://[::1]")
	f.Add(rsa.sign(object{"typ": "dpop+jwt", "alg": "RS256", "jwk": object{"kty": "RSA", "n": "AA", "e": "AA"}}, rsa.claims("a")), "/?", "x")
	f.Add(rsa.sign(object{"typ": "dpop+jwt", "alg": "EdDSA", "jwk": object{"kty": "OKP", "crv": "Ed25519", "x": "AA"}, "x5c": []string{"AA"}}, rsa.claims("a")), "/#", "https://a@b")
	f.Add("...", "", "")
	f.Fuzz(func(t *testing.T, raw, target, resource string) {
		v := New(Options{Clock: newWatch().Now})
		q := c.question(raw)
		q.HTTP.Target, q.Resource = target, resource
		// Only who has the key makes a proof of the key. ES256 lets anybody write the same
		// signature in a second way: then the signed part is the same.
		if outcomeOf(t, v, q) == "ok" && signedPart(raw) != signedPart(good) {
			t.Fatalf("a proof that nobody made: %s", raw)
		}
		// The parts behind the first refusal, too.
		if p, wrong := read(raw); wrong == "" {
			if s, wrong := p.signature(); wrong == "" {
				_ = s.verify()
				if again := base64.RawURLEncoding.EncodeToString(s.thumbprint[:]); len(again) != 43 {
					t.Fatalf("thumbprint %s", again)
				}
			}
			_ = p.matches(q, location{})
			_, _ = v.issued(p.claims["iat"], testNow)
		}
	})
}

func signedPart(raw string) string {
	for i := len(raw) - 1; i >= 0; i-- {
		if raw[i] == '.' {
			return raw[:i]
		}
	}
	return raw
}

// BenchmarkDPoP is a whole check of a good ES256 proof, with its only use.
func BenchmarkDPoP(b *testing.B) {
	c := newClient(b, "ES256")
	v := New(Options{Clock: newWatch().Now})
	q := c.question(c.proof("id-1"))
	b.ReportAllocs()
	for b.Loop() {
		v.used.now = newGeneration(testNow)
		if d, undecided := v.Check(q); d != nil || undecided != nil {
			b.Fatal(d, undecided)
		}
	}
}

// BenchmarkDPoPReplayed is a proof that was used before: refused before its signature.
func BenchmarkDPoPReplayed(b *testing.B) {
	c := newClient(b, "ES256")
	v := New(Options{Clock: newWatch().Now})
	q := c.question(c.proof("id-1"))
	_, _ = v.Check(q)
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := v.Check(q); d == nil {
			b.Fatal("taken twice")
		}
	}
}

// BenchmarkCertificate is a check of a token that is bound to a certificate.
func BenchmarkCertificate(b *testing.B) {
	presented := sha256.Sum256([]byte("my certificate"))
	v := New(Options{Clock: newWatch().Now})
	q := &Question{Facts: &token.Facts{Bound: true, X5T: encode(presented[:])}, HTTP: &token.HTTPRequest{Certificate: &presented}}
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := v.Check(q); d != nil {
			b.Fatal(d)
		}
	}
}
