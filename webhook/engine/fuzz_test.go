// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Whatever is sent, however it is sent: no allow comes of a server that says inactive, and no
// surface's adapter gets anything but a decision or an *Undecided.
func FuzzDecide(f *testing.F) {
	surfaces := token.Surfaces()
	f.Add(good().Reveal(), uint8(0), uint8(0), "X-Auth-Subject", "alice", "/orders/1", "")
	f.Add("opaque", uint8(1), uint8(1), "x_auth_subject", "root", "/../a", "eyJ.x.y")
	f.Add("a.b.c.d.e", uint8(2), uint8(0), "Connection", "x-auth-subject", "*", ".")
	f.Add(strings.Repeat(".", 8<<10), uint8(3), uint8(7), "Authorization", "Bearer x", "//", "")
	f.Add(unsigned(map[string]any{"iss": "https://evil.example.com"}).Reveal(), uint8(4), uint8(2), "", "", "", "")
	f.Add(newSigner(f, "k1").sign(f, signed()).Reveal(), uint8(1), uint8(0), "DPoP", "x", "/?%zz", "a,b")
	both := validating(f, "both", "orders", modeBoth)
	review := policyWith(f, "review", "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Accept[0].Opaque = v1alpha1.OpaqueAccepted
		spec.Resource = &v1alpha1.Resource{Identifier: resource}
		spec.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}}
		spec.Surfaces.TokenReview = &v1alpha1.TokenReviewSurface{Username: "claims.sub", Audiences: []string{"api"}}
	})
	dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
		return token.Inactive(), nil
	}, both, review, validating(f, "local", "orders", modeLocal))
	state.Servers[0].JWKSURI = "https://sso.example.com/keys"
	var published keys
	published.publish(newSigner(f, "k1"))
	e := newEngine(f, Options{Dial: dial, MissBurst: 1 << 30, FetchKeys: func(ServerState) (func(context.Context) ([]byte, error), error) {
		return func(context.Context) ([]byte, error) { _, body := published.document(); return body, nil }, nil
	}}, state)
	f.Fuzz(func(t *testing.T, raw string, surface, scheme uint8, header, value, target, proof string) {
		hr := original()
		hr.Headers, hr.Target, hr.Proofs = token.HTTPHeaders{header: {value}}, target, []string{proof}
		hr.Method, hr.Host = value, header
		for _, policy := range []string{"both", "review", "local", raw} {
			req := token.Request{
				ID: "d1", Surface: surfaces[int(surface)%len(surfaces)], Policy: ref(policy), Token: token.New(raw), Scheme: token.Scheme(scheme),
				Client: ref("orders"), HTTP: hr, Audiences: []string{value},
			}
			if int(surface) >= 2*len(surfaces) {
				req.HTTP = nil
			}
			d, err := e.Decide(t.Context(), req)
			if d.Verdict == token.Allow || d.Headers != nil || d.Body != nil || d.User != nil {
				t.Errorf("an allow of a token that nobody calls good: %+v, %v", d, err)
			}
			if o := outcome(d, err); o == "" || o == "internal" || strings.HasPrefix(o, "not an") {
				t.Errorf("%s: outcome %q, %v", policy, o, err)
			}
			if len(raw) > 8 && (strings.Contains(d.Message, raw) || err != nil && policy != raw && strings.Contains(err.Error(), raw)) {
				t.Errorf("the token is in the message %q, %v", d.Message, err)
			}
		}
	})
}
