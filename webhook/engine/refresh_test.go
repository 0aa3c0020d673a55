// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// A token in use is asked about before its facts are too old: after the first, nobody waits.
func TestHotTokenNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.takes = time.Second
		e, registry := bubble(t, u, nil, policyState(t, "orders", "orders", 30*time.Second))
		want(t, "cold", decide(t, e, "orders", good()), "Allow")
		for start := time.Now(); time.Since(start) < 10*time.Minute; time.Sleep(100 * time.Millisecond) {
			before := time.Now()
			want(t, "hot", decide(t, e, "orders", good()), "Allow")
			if took := time.Since(before); took != 0 {
				t.Errorf("a reader waited %s", took)
			}
			synctest.Wait()
		}
		series := gathered(t, registry)
		if misses := series["cache_lookups_total result=miss"]; misses != 1 {
			t.Errorf("%v readers missed, want the first only", misses)
		}
		// Between 70 and 86 % of maxAge: at least every 21 s, at most every 26 s and a bit.
		if n := u.count(); n < 600/27 || n > 600/21+1 || float64(n-1) != series["refreshes_total"] {
			t.Errorf("asked %d times in ten minutes, %v of them ahead", n, series["refreshes_total"])
		}
		time.Sleep(u.takes) // a refresh may be under way
		e.Close()
	})
}

// What a refresh learns is stored, and what it does not learn changes nothing.
func TestRefreshAhead(t *testing.T) {
	const maxAge = 30 * time.Second
	cases := map[string]struct {
		reason string
		maxAge time.Duration
		first  *token.Facts
		// then is what the server says after the first answer.
		then error
		bad  bool
		// last is when the last allow may be, and end what comes after.
		last time.Duration
		end  string
		// most and least are how often it is asked in the 30s after the first.
		least, most int
	}{
		"FailedExtendsNothing":  {reason: "the server is down", maxAge: maxAge, then: errUnavailable, last: maxAge, end: "server_unavailable", least: 4, most: 10},
		"TimedOut":              {reason: "the server is slow", maxAge: maxAge, then: errTimeout, last: maxAge, end: "server_unavailable", least: 4, most: 10},
		"RefusedExtendsNothing": {reason: "our credentials are no good any more", maxAge: maxAge, then: introspect.ErrCredentialsRefused, last: maxAge, end: "credentials_refused", least: 4, most: 10},
		"InactiveEndsIt":        {reason: "revoked: known at the refresh, before maxAge", maxAge: maxAge, bad: true, last: 27 * time.Second, end: "inactive", least: 1, most: 2},
		"MaxAgeZero":            {reason: "none is asked about ahead; the breaker spares the server", maxAge: 0, then: errUnavailable, last: 0, end: "server_unavailable", least: 30, most: 45},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUpstream()
				e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", tc.maxAge))
				want(t, tc.reason, decide(t, e, "orders", good()), "Allow")
				if start := time.Now(); tc.bad {
					u.up(good())
					defer func() {
						if time.Since(start) < 30*time.Second {
							t.Errorf("%s: the test is over too early", tc.reason)
						}
					}()
				} else {
					u.says(nil, tc.then)
				}
				start, last, end := time.Now(), time.Duration(0), ""
				for time.Since(start) <= 30*time.Second {
					time.Sleep(100 * time.Millisecond)
					if end = decide(t, e, "orders", good()); end == "Allow" {
						last = time.Since(start)
					}
					synctest.Wait()
				}
				if last > tc.last || tc.last == maxAge && last < maxAge {
					t.Errorf("%s: the last allow was after %s, want %s", tc.reason, last, tc.last)
				}
				want(t, tc.reason, end, tc.end)
				if n := u.count() - 1; n < tc.least || n > tc.most {
					t.Errorf("%s: asked %d times, want %d to %d", tc.reason, n, tc.least, tc.most)
				}
				e.Close()
			})
		})
	}
}

// A refused token is not asked about ahead of need: garbage is worth no question.
func TestNegativesAreNotRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		u.says(token.Inactive(), nil)
		e, registry := bubble(t, u, nil, policyState(t, "orders", "orders", time.Hour))
		for range 51 {
			want(t, "garbage", decide(t, e, "orders", good()), "inactive")
			time.Sleep(100 * time.Millisecond)
		}
		if n := gathered(t, registry)["refreshes_total"]; n != 0 {
			t.Errorf("%v refreshes, want none", n)
		}
		wantAsked(t, "within five seconds", u, 1)
		e.Close()
	})
}

// However many readers find the facts old, and whatever their maxAge: once a second.
func TestRefreshOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", time.Minute), policyState(t, "short", "orders", 55*time.Second))
		want(t, "cold", decide(t, e, "orders", good()), "Allow")
		u.says(nil, errUnavailable)
		time.Sleep(53 * time.Second)
		for range 10 { // in all a second
			for range 20 {
				go func() { want(t, "each", decide(t, e, "orders", good()), "Allow") }()
				go func() { want(t, "each", decide(t, e, "short", good()), "Allow") }()
			}
			synctest.Wait()
			time.Sleep(99 * time.Millisecond)
		}
		wantAsked(t, "the first, and one ahead", u, 2)
		e.Close()
	})
}

// A policy with a shorter maxAge finds what the other's refresh learnt.
func TestRefreshIsEverybodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, _ := bubble(t, u, nil, policyState(t, "orders", "orders", 30*time.Second), policyState(t, "hour", "orders", time.Hour))
		want(t, "cold", decide(t, e, "hour", good()), "Allow")
		time.Sleep(28 * time.Second)
		u.up(good())
		want(t, "the short one's hit refreshes", decide(t, e, "orders", good()), "Allow")
		synctest.Wait()
		want(t, "the long one knows at once", decide(t, e, "hour", good()), "inactive")
		wantAsked(t, "two questions", u, 2)
		e.Close()
	})
}
