// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func raceRows() map[string]row {
	return map[string]row{
		"create-racing": {reason: "many creations at once make one registration; behind the record's lock where the server chooses ids", test: testCreateRacing},
		"many-at-once":  {reason: "a session serves many at once, each from creation to deletion", test: testManyAtOnce},
	}
}

const racers = 8

func testCreateRacing(b *bench) {
	c := b.caller("")
	one := b.session()
	var wg sync.WaitGroup
	errs := make([]error, racers)
	for i := range racers {
		s := one
		if i%2 == 1 {
			s = b.session() // another process
		}
		wg.Go(func() {
			locked, desired := c.plan()
			var caller provider.Caller = locked
			if !b.byServer() {
				caller = c
			}
			_, errs[i] = s.Create(b.t.Context(), desired, caller)
		})
	}
	wg.Wait()
	for _, err := range errs {
		err = b.checked(b.t, c, err)
		kind, ours := provider.KindOf(err)
		lost := errors.Is(err, errStale) || ours && (kind == provider.KindServer || b.byServer() && kind == provider.KindAmbiguous)
		if err != nil && !lost {
			b.t.Errorf("Create: %v, want success or a word to look again", err)
		}
	}
	b.must(c, reconcile)
	b.wantOne(c)
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}

// testManyAtOnce is for the race detector, above all.
func testManyAtOnce(b *bench) {
	s := b.session()
	var wg sync.WaitGroup
	for i := range racers {
		c := b.caller(fmt.Sprintf(".%d", i))
		if b.maps(provider.AudienceDefault) {
			c.Change(func(d *provider.Desired) {
				d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{b.first().ID}
			})
		}
		wg.Go(func() { b.live(s, c) })
	}
	wg.Wait()
}

// live is a client's life. It may run beside others.
func (b *bench) live(s provider.Server, c *Caller) {
	acts := []act{reconcile, mapAudience, reconcile, mapAudience}
	if b.caps.Delete == provider.Supported {
		acts = append(acts, remove)
	}
	for i, what := range acts {
		if i == len(acts)-1 {
			answer, err := c.ask(b.t.Context(), c.Current())
			if err != nil || !answer.accepted && c.propagation == 0 {
				b.t.Errorf("introspection: accepted %v, error %v", answer.accepted, err)
			}
		}
		if err := b.doIn(s, c, what); err != nil {
			b.t.Errorf("step %d of %s: %v", i, c.Desired().ClientID, err)
			return
		}
	}
}
