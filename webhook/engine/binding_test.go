// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const resource = "https://orders.example.com"

// thumbprint is RFC 7638, of the members in the order of their names.
func (s *signer) thumbprint() string {
	x, y := s.coordinates()
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return segment(sum[:])
}

// proof is a DPoP proof (RFC 9449 section 4.2) for the original request.
func (s *signer) proof(tb testing.TB, tok token.Token, id string, changes map[string]any) string {
	tb.Helper()
	x, y := s.coordinates()
	ath := sha256.Sum256([]byte(tok.Reveal()))
	claims := map[string]any{
		"jti": id, "htm": http.MethodGet, "htu": resource + "/orders/1", "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(ath[:]),
	}
	maps.Copy(claims, changes)
	return s.jws(tb, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}}, claims)
}

// bound are the facts of a token that is bound to a key, or to a certificate.
func bound(jkt, x5t string) *token.Facts {
	f := facts()
	f.Bound, f.JKT, f.X5T = true, jkt, x5t
	f.Claims["cnf"] = json.RawMessage(`{"jkt":"` + jkt + `"}`)
	return f
}

// Possession is proved on every request: what the server said of a token is cached, that its
// sender had the key is not.
func TestBindingOnEveryRequest(t *testing.T) {
	key, thief := newSigner(t, ""), newSigner(t, "")
	certificate := [32]byte{1, 2, 3}
	other := [32]byte{3, 2, 1}
	x5t := base64.RawURLEncoding.EncodeToString(certificate[:])
	// request shows proofs and a certificate.
	type request struct {
		scheme      token.Scheme
		proofs      func(tb testing.TB) []string
		certificate *[32]byte
		want        string
	}
	by := func(s *signer, id string, changes map[string]any) func(testing.TB) []string {
		return func(tb testing.TB) []string { tb.Helper(); return []string{s.proof(tb, good(), id, changes)} }
	}
	none := func(testing.TB) []string { return nil }
	twice := func(tb testing.TB) []string {
		tb.Helper()
		return []string{key.proof(tb, good(), "x", nil), key.proof(tb, good(), "y", nil)}
	}
	cases := map[string]struct {
		reason   string
		facts    *token.Facts
		requests []request
	}{
		"DPoP": {"a new proof each", bound(key.thumbprint(), ""), []request{
			{token.SchemeDPoP, by(key, "1", nil), nil, "Allow"},
			{token.SchemeDPoP, by(key, "2", nil), nil, "Allow"},
			{token.SchemeDPoP, by(key, "2", map[string]any{"x": 1}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "1", nil), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, none, nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "3", nil), nil, "Allow"},
		}},
		"Downgraded": {"bound as Bearer: whoever stole it has no key", bound(key.thumbprint(), ""), []request{
			{token.SchemeDPoP, by(key, "1", nil), nil, "Allow"},
			{token.SchemeBearer, none, nil, "bound_token"},
			{token.SchemeBearer, by(key, "2", nil), nil, "bound_token"},
		}},
		"Thief": {"another key", bound(key.thumbprint(), ""), []request{
			{token.SchemeDPoP, by(key, "1", nil), nil, "Allow"},
			{token.SchemeDPoP, by(thief, "2", nil), nil, "invalid_dpop_proof"},
		}},
		"OtherRequest": {"a proof is for one request", bound(key.thumbprint(), ""), []request{
			{token.SchemeDPoP, by(key, "1", map[string]any{"htm": "POST"}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "2", map[string]any{"htu": resource + "/orders/2"}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "3", map[string]any{"htu": "https://evil.example.com/orders/1"}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "4", map[string]any{"ath": "x"}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, by(key, "5", map[string]any{"iat": time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC).Unix()}), nil, "invalid_dpop_proof"},
			{token.SchemeDPoP, twice, nil, "invalid_dpop_proof"},
		}},
		"Unbound": {"sent as DPoP and bound to nothing", facts(), []request{
			{token.SchemeBearer, none, nil, "Allow"},
			{token.SchemeDPoP, by(key, "1", nil), nil, "unbound_token"},
		}},
		"Certificate": {"the one that it is bound to, on each", bound("", x5t), []request{
			{token.SchemeBearer, none, &certificate, "Allow"},
			{token.SchemeBearer, none, nil, "invalid_certificate"},
			{token.SchemeBearer, none, &other, "invalid_certificate"},
			{token.SchemeBearer, none, &certificate, "Allow"},
		}},
		"Both": {"two bindings are two proofs", bound(key.thumbprint(), x5t), []request{
			{token.SchemeDPoP, by(key, "1", nil), &certificate, "Allow"},
			{token.SchemeDPoP, by(key, "2", nil), nil, "invalid_certificate"},
			{token.SchemeDPoP, none, &certificate, "invalid_dpop_proof"},
		}},
		"Unknown": {"bound to what nobody here can check", bound("", ""), []request{
			{token.SchemeBearer, none, &certificate, "bound_token"},
			{token.SchemeDPoP, by(key, "1", nil), &certificate, "bound_token"},
		}},
	}
	for name, tc := range cases {
		for _, surface := range []token.Surface{token.SurfaceForwardAuth, token.SurfaceExtAuthz} {
			t.Run(name+"/"+string(surface), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					u, tok := newUpstream(), good()
					u.says(tc.facts, nil)
					e, _ := bubble(t, u, nil, policyWith(t, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
						spec.Resource = &v1alpha1.Resource{Identifier: resource}
					}))
					u.mu.Lock()
					exp := time.Now().Add(time.Hour)
					u.say = func(token.Token) (*token.Facts, error) {
						f := again(tc.facts)
						f.IssuedAt, f.ExpiresAt = time.Now(), exp
						return f, nil
					}
					u.mu.Unlock()
					for i, r := range tc.requests {
						hr := original()
						hr.Target, hr.Proofs, hr.Certificate = "/orders/1?page=2", r.proofs(t), r.certificate
						d, err := e.Decide(t.Context(), token.Request{Surface: surface, Policy: ref("orders"), Token: tok, Scheme: r.scheme, HTTP: hr})
						if got := outcome(d, err); got != r.want {
							t.Errorf("%s: request %d: got %s (%s), want %s", tc.reason, i+1, got, d.Message, r.want)
						}
					}
					wantAsked(t, "the server is asked once", u, 1)
					e.Close()
				})
			})
		}
	}
}

// Where no gateway asks nobody proves possession: a bound token is no good, unless the caller
// said that he checks it, and then he learns what.
func TestBoundTokenAtTheFacade(t *testing.T) {
	key := newSigner(t, "")
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		f := bound(key.thumbprint(), "")
		u.says(f, nil)
		e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour), policyWith(t, "verifies", "orders", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Surfaces.Introspection.BoundTokens = v1alpha1.BoundTokensCallerVerifies
		}))
		u.mu.Lock()
		u.say = func(token.Token) (*token.Facts, error) {
			f := bound(key.thumbprint(), "")
			f.ExpiresAt, f.IssuedAt = time.Now().Add(time.Hour), time.Now()
			return f, nil
		}
		u.mu.Unlock()
		facade := func(name string, scheme token.Scheme) (token.Decision, string) {
			d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceIntrospection, Policy: ref(name), Client: ref("orders"), Token: good(), Scheme: scheme})
			return d, outcome(d, err)
		}
		_, got := facade("orders", token.SchemeBearer)
		want(t, "refused by default", got, "bound_token")
		d, got := facade("verifies", token.SchemeBearer)
		if want(t, "who checks it", got, "Allow"); !strings.Contains(string(d.Body), key.thumbprint()) {
			t.Errorf("body %s: want its cnf", d.Body)
		}
		if _, got = facade("orders", token.SchemeBearer); got != "bound_token" {
			t.Errorf("warmed by the other: got %s", got)
		}
		e.Close()
	})
}
