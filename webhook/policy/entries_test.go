// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestBoundTokens: where possession is proved to somebody, and where to nobody.
func TestBoundTokens(t *testing.T) {
	dpop := func(f *token.Facts) { f.Bound, f.JKT, f.TokenType = true, "thumbprint", "DPoP" }
	mtls := func(f *token.Facts) { f.Bound, f.X5T = true, "thumbprint" }
	unknown := func(f *token.Facts) { f.Bound, f.TokenType = true, "DPoP" }
	all := token.Surfaces()
	gateways := []token.Surface{token.SurfaceForwardAuth, token.SurfaceExtAuthz}
	withFacade := append([]token.Surface{token.SurfaceIntrospection}, gateways...)
	cases := map[string]struct {
		reason string
		spec   specs
		facts  said
		// good are the surfaces that it passes on; want is the reason on gateways, bound_token elsewhere.
		good []token.Surface
		want token.Reason
	}{
		"unbound":              {"nothing to prove", nil, func(*token.Facts) {}, all, ""},
		"DPoP":                 {"gateways show the proof", nil, dpop, gateways, ""},
		"MTLS":                 {"gateways show the certificate", nil, mtls, gateways, ""},
		"caller verifies":      {"he learns the key", specs{callerVerifies}, dpop, withFacade, ""},
		"caller verifies MTLS": {"he learns the certificate's hash", specs{callerVerifies}, mtls, withFacade, ""},
		"caller can't":         {"to what it is bound nobody knows: he would take it for unbound", specs{callerVerifies}, unknown, gateways, ""},
		"DPoP required":        {"it is", specs{bindings("DPoP")}, dpop, gateways, ""},
		"MTLS required":        {"bound to another kind of key", specs{bindings("MTLS")}, dpop, nil, token.ReasonUnboundToken},
		"DPoP, not MTLS":       {"bound to another kind of key", specs{bindings("DPoP")}, mtls, nil, token.ReasonUnboundToken},
		"any required":         {"either", specs{bindings("Any")}, mtls, gateways, ""},
		"DPoP of no key":       {"bound to nothing known", specs{bindings("DPoP")}, unknown, nil, token.ReasonUnboundToken},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, c.spec...)
			for _, surface := range all {
				in, want := input(facts(c.facts)), token.ReasonNone
				in.Surface = surface
				if !slices.Contains(c.good, surface) {
					if want = c.want; !surface.OnGateway() {
						want = token.ReasonBoundToken
					}
				}
				if d := p.Judge(in); d.Reason != want {
					t.Errorf("%s: %s: %s %q, want %q", surface, c.reason, d.Verdict, d.Reason, want)
				}
			}
		})
	}
}

// TestEntries: what one server's tokens must be is nothing to another's.
func TestEntries(t *testing.T) {
	p := compile(t, clients("web"), func(s *v1alpha1.TokenPolicySpec) {
		s.Accept = append(s.Accept, v1alpha1.AcceptedServer{
			ClientRef: v1alpha1.LocalReference{Name: "partners"}, Validation: v1alpha1.ValidationLocal, Opaque: v1alpha1.OpaqueAccepted,
			Subjects: &v1alpha1.SubjectRequirement{Allow: []string{"b-2"}},
		}, v1alpha1.AcceptedServer{ClientRef: v1alpha1.LocalReference{Name: "third"}, Validation: v1alpha1.ValidationIntrospect},
			v1alpha1.AcceptedServer{ClientRef: v1alpha1.LocalReference{Name: "fourth"}, Validation: v1alpha1.ValidationLocalThenIntrospect})
	})
	want := []policy.Entry{{Client: "orders"}, {Client: "partners", Mode: policy.ModeLocal, Opaque: true}, {Client: "third", Mode: policy.ModeIntrospect}, {Client: "fourth", Mode: policy.ModeLocalThenIntrospect}}
	if diff := cmp.Diff(want, p.Entries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		entry   int
		client  string
		subject string
		opaque  bool
		want    token.Reason
	}{
		{0, "web", "a-1", false, token.ReasonNone},
		{0, "app", "b-2", false, token.ReasonClientNotAllowed},
		{0, "web", "a-1", true, token.ReasonMalformedToken},
		{1, "app", "b-2", false, token.ReasonNone},
		{1, "app", "b-2", true, token.ReasonNone},
		{1, "web", "a-1", false, token.ReasonSubjectNotAllowed},
		{2, "app", "a-1", false, token.ReasonNone},
		{4, "web", "b-2", false, token.ReasonInvalidIssuer},
		{-1, "web", "b-2", false, token.ReasonInvalidIssuer},
	} {
		in := input(facts(func(f *token.Facts) { f.ClientID, f.Subject, f.Opaque = c.client, c.subject, c.opaque }))
		in.Entry = c.entry
		if d := p.Judge(in); d.Reason != c.want {
			t.Errorf("%+v: %s %q", c, d.Verdict, d.Reason)
		}
	}
}
