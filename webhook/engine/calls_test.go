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

// open is an engine in a synctest bubble, where time.Now is a fake clock.
func open(t *testing.T, f askerFunc, policies ...PolicyState) *Engine {
	t.Helper()
	dial, state := scripted(f, policies...)
	return newEngine(t, Options{Clock: time.Now, Dial: dial}, state)
}

func TestOneCallForAColdToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		e := open(t, func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			calls++
			time.Sleep(time.Second)
			return facts(), nil
		}, policyState(t, "orders", "orders", time.Minute))
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() { want(t, "each caller", decide(t, e, "orders", good()), "Allow") })
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("64 callers: got %d calls, want 1", calls)
		}
		e.Close()
	})
}

// Whoever waits for a refused credential learns it once, and asks no more.
func TestRefusedCredentialsAreNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		e := open(t, func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			calls++
			time.Sleep(time.Second)
			return nil, introspect.ErrCredentialsRefused
		}, policyState(t, "orders", "orders", time.Minute))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { want(t, "each caller", decide(t, e, "orders", good()), "credentials_refused") })
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("8 callers: got %d calls, want 1", calls)
		}
		e.Close()
	})
}

// A cancelled pipeline meant allow: here a deadline at any stage never does.
func TestAuthorino649(t *testing.T) {
	cases := map[string]struct {
		reason     string
		warm, busy bool
		// took is how long the server takes; the request's end is after 1s.
		took time.Duration
		// ends says that the request ends as the answer comes.
		ends bool
	}{
		"AlreadyOver": {reason: "on a warm hit", warm: true},
		"InTheCall":   {reason: "while the server thinks", took: 2 * time.Second},
		"ForATurn":    {reason: "while others ask", busy: true},
		"AtTheAnswer": {reason: "just as the answer comes", ends: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				e := open(t, func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
					time.Sleep(tc.took)
					if tc.ends {
						cancel()
					}
					return facts(), nil
				}, policyState(t, "orders", "orders", time.Hour))
				if tc.warm {
					want(t, "priming", decide(t, e, "orders", good()), "Allow")
				}
				l := e.current.Load().links["s1"]
				for range cap(l.slots) {
					if tc.busy {
						l.slots <- struct{}{}
					}
				}
				if tc.warm {
					cancel()
				}
				stop := time.AfterFunc(time.Second, cancel)
				defer stop.Stop()
				d, err := e.Decide(ctx, token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: good()})
				want(t, tc.reason, outcome(d, err), "server_unavailable")
				if d.Verdict == token.Allow || d.Headers != nil {
					t.Errorf("%s: the decision beside the error is %+v, want the zero Decision", tc.reason, d)
				}
				for range len(l.slots) {
					if tc.busy {
						<-l.slots
					}
				}
				time.Sleep(time.Minute)
				e.Close()
			})
		})
	}
}

// The limit of calls under way holds, and who waits for a turn waits no longer than
// the call's own limit.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return facts(), nil
		}, policyState(t, "orders", "orders", time.Minute))
		state.Servers[0].MaxInFlight, state.Servers[0].Timeout = 4, 2*time.Second
		e := newEngine(t, Options{Clock: time.Now, Dial: dial}, state)
		got := map[string]int{}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				o := decide(t, e, "orders", unsigned(map[string]any{"iss": issuer, "jti": i}))
				mu.Lock()
				got[o]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if most != 3 || got["Allow"] < 9 || got["Allow"]+got["overloaded"] != 20 || got["overloaded"] == 0 {
			t.Errorf("at once %d (want 3, of 4, for one namespace), outcomes %v", most, got)
		}
		e.Close()
	})
}

func TestPanicInACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			panic("at the disco")
		}, policyState(t, "orders", "orders", time.Minute))
		want(t, "a panic is nobody's allow", decide(t, e, "orders", good()), "internal")
		if n := len(e.current.Load().links["s1"].slots); n != 0 {
			t.Errorf("%d turns lost", n)
		}
		e.Close()
	})
}
