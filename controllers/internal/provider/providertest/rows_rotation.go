// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"errors"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func rotationRows() map[string]row {
	return map[string]row{
		"rotate": {
			reason: "a rotation says truly whether the old secret goes on; the same again writes nothing; retired is retired",
			test:   testRotate,
		},
		"rotate-end": {
			reason: "an overlap that expires ends by itself, at the time that was named",
			lacks:  noEnd, test: testRotateEnd, instead: saysNoEnd,
		},
		"rotate-update": {
			reason: "a change of something else during an overlap does not end it",
			lacks:  noOwnSecret, test: testRotateUpdate, instead: testRotate,
		},
		"rotate-keys": {
			reason: "two keys stand side by side, until the old one is taken away",
			lacks:  noKeys, test: testRotateKeys, instead: saysNoKeys,
		},
		"rotate-unproven": {
			reason: "where a rotation can't be proved, it claims nothing that is not so, and goes on later",
			lacks:  noOwnSecret, test: testRotateUnproven, instead: testRotate,
		},
	}
}

func noEnd(s *suite) string {
	switch {
	case s.byServer():
		return "the server chooses secrets"
	case s.caps.Overlap != provider.OverlapExpiring:
		return "its overlap is " + string(s.caps.Overlap) + ": nothing ends by itself"
	}
	return ""
}

// saysNoEnd: where nothing ends by itself, neither a look nor a rotation says that it will.
func saysNoEnd(b *bench) {
	c := b.created("")
	if seen := b.observe(c).Overlap; seen == provider.OverlapExpiring {
		b.t.Errorf("Observe says overlap %s", seen)
	}
	old := b.turned(c, b.h.Config.Clock().Add(farFuture).Truncate(time.Second))
	if c.rotation.Overlap == provider.OverlapExpiring {
		b.t.Errorf("Rotate says overlap %s", c.rotation.Overlap)
	}
	b.twice(c, old)
}

func noKeys(s *suite) string {
	if why := s.noMethod(provider.PrivateKeyJWT); why != "" {
		return why
	}
	return noUpdate(s)
}

// saysNoKeys: there are no keys, or the one that was registered stays.
func saysNoKeys(b *bench) {
	if b.noMethod(provider.PrivateKeyJWT) != "" {
		b.saysNoMethod(provider.PrivateKeyJWT)
		return
	}
	c := b.caller("")
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.h.NewKey(b.t) })
	b.must(c, create)
	old := c.Current()
	c.Turn(b.h.NewKey(b.t))
	if err := b.do(c, rotate); err != nil {
		b.wantUnsupported(err)
	} else if c.rotation.Rotated {
		b.t.Errorf("Rotate: %+v, and nothing can be changed", c.rotation)
	}
	b.wantAccepted(c, old, true)
}

// turned rotates a caller's secret, and checks that what the provider says of it is true.
func (b *bench) turned(c *Caller, ends time.Time) (old provider.Credential) {
	b.t.Helper()
	old = c.Current()
	c.Turn(b.secret())
	c.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = ends })
	b.must(c, rotate)
	got := c.rotation
	if !got.Rotated {
		if !b.byServer() {
			b.t.Fatalf("Rotate: %+v: this server takes our secrets", got)
		}
		c.Change(func(d *provider.Desired) { d.Credentials = provider.Credentials{Current: old} })
		b.wantAccepted(c, old, true)
		return old
	}
	b.wantAccepted(c, c.Current(), true)
	switch got.Overlap {
	case provider.OverlapExpiring, provider.OverlapDual:
		b.wantAccepted(c, old, true)
	case provider.OverlapNone:
		b.wantAccepted(c, old, false)
	case provider.OverlapUnknown:
		b.t.Error("Rotate knows no overlap: it is to find out")
	default:
		b.t.Errorf("Rotate says overlap %q", got.Overlap)
	}
	if known := b.caps.Overlap; known != provider.OverlapUnknown && known != got.Overlap {
		b.t.Errorf("Rotate says overlap %s, the capabilities say %s", got.Overlap, known)
	}
	return old
}

func testRotate(b *bench) {
	c := b.created("")
	b.twice(c, b.turned(c, time.Time{}))
}

// twice checks that the same rotation again changes nothing, and that what is retired is.
func (b *bench) twice(c *Caller, old provider.Credential) {
	b.t.Helper()
	if !c.rotation.Rotated {
		return
	}
	first := c.rotation
	b.unwritten(c)
	if c.rotation.Rotated != first.Rotated || c.rotation.Overlap != first.Overlap {
		b.t.Errorf("the same rotation again: %+v, at first %+v", c.rotation, first)
	}
	if !b.byServer() {
		b.wantWell(c)
	}
	if seen := b.observe(c).Overlap; seen != "" && seen != provider.OverlapUnknown && seen != first.Overlap && c.Current().Method == provider.ClientSecret {
		b.t.Errorf("Observe says overlap %s, Rotate said %s", seen, first.Overlap)
	}
	if first.Overlap != provider.OverlapNone {
		b.wantAccepted(c, old, true)
	}
	c.Change(func(d *provider.Desired) { d.Credentials.Previous = nil })
	b.must(c, rotate)
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, old, false)
	b.unwritten(c)
	b.wantOne(c)
}

// unwritten rotates as before, and checks that nothing is written.
func (b *bench) unwritten(c *Caller) {
	b.t.Helper()
	w := &wire{}
	if err := b.doIn(b.open(b.t, w, nil), c, rotate); err != nil {
		b.t.Fatalf("the same rotation again: %v", err)
	}
	if writes := w.writes(); len(writes) > 0 {
		b.t.Errorf("the same rotation again wrote: %q", writes)
	}
}

const (
	overlap   = 3 * time.Second
	endsLate  = 15 * time.Second // what a busy server may take beyond the end
	farFuture = time.Hour
)

func testRotateEnd(b *bench) {
	c := b.created("")
	old := b.turned(c, time.Time{})
	if c.rotation.Overlap != provider.OverlapExpiring {
		b.t.Fatalf("Rotate says overlap %s, and secrets expire here", c.rotation.Overlap)
	}
	end := b.h.Config.Clock().Add(overlap).Truncate(time.Second)
	c.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = end })
	b.must(c, rotate)
	b.wantAccepted(c, c.Current(), true)
	b.wantWithin(c, old, false, overlap+endsLate+c.propagation)
	if now := b.h.Config.Clock(); now.Before(end.Add(-time.Second)) {
		b.t.Errorf("it ended %s too early", end.Sub(now))
	}
	b.wantAccepted(c, c.Current(), true)
	c.Change(func(d *provider.Desired) { d.Credentials.Previous = nil })
	b.must(c, rotate)
	b.wantWell(c)
}

func testRotateUpdate(b *bench) {
	c := b.created("")
	old := b.turned(c, b.h.Config.Clock().Add(farFuture).Truncate(time.Second))
	c.Change(func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" })
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, old, c.rotation.Overlap != provider.OverlapNone)
}

func testRotateKeys(b *bench) {
	c := b.caller("")
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.h.NewKey(b.t) })
	b.must(c, create)
	old := c.Current()
	c.Turn(b.h.NewKey(b.t))
	b.must(c, rotate)
	if got := c.rotation; !got.Rotated || got.Overlap == provider.OverlapNone || got.Overlap == provider.OverlapUnknown {
		b.t.Fatalf("Rotate: %+v: keys stand side by side wherever they are supported", got)
	}
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, old, true)
	b.twice(c, old)
}

// testRotateUnproven: nobody can tell whether a credential works. A provider that never asks knows better.
func testRotateUnproven(b *bench) {
	c := b.created("")
	old := c.Current()
	c.Turn(b.secret())
	c.onAsk = func(int) error { return errHand }
	err := b.do(c, rotate)
	asked := c.proofs
	c.onAsk = nil
	switch {
	case asked > 0 && err == nil && c.rotation.Overlap != provider.OverlapUnknown:
		b.t.Errorf("Rotate: %+v, though the proof that it asked for failed", c.rotation)
	case asked == 0 && err != nil:
		b.t.Fatalf("Rotate: %v", err)
	case err != nil && !errors.Is(err, errHand):
		b.t.Errorf("Rotate: %v, want the caller's own error in it", err)
	}
	b.must(c, rotate)
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, old, c.rotation.Overlap != provider.OverlapNone)
}
