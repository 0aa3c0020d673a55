// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Servers in all the ways in which they are not well: whatever they do, no allow is wrong.
func TestChaos(t *testing.T) {
	const m = time.Minute
	cases := map[string]struct {
		reason string
		// fit is what a server does that would call the token active, after so long.
		fit func(since time.Duration, n int, exp time.Time) (*token.Facts, error)
		// there and back are the ways, of which the link waits for two seconds.
		there, back time.Duration
		// skew is how far our clock is ahead of the server's.
		skew time.Duration
		// least and most are of a hundred decisions, how many are allows.
		least, most int
	}{
		"Well": {reason: "the others are compared with it", back: time.Second, least: 40, most: 70},
		"Down": {reason: "from the start", fit: func(time.Duration, int, time.Time) (*token.Facts, error) { return nil, errTimeout }},
		"Slow": {reason: "most answers come too late for their policies", there: 5 * time.Second, back: 5 * time.Second, least: 2, most: 50},
		"Flapping": {reason: "up and down every three seconds", back: time.Second, least: 15, most: 65, fit: func(since time.Duration, n int, exp time.Time) (*token.Facts, error) {
			if since/(3*time.Second)%2 == 1 {
				return nil, errUnavailable
			}
			return subject(n, exp), nil
		}},
		"HTML": {reason: "a proxy's page, after a while", back: time.Second, least: 5, most: 50, fit: func(since time.Duration, n int, exp time.Time) (*token.Facts, error) {
			if since > 10*time.Second {
				return nil, errHTML
			}
			return subject(n, exp), nil
		}},
		"OtherIssuer": {reason: "answers for another server", back: time.Second, fit: func(_ time.Duration, n int, exp time.Time) (*token.Facts, error) {
			f := subject(n, exp)
			f.Issuer = partner
			return f, nil
		}},
		"NowAndThenOther": {reason: "a pool of which one node is of another realm", back: time.Second, least: 5, most: 60, fit: func(since time.Duration, n int, exp time.Time) (*token.Facts, error) {
			f := subject(n, exp)
			if since.Nanoseconds()%3 == 0 {
				f.Issuer = partner
			}
			return f, nil
		}},
		"OtherAudience": {reason: "is for another API", back: time.Second, fit: func(_ time.Duration, n int, exp time.Time) (*token.Facts, error) {
			f := subject(n, exp)
			f.Audience = []string{"billing"}
			return f, nil
		}},
		"PastExp": {reason: "calls active what has ended", back: time.Second, fit: func(_ time.Duration, n int, _ time.Time) (*token.Facts, error) {
			return subject(n, time.Now().Add(-time.Second)), nil
		}},
		"ClockAhead":  {reason: "ours is five minutes ahead: tokens end early", back: time.Second, skew: 5 * m, most: 60},
		"ClockBehind": {reason: "ours is five minutes behind: new tokens are of the future", back: time.Second, skew: -5 * m},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			decided, allowed := 0, 0
			for seed := range uint64(4) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					clock := func() time.Time { return time.Now().Add(tc.skew) }
					s := newRevocable(seed, start)
					s.outages = nil
					w := &witness{clock: clock, there: tc.there, back: tc.back, random: rand.New(rand.NewPCG(seed, 3))}
					w.say = func(tok token.Token, _ time.Time) (*token.Facts, bool, error) {
						f, good, err := s.say(tok, time.Now())
						if !good || tc.fit == nil {
							return f, good, err
						}
						n := int(f.Subject[len(f.Subject)-1] - 'a')
						f, err = tc.fit(time.Since(start), n, s.exp[n])
						return f, err == nil && f.Issuer == issuer && f.Audience[0] == "shop.orders", err
					}
					bounds := []promised{{0, 0}, {2 * time.Second, 0}, {10 * time.Second, 0}, {5 * time.Second, 10 * time.Second}}
					policies := make([]PolicyState, 0, len(bounds))
					for _, b := range bounds {
						policies = append(policies, b.policy(t))
					}
					dial, state := scripted(w.ask, policies...)
					e := newEngine(t, Options{Clock: clock, Dial: dial}, state)
					c := crowd{bounds: bounds, tokens: s.tokens, readers: 12, rounds: 50, pause: 1500 * time.Millisecond}
					outcomes, allows := c.read(t, e, w, seed)
					for _, n := range outcomes {
						decided += n
					}
					allowed += len(allows)
					if n := outcomes["internal"]; n != 0 {
						t.Errorf("%s: %d faults of ours", tc.reason, n)
					}
					time.Sleep(time.Minute)
					e.Close()
				})
			}
			if share := 100 * allowed / decided; share < tc.least || share > tc.most {
				t.Errorf("%s: %d of %d were allowed (%d %%), want %d to %d %%", tc.reason, allowed, decided, share, tc.least, tc.most)
			}
		})
	}
}
