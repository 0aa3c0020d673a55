// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// What opens the breaker: a server that is down or overloaded. What a stranger's token can
// bring about never does.
func TestBreakerOpens(t *testing.T) {
	cases := map[string]struct {
		reason string
		says   error
		want   string
		opens  bool
	}{
		"5xx":         {"it says so", errUnavailable, "server_unavailable", true},
		"Timeout":     {"it says nothing", errTimeout, "server_unavailable", true},
		"HTML":        {"a proxy's 200 is no answer", errHTML, "server_unavailable", true},
		"429":         {"it asks for less", errThrottled, "server_unavailable", true},
		"400":         {"a stranger's token may have caused it", errBadRequest, "server_unavailable", false},
		"Credentials": {"the server is well, we are not", introspect.ErrCredentialsRefused, "credentials_refused", false},
		"Unsupported": {"a stranger's JWT", introspect.ErrUnsupportedToken, "unsupported_token", false},
		"Inactive":    {"a stranger's token", nil, "inactive", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream()
				if u.says(nil, tc.says); tc.says == nil {
					u.says(token.Inactive(), nil)
				}
				e, registry := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour))
				for i := range breakerFailures {
					want(t, tc.reason, decide(t, e, "orders", numbered(i)), tc.want)
					if open := gauge(t, registry, "breaker_open"); open != 0 && i < breakerFailures-1 {
						t.Errorf("%s: open after %d", tc.reason, i+1)
					}
				}
				wantAsked(t, tc.reason, u, breakerFailures)
				u.up()
				got, after := "Allow", breakerFailures+1
				if tc.opens {
					got, after = "server_unavailable", breakerFailures
				}
				want(t, tc.reason, decide(t, e, "orders", good()), got)
				wantAsked(t, tc.reason, u, after)
				if open := gauge(t, registry, "breaker_open") == 1; open != tc.opens {
					t.Errorf("%s: the gauge says open: %t", tc.reason, open)
				}
				if n := gathered(t, registry)["upstream_requests_total outcome=breaker_open server=corporate"]; (n == 1) != tc.opens {
					t.Errorf("%s: %v were spared", tc.reason, n)
				}
				e.Close()
			})
		})
	}
}

// One good answer among the bad, and it stays closed.
func TestBreakerCountsFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, registry := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour))
		for i := range 10 * breakerFailures {
			if u.says(nil, errUnavailable); i%breakerFailures == 0 {
				u.up()
			}
			decide(t, e, "orders", numbered(i))
		}
		wantAsked(t, "all were asked", u, 10*breakerFailures)
		if gauge(t, registry, "breaker_open") != 0 {
			t.Error("the breaker is open")
		}
		e.Close()
	})
}

// After a second one question is let through, whoever waits; it settles what is next.
func TestBreakerHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.says(nil, errUnavailable)
		e, registry := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour))
		for i := range breakerFailures {
			decide(t, e, "orders", numbered(i))
		}
		u.takes = 100 * time.Millisecond
		at := breakerFailures
		for round := range 3 {
			time.Sleep(breakerDelay - 1)
			want(t, "still open", decide(t, e, "orders", good()), "server_unavailable")
			wantAsked(t, "not yet", u, at+round)
			time.Sleep(time.Nanosecond)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() { want(t, "half open", decide(t, e, "orders", numbered(100+i)), "server_unavailable") })
			}
			wg.Wait()
			wantAsked(t, "one is let through, of twenty", u, at+round+1)
		}
		u.up()
		time.Sleep(breakerDelay)
		want(t, "it is well again", decide(t, e, "orders", good()), "Allow")
		if gauge(t, registry, "breaker_open") != 0 {
			t.Error("the breaker is open")
		}
		for i := range 20 {
			want(t, "all are asked about", decide(t, e, "orders", numbered(200+i)), "Allow")
		}
		e.Close()
	})
}

// A panic while asking is a failure of that question, and loses no permit.
func TestBreakerSurvivesPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.say = func(token.Token) (*token.Facts, error) { panic("at the disco") }
		e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour))
		for i := range breakerFailures {
			want(t, "a panic", decide(t, e, "orders", numbered(i)), "internal")
		}
		time.Sleep(breakerDelay)
		want(t, "the one that is let through", decide(t, e, "orders", good()), "internal")
		u.up()
		time.Sleep(breakerDelay)
		want(t, "the next", decide(t, e, "orders", good()), "Allow")
		e.Close()
	})
}

// A stranger's tokens, to which the server answers 400, harm nobody.
func TestAttackers4xx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.say = func(tok token.Token) (*token.Facts, error) {
			if tok != good() {
				return nil, errBadRequest
			}
			return facts(), nil
		}
		e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", time.Second))
		for i := range 500 {
			want(t, "the stranger's", decide(t, e, "orders", numbered(i)), "server_unavailable")
			time.Sleep(10 * time.Millisecond)
			want(t, "everybody else's", decide(t, e, "orders", good()), "Allow")
		}
		e.Close()
	})
}

// One server's breaker is its own.
func TestBreakerPerServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := newUpstream()
		down.says(nil, errUnavailable)
		up := newUpstream()
		_, state := scripted(nil, policyState(t, "orders", "orders", time.Hour), policyState(t, "other", "other", time.Hour))
		state.Clients = append(state.Clients, clientState("other", "s2", "secret"))
		state.Servers = append(state.Servers, state.Servers[0])
		state.Servers[1].UID, state.Servers[1].Name = "s2", "other"
		e := newEngine(t, Options{Clock: time.Now, Dial: func(s ServerState) (Asker, error) {
			if s.UID == "s2" {
				return askerFunc(up.ask), nil
			}
			return askerFunc(down.ask), nil
		}}, state)
		for i := range 2 * breakerFailures {
			want(t, strconv.Itoa(i), decide(t, e, "orders", numbered(i)), "server_unavailable")
			want(t, strconv.Itoa(i), decide(t, e, "other", numbered(i)), "Allow")
		}
		wantAsked(t, "open", down, breakerFailures)
		e.Close()
	})
}

// An outage must not leave a caller waiting for each: with the breaker open the answer is
// there at once, however many wait for a turn.
func TestBreakerAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.takes, u.say = 2*time.Second, func(token.Token) (*token.Facts, error) { return nil, errTimeout }
		e, _ := bubble(t, u, func(_ *Options, s *State) { s.Servers[0].MaxInFlight = 16 }, policyState(t, "orders", "orders", time.Hour))
		var wg sync.WaitGroup
		for i := range breakerFailures {
			wg.Go(func() { decide(t, e, "orders", numbered(i)) })
		}
		wg.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i := range 100 {
			d, err := e.Decide(ctx, token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: numbered(100 + i)})
			want(t, "open", outcome(d, err), "server_unavailable")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a hundred callers waited %s", took)
		}
		e.Close()
	})
}
