// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// billing is another tenant's policy.
func billing() token.Ref { return token.Ref{Namespace: "billing", Name: "orders"} }

// tenants adds namespace billing to a state, with a client and a policy of its own.
func tenants(t *testing.T, s *State) {
	t.Helper()
	p, c := policyState(t, "orders", "orders", 30*time.Second), clientState("orders", "s1", "billings-secret")
	p.Ref, c.Ref, c.UID = billing(), billing(), "uid-billing"
	s.Policies, s.Clients = append(s.Policies, p), append(s.Clients, c)
	s.Servers[0].Namespaces["billing"] = struct{}{}
}

// asks asks a policy as a gateway.
func asks(ctx context.Context, e *Engine, p token.Ref, tok token.Token) string {
	return outcome(e.Decide(ctx, token.Request{ID: "d1", Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: p, Token: tok}))
}

// garbage are tokens that are no good: the server says so of all from here on.
const garbage = 1000

// picky calls only tokens below garbage active.
func picky() *upstream {
	u := newUpstream()
	good := map[token.Token]bool{}
	for i := range 200 {
		good[numbered(i)] = true
	}
	u.say = func(t token.Token) (*token.Facts, error) {
		if good[t] {
			return facts(), nil
		}
		return token.Inactive(), nil
	}
	return u
}

// One tenant's garbage can't starve another, nor the tenant's own users.
func TestMissBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := picky()
		e, registry := bubble(t, u, func(o *Options, s *State) {
			o.MissRate, o.MissBurst = 1, 10
			tenants(t, s)
		}, policyState(t, "orders", "orders", 30*time.Second))
		want(t, "known good", decide(t, e, "orders", numbered(0)), "Allow")
		for i := range 10 {
			want(t, "garbage", decide(t, e, "orders", numbered(garbage+i)), "inactive")
		}
		before := u.count()
		for i := range 50 {
			want(t, "more of it", decide(t, e, "orders", numbered(garbage+100+i)), "miss_budget_exhausted")
		}
		want(t, "what was learnt is still served", decide(t, e, "orders", numbered(garbage)), "inactive")
		wantAsked(t, "is not asked about", u, before)
		if n := gathered(t, registry)["misses_shed_total"]; n != 50 {
			t.Errorf("%v were counted as shed, want 50", n)
		}
		for i := range 100 {
			want(t, "another tenant's", asks(t.Context(), e, billing(), numbered(i)), "Allow")
		}
		start := time.Now()
		for i := 0; time.Since(start) < 2*time.Minute; i++ {
			want(t, "known good, refreshed", decide(t, e, "orders", numbered(0)), "Allow")
			decide(t, e, "orders", numbered(garbage+1000+i))
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(31 * time.Second)
		for i := range 40 { // thirty-one seconds earned no more than the burst
			decide(t, e, "orders", numbered(garbage+5000+i))
		}
		want(t, "known good, too old, asked about all the same", decide(t, e, "orders", numbered(0)), "Allow")
		time.Sleep(time.Second - 1)
		want(t, "one a second", decide(t, e, "orders", numbered(garbage+9000)), "miss_budget_exhausted")
		time.Sleep(time.Nanosecond)
		want(t, "one a second", decide(t, e, "orders", numbered(garbage+9000)), "inactive")
		want(t, "and no more", decide(t, e, "orders", numbered(garbage+9001)), "miss_budget_exhausted")
		e.Close()
	})
}

// What draws on the budget, and what does not.
func TestWhatDrawsOnTheMissBudget(t *testing.T) {
	signer, forger := newSigner(t, "k1"), newSigner(t, "k1")
	cases := map[string]struct {
		reason string
		says   func(token.Token) (*token.Facts, error)
		token  func(t *testing.T, n int) token.Token
		hangUp bool
		at     string
		draws  bool
	}{
		"Inactive":    {reason: "no good", says: func(token.Token) (*token.Facts, error) { return token.Inactive(), nil }, at: "inactive", draws: true},
		"Unsupported": {reason: "the server was asked for nothing", says: func(token.Token) (*token.Facts, error) { return nil, introspect.ErrUnsupportedToken }, at: "unsupported_token", draws: true},
		"Active":      {reason: "is given back", says: func(token.Token) (*token.Facts, error) { return facts(), nil }, at: "Allow"},
		"Outage":      {reason: "nobody knows: an outage must not end in another refusal", says: func(token.Token) (*token.Facts, error) { return nil, errBadRequest }, at: "server_unavailable"},
		"Credentials": {reason: "ours were no good, not the token", says: func(token.Token) (*token.Facts, error) { return nil, introspect.ErrCredentialsRefused }, at: "credentials_refused"},
		"HangUp":      {reason: "garbage is garbage, whether its sender waits or not", says: func(token.Token) (*token.Facts, error) { return token.Inactive(), nil }, hangUp: true, at: "server_unavailable", draws: true},
		"Forged": {reason: "a bad signature costs no call", token: func(t *testing.T, n int) token.Token {
			t.Helper()
			c := signed()
			c["jti"] = n
			return forger.sign(t, c)
		}, at: "invalid_signature"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream()
				u.say, u.takes = tc.says, time.Second
				var published keys
				published.publish(signer)
				e, _ := bubble(t, u, func(o *Options, s *State) {
					o.MissRate, o.MissBurst = 1e-9, 5
					if tc.token != nil {
						s.Servers[0].JWKSURI = "https://sso.example.com/keys"
						o.FetchKeys = func(ServerState) (func(context.Context) ([]byte, error), error) {
							return func(context.Context) ([]byte, error) { _, body := published.document(); return body, nil }, nil
						}
					}
				}, policyState(t, "orders", "orders", time.Hour))
				for i := range 20 {
					tok := numbered(i)
					if tc.token != nil {
						tok = tc.token(t, i)
					}
					expected := tc.at
					if tc.draws && i >= 5 {
						expected = "miss_budget_exhausted"
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					if tc.hangUp {
						ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
					}
					want(t, tc.reason, asks(ctx, e, ref("orders"), tok), expected)
					cancel()
					time.Sleep(2 * time.Second)
				}
				e.Close()
			})
		})
	}
}

// Many who wait for one answer ask one question, and spend so much.
func TestMissBudgetPerQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := picky()
		u.takes = time.Second
		e, _ := bubble(t, u, func(o *Options, _ *State) { o.MissRate, o.MissBurst = 1e-9, 2 }, policyState(t, "orders", "orders", time.Hour))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { want(t, "each", decide(t, e, "orders", numbered(garbage)), "inactive") })
		}
		wg.Wait()
		want(t, "the second", decide(t, e, "orders", numbered(garbage+1)), "inactive")
		want(t, "the third", decide(t, e, "orders", numbered(garbage+2)), "miss_budget_exhausted")
		e.Close()
	})
}

// A namespace without a policy leaves nothing behind.
func TestMissBudgetIsForgotten(t *testing.T) {
	b := newBudgets(newClock().Now, 0, 0)
	for range defaultMissBurst {
		if !b.take("shop") {
			t.Fatal("take(...): the default burst is not there")
		}
	}
	if b.take("shop") {
		t.Error("take(...): more than the burst")
	}
	b.keep(map[string]bool{"shop": true})
	if b.take("shop") {
		t.Error("take(...): a reload filled it")
	}
	b.keep(nil)
	if b.give("shop"); len(b.all) != 0 {
		t.Errorf("%d namespaces are remembered, want none", len(b.all))
	}
}

// A clock that is set back mints nothing, and takes nothing.
func TestMissBudgetAndTheClock(t *testing.T) {
	c := newClock()
	b := newBudgets(c.Now, 1, 2)
	for _, step := range []struct {
		by   time.Duration
		want bool
	}{{0, true}, {0, true}, {0, false}, {-time.Hour, false}, {time.Second - 1, false}, {1, true}, {time.Hour, true}, {0, true}, {0, false}} {
		c.Advance(step.by)
		if got := b.take("shop"); got != step.want {
			t.Errorf("after %s: take(...): got %t, want %t", step.by, got, step.want)
		}
	}
}

// While one tenant's garbage waits at a slow server, another's tokens have turns and places.
func TestFloodOfOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := picky()
		u.takes = time.Second
		e, _ := bubble(t, u, func(_ *Options, s *State) {
			s.Servers[0].MaxInFlight, s.Servers[0].Timeout = 4, time.Minute
			tenants(t, s)
		}, policyState(t, "orders", "orders", time.Hour))
		want(t, "known good", asks(t.Context(), e, billing(), numbered(0)), "Allow")
		time.Sleep(31 * time.Second)
		ctx, hangUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		shed := 0
		var mu sync.Mutex
		for i := range 500 {
			wg.Go(func() {
				if asks(ctx, e, ref("orders"), numbered(garbage+i)) == "overloaded" {
					mu.Lock()
					defer mu.Unlock()
					shed++
				}
			})
		}
		synctest.Wait()
		for i := range 8 {
			start := time.Now()
			want(t, "another tenant's", asks(t.Context(), e, billing(), numbered(i)), "Allow")
			if took := time.Since(start); took > time.Second {
				t.Errorf("it waited %s", took)
			}
		}
		hangUp()
		wg.Wait()
		if most := queueFactor * 4 * 3 / 4; shed < 500-most-50 {
			t.Errorf("%d were shed at once, want all beyond %d in the queue", shed, most)
		}
		time.Sleep(time.Minute)
		e.Close()
	})
}

// The queue is bounded, for tokens that are known too: an early 503 is better than a late one.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, registry := bubble(t, u, func(_ *Options, s *State) {
			s.Servers[0].MaxInFlight, s.Servers[0].Timeout = 1, time.Hour
		}, policyState(t, "orders", "orders", time.Second))
		const n = 40
		for i := range n {
			want(t, "known good", decide(t, e, "orders", numbered(i)), "Allow")
		}
		time.Sleep(2 * time.Second)
		u.takes = time.Hour / 100
		ctx, hangUp := context.WithCancel(t.Context())
		said := make(chan string, n)
		for i := range n {
			go func() { said <- asks(ctx, e, ref("orders"), numbered(i)) }()
		}
		synctest.Wait()
		// One is under way, queueFactor wait.
		if got := len(said); got != n-queueFactor-1 {
			t.Errorf("%d have their answer at once, want %d", got, n-queueFactor-1)
		}
		for range len(said) {
			want(t, "early", <-said, "overloaded")
		}
		if busy := gathered(t, registry)["upstream_requests_total outcome=busy server=corporate"]; busy != n-queueFactor-1 {
			t.Errorf("%v were counted as busy", busy)
		}
		hangUp()
		synctest.Wait()
		time.Sleep(time.Hour)
		if l := e.current.Load().links["s1"]; l.waiting.Load() != 0 || len(l.slots) != 0 {
			t.Errorf("%d places and %d turns are lost", l.waiting.Load(), len(l.slots))
		}
		e.Close()
	})
}
