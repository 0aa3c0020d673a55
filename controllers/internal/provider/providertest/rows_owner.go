// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const otherOwner = "suite/shop/other"

func ownerRows() map[string]row {
	return map[string]row{
		"foreign": {
			reason: "a registration by hand that nobody marked is refused, and left as it is",
			lacks:  noChoice, test: testForeign, instead: saysTwo,
		},
		"other-owner": {
			reason: "a registration of another owner is refused by the owner's name, and left as it is",
			lacks:  noChoice, test: testOtherOwner, instead: saysTwo,
		},
	}
}

func noChoice(s *suite) string {
	if s.byServer() {
		return "the server chooses ids: nobody else's can be in the way"
	}
	return ""
}

func testForeign(b *bench) {
	if b.h.Hand.Register == nil {
		b.cannot("nobody can register by hand")
		return
	}
	c := b.caller("")
	id := c.Desired().ClientID
	b.h.Hand.Register(b.t, id)
	b.t.Cleanup(func() {
		if b.h.Hand.Remove != nil {
			b.h.Hand.Remove(b.t, id)
		}
	})
	b.refused(c, "")
}

func testOtherOwner(b *bench) {
	theirs := b.caller("")
	theirs.Change(func(d *provider.Desired) { d.Owner = otherOwner })
	b.must(theirs, create)
	b.refused(b.caller(""), otherOwner)
	b.wantWell(theirs)
	b.wantAccepted(theirs, theirs.Current(), true)
}

// refused tries all that changes a registration which is an owner's, not ours.
func (b *bench) refused(c *Caller, owner string) {
	b.t.Helper()
	before := b.observe(c)
	if !before.Exists || before.Owner != owner {
		b.t.Fatalf("Observe: exists %v, owner %q, want %q", before.Exists, before.Owner, owner)
	}
	w := &wire{}
	s := b.open(b.t, w, nil)
	if e := b.wantError(b.doIn(s, c, create), provider.KindConflict); e.Subject != owner {
		b.t.Errorf("Create: the error names %q, want %q", e.Subject, owner)
	}
	_, err := s.Update(b.t.Context(), c.Desired(), before, c)
	err = b.checked(b.t, c, err)
	b.wantKind(err, provider.KindConflict)
	if err := b.doIn(s, c, remove); err != nil {
		b.t.Errorf("Delete: %v", err)
	}
	if diff := cmp.Diff(before, b.observe(c)); diff != "" {
		b.t.Errorf("what is not ours changed (-before +after):\n%s", diff)
	}
}

// saysTwo: where the server chooses ids, two owners have two registrations.
func saysTwo(b *bench) {
	ours, theirs := b.created(""), b.caller("")
	theirs.Change(func(d *provider.Desired) { d.Owner = otherOwner })
	b.must(theirs, create)
	if ours.Desired().ClientID == theirs.Desired().ClientID {
		b.t.Fatal("two owners have one registration")
	}
	b.wantAccepted(ours, ours.Current(), true)
	b.wantAccepted(theirs, theirs.Current(), true)
}
