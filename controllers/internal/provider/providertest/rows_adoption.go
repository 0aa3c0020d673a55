// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func adoptionRows() map[string]row {
	return map[string]row{
		"adopt":         {reason: "what nobody owns and can obtain no token is taken over, works, and is given back as it was", lacks: noChoice, test: testAdopt, instead: saysNoAdoption},
		"adopt-refused": {reason: "what stands against an adoption is named, and nothing is written", lacks: noChoice, test: testAdoptRefused, instead: saysNoAdoption},
		"adopt-other":   {reason: "what another owns is not adopted, and the error names the owner", lacks: noChoice, test: testAdoptOther, instead: saysNoAdoption},
	}
}

func adopt(ctx context.Context, s provider.Server, c *Caller) error {
	got, err := s.Adopt(ctx, c.Desired(), c)
	if err == nil {
		c.registered(got.RegistrationID)
		c.propagates(got.Propagation)
	}
	return err
}

func saysNoAdoption(b *bench) { b.wantUnsupported(b.do(b.caller(""), adopt)) }

func testAdopt(b *bench) {
	if b.h.Hand.Idle == nil {
		b.cannot("nobody can register by hand what obtains no token")
		return
	}
	c := b.caller("")
	id := c.Desired().ClientID
	b.h.Hand.Idle(b.t, id)
	b.removeByHand(id)
	for range 2 { // the second is that of a process which never heard of the first
		b.must(c, adopt)
	}
	if got := b.observe(c); got.Owner != Owner || len(got.Drift) > 0 {
		b.t.Errorf("adopted: owner %q, drift %q", got.Owner, got.Drift)
	}
	b.wantAccepted(c, c.Current(), true)
	for range 2 {
		b.must(c, remove)
		if got := b.observe(c); !got.Exists || got.Owner != "" {
			b.t.Fatalf("given back: it exists %v, with owner %q", got.Exists, got.Owner)
		}
	}
}

func testAdoptRefused(b *bench) {
	if b.h.Hand.Register == nil || b.h.Hand.Disable == nil {
		b.cannot("nobody can register and disable by hand")
		return
	}
	c := b.caller("")
	id := c.Desired().ClientID
	b.h.Hand.Register(b.t, id)
	b.removeByHand(id)
	b.h.Hand.Disable(b.t, id)
	w := &wire{}
	if e := b.wantError(b.doIn(b.open(b.t, w, nil), c, adopt), provider.KindNotAdoptable); e.Subject == "" {
		b.t.Error("the error does not say what stands against it")
	}
	if writes := w.writes(); len(writes) > 0 {
		b.t.Errorf("it wrote: %q", writes)
	}
}

func testAdoptOther(b *bench) {
	theirs := b.caller("")
	theirs.Change(func(d *provider.Desired) { d.Owner = otherOwner })
	b.must(theirs, create)
	w := &wire{}
	if e := b.wantError(b.doIn(b.open(b.t, w, nil), b.caller(""), adopt), provider.KindConflict); e.Subject != otherOwner {
		b.t.Errorf("the error names %q, want %q", e.Subject, otherOwner)
	}
	if writes := w.writes(); len(writes) > 0 {
		b.t.Errorf("it wrote: %q", writes)
	}
	b.wantWell(theirs)
}

// removeByHand removes at the end what was registered by hand.
func (b *bench) removeByHand(id string) {
	b.t.Helper()
	b.t.Cleanup(func() {
		if b.h.Hand.Remove != nil {
			b.h.Hand.Remove(b.t, id)
		}
	})
}
