// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func callerRows() map[string]row {
	all := map[string]row{
		"cancelled-before": {reason: "what was called off before it began asks nobody", test: testCancelledBefore},
		"keep": {
			reason: "what the server chose is kept before anything else happens; else it ends there",
			lacks:  noChoiceOfServer, test: testKeep, instead: saysNothingToKeep,
		},
	}
	for name := range flows() {
		all["fence-"+name] = row{
			reason:  "each write has a fence of its own; its no comes back as it is, and nothing is written after it",
			lacks:   func(s *suite) string { return s.noFlow(name) },
			test:    func(b *bench) { b.testFence(name, flows()[name]) },
			instead: saysNoFlow(name),
		}
	}
	return all
}

func testCancelledBefore(b *bench) {
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	for name, f := range flows() {
		if b.noFlow(name) != "" {
			continue
		}
		c := f.prepare(b)
		w := &wire{}
		err := f.run(ctx, b.open(b.t, w, nil), c)
		err = b.checked(b.t, c, err)
		if !errors.Is(err, context.Canceled) {
			b.t.Errorf("%s: %v, want context.Canceled in it", name, err)
		}
		if n := w.count(); n > 0 {
			b.t.Errorf("%s: it made %d calls", name, n)
		}
		b.clean(c)
	}
}

// testFence says no at the first fence, then at the second, and so on.
func (b *bench) testFence(name string, f flow) {
	for n := 1; b.fenceOff(f, n) && !b.t.Failed(); n++ {
		if n == maxCalls {
			b.t.Fatalf("more than %d writes", maxCalls)
		}
	}
	if name == "map" {
		return // some servers have a new client mapped already
	}
	c := f.prepare(b)
	before := c.fences
	if b.must(c, f.run); c.fences == before {
		b.t.Error("it wrote nothing")
	}
}

// fenceOff says no at the nth fence of a flow, and says whether there was one.
func (b *bench) fenceOff(f flow, n int) (reached bool) {
	b.t.Helper()
	c := f.prepare(b)
	defer b.clean(c)
	w := &wire{}
	before := c.fences
	c.onFence = func(fences int) error {
		if fences-before == n {
			return errHand
		}
		w.fenced()
		return nil
	}
	err := b.doIn(b.open(b.t, w, nil), c, f.run)
	c.onFence = nil
	if write := w.unfenced(); write != "" {
		b.t.Errorf("no fence before %s", write)
	}
	if c.fences-before < n {
		if err != nil {
			b.t.Errorf("without an objection: %v", err)
		}
		return false
	}
	if _, wrapped := provider.KindOf(err); !errors.Is(err, errHand) || wrapped {
		b.t.Errorf("fence %d: %v, want what it said, as it was", n, err)
	}
	if writes := w.writes(); len(writes) >= n {
		b.t.Errorf("fence %d: it wrote %q", n, writes)
	}
	b.goOn(f, c, &troubled{suite: b.suite, nth: n}, err)
	return true
}

func noChoiceOfServer(s *suite) string {
	if !s.byServer() {
		return "the server chooses nothing"
	}
	return ""
}

func saysNothingToKeep(b *bench) {
	c := b.caller("")
	id := c.Desired().ClientID
	c.onKeep = func(int) error { return errHand }
	b.must(c, create)
	if c.keeps > 0 || c.Desired().ClientID != id {
		b.t.Errorf("%d things were kept, though the server chooses nothing", c.keeps)
	}
}

// wantIntents: a mark of what is about to be done is one, and says so; what the server answered is none.
func (b *bench) wantIntents(kept []provider.Issued) {
	b.t.Helper()
	for i, issued := range kept {
		if mark := issued.ClientID == "" && issued.Secret == ""; issued.Intent != mark || i == 0 && !mark {
			b.t.Errorf("keep %d is an intent: %v, and brings a client: %v", i+1, issued.Intent, !mark)
		}
	}
}

// testKeep fails to keep at the first time, then at the second, and so on.
func testKeep(b *bench) {
	for n := 1; ; n++ {
		c := b.caller("")
		w := &wire{}
		calls := 0
		c.onKeep = func(keeps int) error {
			if keeps < n {
				return nil
			}
			calls = w.count()
			return errHand
		}
		err := b.doIn(b.open(b.t, w, nil), c, create)
		if c.keeps < n {
			b.wantIntents(c.kept)
			if err != nil || n < 3 {
				b.t.Errorf("error %v; %d things were kept, want a mark before the call and the answer after it", err, c.keeps)
			}
			b.wantOne(c)
			b.wantAccepted(c, c.Current(), true)
			return
		}
		_, wrapped := provider.KindOf(err)
		if !errors.Is(err, errHand) || wrapped {
			b.t.Errorf("keep %d: %v, want what it said", n, err)
		}
		if c.keeps > n || w.count() > calls {
			b.t.Errorf("keep %d failed, and it went on: %d more things to keep, %d more calls", n, c.keeps-n, w.count()-calls)
		}
		b.clean(c)
	}
}
