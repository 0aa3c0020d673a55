// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// warm is an engine with a token's facts, and a request for them. Three requirements are
// judged, three headers set, and ten of the request looked at.
func warm(tb testing.TB) (*Engine, token.Request) {
	tb.Helper()
	dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
		return facts(), nil
	}, policyWith(tb, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Freshness.MaxAge = &metav1.Duration{Duration: time.Hour}
		spec.Accept[0].Clients = &v1alpha1.ClientRequirement{Allow: []string{"mobile", "web"}}
		spec.Require.Audiences = &v1alpha1.AudienceRequirement{AnyOf: []string{"orders", "shop.orders"}}
		spec.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: []string{"orders.read"}}
		spec.Respond.Headers = []v1alpha1.ResponseHeader{
			{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Scope", Claim: "scope"}, {Name: "X-Auth-Client", Claim: "client_id"},
		}
	}))
	e := newEngine(tb, Options{Clock: time.Now, Dial: dial}, state)
	req := token.Request{
		ID: "d1", Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Gateway: "edge",
		Token: unsigned(map[string]any{"iss": issuer, "pad": strings.Repeat("x", 750)}),
	}
	req.HTTP.Headers = tenHeaders()
	if o := outcome(e.Decide(tb.Context(), req)); o != "Allow" {
		tb.Fatal(o)
	}
	return e, req
}

// tenHeaders are about what a browser sends.
func tenHeaders() token.HTTPHeaders {
	return token.HTTPHeaders{
		"Accept": {"text/html,application/xhtml+xml"}, "Accept-Encoding": {"gzip, br"}, "Accept-Language": {"en"}, "Authorization": {"Bearer x"},
		"Cache-Control": {"no-cache"}, "Connection": {"keep-alive, upgrade"}, "Cookie": {"a=b"}, "Referer": {resource}, "User-Agent": {"Mozilla/5.0"},
		"X-Request-Id": {"1"},
	}
}

// BenchmarkDecide measures what a warm decision costs beyond the hash of its token, in
// interleaved runs: three requirements, no CEL. On the facade nothing of a request is looked
// at; on a gateway ten headers are, for other spellings of three.
func BenchmarkDecide(b *testing.B) {
	e, gateway := warm(b)
	facade := gateway
	facade.Surface, facade.HTTP, facade.Gateway, facade.Client = token.SurfaceIntrospection, nil, "", ref("orders")
	scope := &e.current.Load().policies[gateway.Policy].accepts[0].client.scopes[policy.ModeIntrospect][0]
	const rounds, each = 101, 2000
	time1 := func(work func()) float64 {
		start := time.Now()
		for range each {
			work()
		}
		return float64(time.Since(start).Nanoseconds()) / each
	}
	decide := func(req *token.Request) func() {
		return func() {
			if d, err := e.Decide(b.Context(), *req); err != nil || d.Verdict != token.Allow {
				b.Fatal(d, err)
			}
		}
	}
	for b.Loop() {
		var hash, onFacade, onGateway []float64
		for range rounds {
			h := time1(func() { e.keyer.Key(scope, gateway.Token) })
			hash = append(hash, h)
			onFacade = append(onFacade, time1(decide(&facade))-h)
			onGateway = append(onGateway, time1(decide(&gateway))-h)
		}
		for name, values := range map[string][]float64{"hash-ns": hash, "facade-rest-ns": onFacade, "gateway-rest-ns": onGateway} {
			slices.Sort(values)
			b.ReportMetric(values[len(values)/2], name)
		}
	}
}

func BenchmarkDecideWarm(b *testing.B) {
	e, req := warm(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if d, err := e.Decide(ctx, req); err != nil || d.Verdict != token.Allow {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkDecideWarmParallel(b *testing.B) {
	e, req := warm(b)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d, err := e.Decide(ctx, req); err != nil || d.Verdict != token.Allow {
				b.Error(d, err)
			}
		}
	})
}

// BenchmarkKey is the hashing's part of a warm decision.
func BenchmarkKey(b *testing.B) {
	e, req := warm(b)
	scope := &e.current.Load().policies[req.Policy].accepts[0].client.scopes[policy.ModeIntrospect][0]
	b.ReportAllocs()
	for b.Loop() {
		e.keyer.Key(scope, req.Token)
	}
}
