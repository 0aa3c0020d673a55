// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// subject is a token's own: what is said of one must not be said of another.
func subject(n int, exp time.Time) *token.Facts {
	f := facts()
	f.Subject, f.ExpiresAt = "user-"+string(rune('a'+n)), exp
	f.Claims = map[string]json.RawMessage{"sub": json.RawMessage(`"` + f.Subject + `"`)}
	return f
}

// span is when something holds.
type span struct{ from, to time.Time }

func (s span) holds(at time.Time) bool { return !at.Before(s.from) && at.Before(s.to) }

// revocable is a server that revokes tokens at a time, of which some end before, and that is
// down now and then.
type revocable struct {
	tokens  []token.Token
	revoked []time.Time
	exp     []time.Time
	outages []span
	random  *rand.Rand
}

func newRevocable(seed uint64, now time.Time) *revocable {
	random := rand.New(rand.NewPCG(seed, 1))
	within := func(from, to time.Duration) time.Time {
		return now.Add(from + time.Duration(random.Int64N(int64(to-from))))
	}
	s := &revocable{random: random}
	for n := range 3 {
		s.tokens = append(s.tokens, numbered(n))
		s.revoked = append(s.revoked, within(15*time.Second, 50*time.Second))
		s.exp = append(s.exp, within(time.Duration(30+30*n)*time.Second, time.Duration(40+60*n)*time.Second).Truncate(time.Second))
	}
	for range 2 {
		from := within(2*time.Second, 50*time.Second)
		s.outages = append(s.outages, span{from, from.Add(time.Duration(1+random.IntN(12)) * time.Second)})
	}
	return s
}

func (s *revocable) say(t token.Token, at time.Time) (f *token.Facts, good bool, err error) {
	for _, o := range s.outages {
		if o.holds(at) {
			return nil, false, errUnavailable
		}
	}
	for n, of := range s.tokens {
		if t == of && at.Before(s.revoked[n]) {
			return subject(n, s.exp[n]), true, nil
		}
	}
	return token.Inactive(), false, nil
}

// The promise on revocation: every allow decided at t rests on an introspection request sent
// after t - maxAge (- staleFor in an outage). T being when the server calls the token
// inactive, nobody allows it from T + maxAge (+ staleFor) on; with maxAge 0, nobody whose
// request came after T. Readers of several maxAges share the facts, follow each other's
// questions and refresh them ahead, while answers overtake each other, the server is down,
// the breaker opens, and the objects are read again.
func TestPromiseOnRevocation(t *testing.T) {
	bounds := []promised{
		{0, 0},
		{1500 * time.Millisecond, 0},
		{10 * time.Second, 0},
		{0, 5 * time.Second},
		{2 * time.Second, 5 * time.Second},
		{10 * time.Second, 8 * time.Second},
	}
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	total, seen := map[string]int{}, map[string]float64{}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := newRevocable(seed, time.Now())
			w := &witness{clock: time.Now, there: time.Second, back: 3 * time.Second, random: rand.New(rand.NewPCG(seed, 2)), say: s.say}
			policies := make([]PolicyState, 0, len(bounds))
			for _, b := range bounds {
				policies = append(policies, b.policy(t))
			}
			dial, state := scripted(w.ask, policies...)
			e, registry := bubble(t, newUpstream(), func(o *Options, st *State) { o.Dial, *st = dial, state })
			stop := time.AfterFunc(20*time.Second, func() { e.Load(state) })
			defer stop.Stop()
			c := crowd{bounds: bounds, tokens: append(s.tokens, numbered(99)), readers: 18, rounds: 50, pause: 2 * time.Second}
			outcomes, allows := c.read(t, e, w, seed)
			for _, a := range allows {
				n := int(a.subject[len(a.subject)-1] - 'a')
				decided := a.at
				if a.maxAge == 0 && a.staleFor == 0 {
					decided = a.arrival
				}
				if late := decided.Sub(s.revoked[n].Add(a.maxAge + a.staleFor)); late > 0 {
					t.Errorf("seed %d: maxAge %s, staleFor %s: allowed %s past the bound", seed, a.maxAge, a.staleFor, late)
				}
			}
			time.Sleep(time.Minute)
			for o, n := range outcomes {
				total[o] += n
			}
			for name, n := range gathered(t, registry) {
				seen[name] += n
			}
			e.Close()
		})
	}
	few := func(what string, n, least float64) {
		if !testing.Short() && n < least {
			t.Errorf("only %v %s: the test shows little", n, what)
		}
	}
	few("allows", float64(total["Allow"]), 5000)
	few("refusals", float64(total["inactive"]), 1000)
	few("outages", float64(total["server_unavailable"]), 500)
	few("hits", seen["cache_lookups_total result=hit"], 2000)
	few("stale", seen["stale_allows_total server=corporate"], 100)
	few("refreshes", seen["refreshes_total"], 100)
	few("spared questions", seen["upstream_requests_total outcome=breaker_open server=corporate"], 50)
}
