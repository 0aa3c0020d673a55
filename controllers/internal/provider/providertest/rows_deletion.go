// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func deletionRows() map[string]row {
	return map[string]row{
		"delete":       {reason: "it is gone, its credential too, and gone already is success", lacks: noDelete, test: testDelete, instead: saysUndeleted},
		"delete-never": {reason: "what was never there is deleted with success, and without a write", test: testDeleteNever},
		"delete-other": {reason: "what is another owner's is left alone, with success", test: testDeleteOther},
	}
}

func noDelete(s *suite) string {
	if s.caps.Delete != provider.Supported {
		return "a registration can't be deleted"
	}
	return ""
}

func testDelete(b *bench) {
	c := b.created("")
	credential := c.Current()
	bare := provider.Desired{Identity: c.Desired().Identity, Credentials: c.Desired().Credentials}
	for range 2 {
		err := b.session().Delete(b.t.Context(), bare, c)
		err = b.checked(b.t, c, err)
		if err != nil {
			b.t.Fatalf("Delete: %v", err)
		}
		if b.observe(c).Exists {
			b.t.Fatal("it is still there")
		}
	}
	if n := b.count(c); n != 0 {
		b.t.Errorf("%d registrations are left", n)
	}
	b.wantAccepted(c, credential, false)
}

func saysUndeleted(b *bench) {
	c := b.created("")
	b.wantUnsupported(b.do(c, remove))
	b.wantAccepted(c, c.Current(), true)
}

func testDeleteNever(b *bench) {
	w := &wire{}
	c := b.caller("")
	if err := b.doIn(b.open(b.t, w, nil), c, remove); err != nil {
		b.t.Errorf("Delete: %v", err)
	}
	if b.observe(c).Exists {
		b.t.Error("Observe finds what was never there")
	}
	if writes := w.writes(); len(writes) > 0 && !b.mayBlindlyDelete(writes) {
		b.t.Errorf("it wrote: %q", writes)
	}
}

// mayBlindlyDelete: one deletion that the server itself answers with not found, under the owner's mark, is no harm.
func (b *bench) mayBlindlyDelete(writes []string) bool {
	return len(writes) == 1 && !b.byServer()
}

func testDeleteOther(b *bench) {
	c := b.created("")
	other := NewCaller(b.t, b.h, c.Desired())
	other.Change(func(d *provider.Desired) {
		d.Owner, d.State = otherOwner, ""
	})
	if err := b.do(other, remove); err != nil {
		b.t.Errorf("Delete: %v", err)
	}
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}
