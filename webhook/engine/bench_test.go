// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// warm is an engine with a token's facts, and a request for them.
func warm(tb testing.TB) (*Engine, token.Request) {
	tb.Helper()
	dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
		return facts(), nil
	}, policyState(tb, "orders", "orders", time.Hour, "orders.read"))
	e := newEngine(tb, Options{Clock: time.Now, Dial: dial}, state)
	req := token.Request{
		ID: "d1", Surface: token.SurfaceForwardAuth, Policy: ref("orders"), Gateway: "edge",
		Token: jwt(map[string]any{"iss": issuer, "pad": strings.Repeat("x", 750)}),
	}
	if o := outcome(e.Decide(tb.Context(), req)); o != "Allow" {
		tb.Fatal(o)
	}
	return e, req
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
	scope := &e.current.Load().policies[req.Policy].client.scopes[0]
	b.ReportAllocs()
	for b.Loop() {
		e.keyer.Key(scope, req.Token)
	}
}
