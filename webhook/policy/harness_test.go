// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const issuer = "https://sso.example.com/realms/acme"

func now() time.Time { return time.Unix(1_800_000_000, 0) }

// object is the minimal policy, changed.
func object(change ...func(*v1alpha1.TokenPolicySpec)) *v1alpha1.TokenPolicy {
	o := &v1alpha1.TokenPolicy{}
	o.Spec.Accept = []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}}
	for _, f := range change {
		f(&o.Spec)
	}
	return o
}

func compile(tb testing.TB, change ...func(*v1alpha1.TokenPolicySpec)) *policy.Policy {
	tb.Helper()
	p, err := policy.Compile(object(change...))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// facts of a good token, changed.
func facts(change ...func(*token.Facts)) *token.Facts {
	f := &token.Facts{
		Active: true, Issuer: issuer, Subject: "a-1", Username: "alice", ID: "j-1", ClientID: "web",
		TokenType: "Bearer", Type: "Bearer", Audience: []string{"account", "shop.orders"}, Scope: []string{"profile", "orders.read"},
		ExpiresAt: now().Add(5 * time.Minute), IssuedAt: now().Add(-time.Minute), AuthTime: now().Add(-10 * time.Minute),
		Claims: claims(`{"active":true,"sub":"a-1","tenant":"acme"}`),
	}
	for _, c := range change {
		c(f)
	}
	return f
}

// claims of an answer.
func claims(answer string) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(answer), &m); err != nil {
		panic(err)
	}
	return m
}

func input(f *token.Facts) policy.Input {
	return policy.Input{Facts: f, Issuer: issuer, ClientID: "shop.orders", Now: now(), Surface: token.SurfaceIntrospection}
}

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// spec changes, for tables.

func scopesAll(all ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: all}
	}
}

func scopesAny(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Scopes = &v1alpha1.ScopeRequirement{AnyOf: some}
	}
}

func audiences(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Audiences = &v1alpha1.AudienceRequirement{AnyOf: some}
	}
}

func opaque(o v1alpha1.OpaqueTokens) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Opaque = o }
}

func clients(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Accept[0].Clients = &v1alpha1.ClientRequirement{Allow: some}
	}
}

func tenants(claim v1alpha1.ClaimName, some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Accept[0].Tenant = &v1alpha1.TenantRequirement{Claim: claim, Values: some}
	}
}

func types(some ...v1alpha1.TokenType) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Require.TokenTypes = some }
}

func maxTokenAge(d time.Duration) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Require.MaxTokenAge = duration(d) }
}

func maxAuthAge(d time.Duration) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Require.MaxAuthAge = duration(d) }
}

func headers(claimByName map[string]string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for _, name := range slices.Sorted(maps.Keys(claimByName)) {
			s.Respond.Headers = append(s.Respond.Headers, v1alpha1.ResponseHeader{Name: name, Claim: v1alpha1.ClaimName(claimByName[name])})
		}
	}
}

func answers(names ...v1alpha1.ClaimName) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Respond.Claims = names }
}

// expressions of headers: name and expression by turns.
func expressions(nameAndExpression ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for pair := range slices.Chunk(nameAndExpression, 2) {
			s.Respond.Headers = append(s.Respond.Headers, v1alpha1.ResponseHeader{Name: pair[0], Expression: pair[1]})
		}
	}
}

func review(username, groups string, extra ...v1alpha1.ExtraMapping) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Surfaces.TokenReview = &v1alpha1.TokenReviewSurface{Username: username, Groups: groups, Extra: extra, Audiences: []string{"https://kubernetes.default.svc", "kubernetes"}}
	}
}

func subjects(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Accept[0].Subjects = &v1alpha1.SubjectRequirement{Allow: some}
	}
}

func acr(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Require.ACR = &v1alpha1.ACRRequirement{Values: some} }
}

// bindings are what a token must be bound by, with the resource that DPoP needs.
func bindings(b v1alpha1.Binding) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Binding = &v1alpha1.BindingRequirement{Required: b}
		s.Resource = &v1alpha1.Resource{Identifier: "https://orders.example.com"}
	}
}

func callerVerifies(s *v1alpha1.TokenPolicySpec) {
	s.Surfaces.Introspection.BoundTokens = v1alpha1.BoundTokensCallerVerifies
}

func clamped(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Introspection.Exp = v1alpha1.ExpClamp }

func maxAge(d time.Duration) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(d) }
}

func stale(d *metav1.Duration) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Outage = v1alpha1.Outage{Mode: v1alpha1.OutageServeStale, StaleFor: d}
	}
}

// local judges JWTs of the first entry here: nobody is asked.
func local(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Validation = v1alpha1.ValidationLocal }

func second(client string, o v1alpha1.OpaqueTokens) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Accept = append(s.Accept, v1alpha1.AcceptedServer{ClientRef: v1alpha1.LocalReference{Name: client}, Opaque: o})
	}
}

func resource(identifier, metadataURL string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Resource = &v1alpha1.Resource{Identifier: identifier, MetadataURL: metadataURL}
	}
}

func hosts(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Gateways.Hosts = some }
}

func gateways(some ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Gateways.Names = some }
}

func preflight(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Gateways.Preflight = v1alpha1.PreflightAllow }
