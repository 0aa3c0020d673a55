// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// The API server may be away for as long as the platform says, and no longer.
func TestMaxSnapshotAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, registry := newUpstream(), prometheus.NewRegistry()
		e, _ := bubble(t, u, func(o *Options, s *State) {
			o.MaxSnapshotAge, o.Registerer, s.TakenAt = 5*time.Minute, registry, time.Now()
		}, policyState(t, "orders", "orders", time.Hour))
		start := time.Now()
		e.Confirm(start.Add(-time.Hour)) // an older word than the snapshot itself is none
		time.Sleep(5 * time.Minute)
		want(t, "at its limit", decide(t, e, "orders", good()), "Allow")
		time.Sleep(time.Nanosecond)
		want(t, "past it, warm", decide(t, e, "orders", good()), "snapshot_too_old")
		want(t, "past it, cold", decide(t, e, "orders", numbered(2)), "snapshot_too_old")
		want(t, "no token, no policy: nobody knows", decide(t, e, "missing", token.New("")), "snapshot_too_old")
		for _, surface := range token.Surfaces() {
			d, err := e.Decide(t.Context(), token.Request{Surface: surface, Policy: ref("orders"), Client: ref("orders"), HTTP: original(), Token: good()})
			want(t, string(surface), outcome(d, err), "snapshot_too_old")
		}
		wantAsked(t, "nobody is asked", u, 1)
		e.Confirm(time.Now())
		want(t, "the objects are still these", decide(t, e, "orders", good()), "Allow")
		if age := gauge(t, registry, "snapshot_age_seconds"); age != 0 {
			t.Errorf("its age is %v s, want 0", age)
		}
		e.Load(State{TakenAt: time.Now()})
		want(t, "a new one", decide(t, e, "orders", good()), "no_policy")
		e.Close()
	})
}

func TestSnapshotForEver(t *testing.T) {
	c := newClock()
	state := one(t, newIDP(t), time.Hour)
	state.TakenAt = c.Now().Add(-time.Hour)
	e := newEngine(t, Options{Clock: c.Now}, state)
	want(t, "without a limit the data plane goes on", decide(t, e, "orders", good()), "Allow")
	e.current.Store(nil)
	e.Confirm(c.Now()) // nothing to confirm
	e.Prepare(t.Context())
	want(t, "no snapshot", decide(t, e, "orders", good()), "not_started")
}

// Rules are compiled ahead, or at the first request; they say the same.
func TestPrepare(t *testing.T) {
	for name, prepared := range map[string]bool{"Ahead": true, "AtTheFirstRequest": false} {
		t.Run(name, func(t *testing.T) {
			state := one(t, newIDP(t), time.Hour)
			rule := func(expression string) PolicyState {
				return policyWith(t, "rules", "orders", func(spec *v1alpha1.TokenPolicySpec) {
					spec.Require.Rules = []v1alpha1.Rule{{Name: "r", Expression: expression, Message: "no"}}
				})
			}
			yes, no := rule(`claims.sub == "alice"`), rule(`claims.sub == "bob"`)
			yes.Ref, no.Ref = ref("yes"), ref("no")
			state.Policies = append(state.Policies, yes, no, PolicyState{Ref: ref("poison"), Err: errors.New("does not compile")})
			e := newEngine(t, Options{}, state)
			if prepared {
				e.Prepare(t.Context())
			}
			want(t, "it holds", decide(t, e, "yes", good()), "Allow")
			want(t, "it does not", decide(t, e, "no", good()), "rule_denied")
			want(t, "one that does not compile", decide(t, e, "poison", good()), "policy_invalid")
		})
	}
}

// A panic in a judgement ends as "could not tell".
func TestPanicInAJudgement(t *testing.T) {
	e := newEngine(t, Options{}, one(t, newIDP(t), time.Hour))
	want(t, "warm", decide(t, e, "orders", good()), "Allow")
	hr := original()
	hr.Headers = panicking{}
	d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, HTTP: hr, Policy: ref("orders"), Token: good()})
	want(t, "a panic", outcome(d, err), "internal")
	if d.Verdict == token.Allow || d.Headers != nil {
		t.Errorf("the decision beside the error is %+v", d)
	}
	d, err = e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, Policy: ref("orders"), Token: good()})
	want(t, "an adapter that forgot the request", outcome(d, err), "surface_not_configured")
	d, err = e.Decide(t.Context(), token.Request{Surface: "carrier-pigeon", Policy: ref("orders"), Token: good(), HTTP: original()})
	want(t, "a surface that nobody knows", outcome(d, err), "surface_not_configured")
	if d.Verdict == token.Allow {
		t.Error("an allow of nobody's surface")
	}
}

// panicking are Headers of an adapter with a fault.
type panicking struct{ token.HTTPHeaders }

// Odd panics.
func (panicking) Odd([]string) string { panic("at the disco") }

// ServiceAccounts' tokens are verified with the cluster's keys, also while the API server is away.
func TestServiceAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const cluster, audience = "https://kubernetes.default.svc", "https://webhook.introspection.svc/introspect/shop/orders"
		signer, asked := newSigner(t, "k1"), 0
		var published keys
		published.publish(signer)
		down := true
		e, _ := bubble(t, newUpstream(), func(o *Options, _ *State) {
			o.ClusterKeys = func(context.Context) (string, []byte, error) {
				asked++
				if down {
					return "", nil, errors.New("connection refused")
				}
				_, body := published.document()
				return cluster, body, nil
			}
		})
		tok := token.New(signer.jws(t, map[string]any{"alg": "ES256", "kid": "k1"}, map[string]any{
			"iss": cluster, "sub": "system:serviceaccount:tools:prober", "aud": []string{audience}, "exp": time.Now().Add(48 * time.Hour).Unix(),
			"kubernetes.io": map[string]any{"namespace": "tools", "serviceaccount": map[string]any{"name": "prober", "uid": "1"}},
		}))
		who := func() string {
			got, err := e.ServiceAccount(t.Context(), tok, audience)
			if u, ok := errors.AsType[*token.Undecided](err); ok {
				return string(u.Reason)
			}
			if err != nil {
				return "refused"
			}
			return got.String()
		}
		for range 20 {
			want(t, "the API server is away", who(), "keys_unavailable")
		}
		if asked != 1 {
			t.Errorf("it was asked %d times within a moment", asked)
		}
		time.Sleep(time.Second)
		down = false
		want(t, "it is back", who(), account().String())
		if _, err := e.ServiceAccount(t.Context(), tok, audience+"/"); err == nil {
			t.Error("a token for another audience is taken")
		}
		down = true
		for range 23 {
			time.Sleep(time.Hour)
			want(t, "away for hours", who(), account().String())
		}
		time.Sleep(2 * time.Hour)
		want(t, "away for more than a day", who(), "keys_unavailable")
		e.Close()
	})
	e := newEngine(t, Options{}, State{})
	if _, err := e.ServiceAccount(t.Context(), good(), "x"); err == nil {
		t.Error("an engine without the cluster's keys takes a ServiceAccount's token")
	}
}
