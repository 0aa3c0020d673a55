// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func registrationRows() map[string]row {
	return map[string]row{
		"probe":         {reason: "it signs in, tells what this server can do, and writes nothing", test: testProbe},
		"create":        {reason: "a registration is there, once, as desired, and its credential works", test: testCreate},
		"create-again":  {reason: "the same creation again is the same registration", test: testCreateAgain},
		"read-back":     {reason: "what was registered is found again without what the record knows of it", lacks: noRead, test: testReadBack, instead: saysUnread},
		"drift-by-hand": {reason: "a change by hand is seen and put right", lacks: noUpdate, test: testDriftByHand, instead: saysUnchanged},
		"drift":         {reason: "another wish is seen as drift, named and never valued, and put right", lacks: noUpdate, test: testDrift, instead: saysUnchanged},
		"disable":       {reason: "it can be put out of use, which nothing undoes but the wish, and its credential works again then", lacks: noDisable, test: testDisable, instead: staysInUse},
		"secret":        {reason: "another secret is drift, and in the end the only one", lacks: noOwnSecret, test: testSecret, instead: saysWhatItKept},
		"recreate":      {reason: "a lost registration comes back with the same id and secret", lacks: noRestore, test: testRecreate, instead: saysAnother},
	}
}

func testProbe(b *bench) {
	w := &wire{}
	before := b.estate.count()
	report, err := b.open(b.t, w, nil).Probe(b.t.Context())
	if err != nil {
		b.t.Fatalf("Probe: %v", err)
	}
	if report.Rights != provider.RightsManage && report.Rights != provider.RightsUnknown {
		b.t.Errorf("the rights are %q", report.Rights)
	}
	for _, m := range report.Capabilities.Methods {
		if !slices.Contains(b.h.Dialect.Capabilities.Methods, m) {
			b.t.Errorf("method %s is none of the dialect's", m)
		}
	}
	if len(report.Capabilities.Methods) == 0 || report.Capabilities.ClientIDs == "" || report.Capabilities.Overlap == "" {
		b.t.Errorf("the capabilities say too little: %+v", report.Capabilities)
	}
	if writes := w.writes(); len(writes) > 0 && !b.byServer() || b.estate.count() != before {
		b.t.Errorf("it wrote: %q", writes)
	}
}

func testCreate(b *bench) {
	c := b.caller("")
	if b.observe(c).Exists {
		b.t.Fatal("it is there before it was made")
	}
	b.must(c, create)
	b.wantOne(c)
	b.wantWell(c)
	d := c.Desired()
	if d.RegistrationID == "" || d.ClientID == "" {
		b.t.Errorf("client id %q, registration id %q: neither may be empty", d.ClientID, d.RegistrationID)
	}
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, b.h.NewSecret(), false)
}

func testCreateAgain(b *bench) {
	c := b.created("")
	first := c.Desired().Identity
	b.must(c, create)
	if diff := cmp.Diff(first, c.Desired().Identity); diff != "" {
		b.t.Errorf("the second registration (-first +second):\n%s", diff)
	}
	b.wantOne(c)
	b.wantAccepted(c, c.Current(), true)
}

func noRead(s *suite) string {
	if s.caps.Read != provider.Supported {
		return "a registration can't be read"
	}
	return ""
}

func testReadBack(b *bench) {
	c := b.created("")
	known := c.Desired().RegistrationID
	if !b.byServer() {
		c.registered("")
	}
	got := b.observe(c)
	want := provider.Observation{Exists: true, RegistrationID: known, Owner: Owner, Overlap: got.Overlap, Propagation: got.Propagation}
	if b.byServer() && got.Owner == "" {
		want.Owner = ""
	}
	if len(got.Drift) == 0 {
		got.Drift = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("Observe (-want +got):\n%s", diff)
	}
}

// saysUnread: a registration that can't be read is there, also when its credential is refused, which is for
// somebody else to tell; and it says that it is nobody's to manage.
func saysUnread(b *bench) {
	c := b.created("")
	b.wantWell(c)
	if !b.observe(c).Unmanaged {
		b.t.Error("Observe does not say that it can't be read")
	}
	got, err := b.session().Observe(b.t.Context(), c.Desired(), denied{c})
	if err = b.checked(b.t, c, err); err != nil || !got.Exists || !got.Unmanaged {
		b.t.Errorf("its credential is refused: Observe says exists %v, unmanaged %v, error %v", got.Exists, got.Unmanaged, err)
	}
}

func noUpdate(s *suite) string {
	if s.caps.Read != provider.Supported {
		return noRead(s)
	}
	if s.caps.Update != provider.Supported {
		return "a registration can't be changed"
	}
	return ""
}

func testDriftByHand(b *bench) {
	if b.h.Hand.Disable == nil {
		b.cannot("nobody can change a registration by hand")
		return
	}
	c := b.created("")
	b.h.Hand.Disable(b.t, c.Desired().ClientID)
	if got := b.observe(c); !got.Exists || len(got.Drift) == 0 {
		b.t.Fatalf("Observe: exists %v, drift %q: the change was not seen", got.Exists, got.Drift)
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}

func noDisable(s *suite) string {
	if s.caps.Disable != provider.Supported {
		return "a registration can't be put out of use"
	}
	return ""
}

func testDisable(b *bench) {
	c := b.created("")
	c.Change(func(d *provider.Desired) { d.Disabled = true })
	if diff := cmp.Diff([]string{provider.DriftEnabled}, b.observe(c).Drift); diff != "" {
		b.t.Fatalf("drift (-want +got):\n%s", diff)
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantOne(c)
	b.wantAccepted(c, c.Current(), false)
	c.Change(func(d *provider.Desired) { d.Disabled = false })
	if diff := cmp.Diff([]string{provider.DriftEnabled}, b.observe(c).Drift); diff != "" {
		b.t.Fatalf("drift (-want +got):\n%s", diff)
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantOne(c)
	b.wantAccepted(c, c.Current(), true)
}

// staysInUse: it does not pretend, and whoever asks deletes instead.
func staysInUse(b *bench) {
	c := b.created("")
	c.Change(func(d *provider.Desired) { d.Disabled = true })
	if drift := b.observe(c).Drift; slices.Contains(drift, provider.DriftEnabled) {
		b.t.Errorf("drift %q, and nothing can put it right", drift)
	}
	b.wantAccepted(c, c.Current(), true)
}

func testDrift(b *bench) {
	c := b.created("")
	c.Change(func(d *provider.Desired) {
		d.DisplayName = "Orders API, by another name"
		if len(d.Scopes) > 1 {
			d.Scopes = d.Scopes[:len(d.Scopes)-1]
		}
	})
	drift := b.observe(c).Drift
	if len(drift) == 0 || slices.Contains(drift, c.Desired().DisplayName) {
		b.t.Fatalf("drift %q: it names no field", drift)
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantOne(c)
	b.wantAccepted(c, c.Current(), true)
}

func saysUnchanged(b *bench) {
	c := b.created("")
	observed := b.observe(c)
	observed.Drift = []string{"name"}
	c.Change(func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" })
	_, err := b.session().Update(b.t.Context(), c.Desired(), observed, c)
	err = b.checked(b.t, c, err)
	b.wantUnsupported(err)
	b.wantAccepted(c, c.Current(), true)
}

func noOwnSecret(s *suite) string {
	if s.byServer() {
		return "the server chooses secrets"
	}
	return noUpdate(s)
}

// awkward has every character that an encoding on the way might break.
const awkward = "a+b:c%d/e&= \"\\new-"

func testSecret(b *bench) {
	c := b.created("")
	old := c.Current()
	next := b.h.secretOf(awkward + random())
	c.Change(func(d *provider.Desired) { d.Credentials.Current = next })
	if diff := cmp.Diff([]string{provider.DriftSecret}, b.observe(c).Drift); diff != "" {
		b.t.Fatalf("drift (-want +got):\n%s", diff)
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantAccepted(c, next, true)
	b.wantAccepted(c, old, false)
}

// saysWhatItKept: where the server chooses secrets, the one that it chose is kept, and works.
func saysWhatItKept(b *bench) {
	c := b.created("")
	if c.Current().Secret == "" {
		b.t.Fatal("the secret that the server chose was not kept")
	}
	b.wantAccepted(c, c.Current(), true)
}

func noRestore(s *suite) string {
	if s.caps.Restore != provider.Supported {
		return "the server gives no id twice"
	}
	return ""
}

func testRecreate(b *bench) {
	c := b.created("")
	if b.h.Hand.Remove != nil {
		b.h.Hand.Remove(b.t, c.Desired().ClientID)
	} else {
		b.must(c, remove)
	}
	if b.observe(c).Exists {
		b.t.Fatal("Observe finds what was removed")
	}
	b.must(c, reconcile)
	b.wantOne(c)
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}

// goneAnyway: a deletion of what was removed by hand is done, or says that nobody can tell.
func (b *bench) goneAnyway(c *Caller) {
	b.t.Helper()
	err := b.do(c, remove)
	switch {
	case b.caps.Read != provider.Supported:
		b.wantUnsupported(err)
	case err != nil:
		b.t.Errorf("Delete of what was removed: %v", err)
	}
}

// saysAnother: a registration after a loss has another id, which is kept.
func saysAnother(b *bench) {
	c := b.created("")
	was := c.Desired().ClientID
	if b.h.Hand.Remove != nil {
		b.h.Hand.Remove(b.t, was)
		b.estate.forget(was)
		// Where nobody can look, a refused credential may as well be a changed one: it is no absence.
		if got, unread := b.observe(c).Exists, b.caps.Read != provider.Supported; got != unread {
			b.t.Fatalf("it was removed: Observe says that it exists: %v, want %v", got, unread)
		}
		b.goneAnyway(c)
	}
	c.Change(func(d *provider.Desired) {
		d.Identity = provider.Identity{Owner: Owner}
		d.Attempt, d.Credentials.Current = random(), b.secret()
	})
	b.must(c, create)
	if c.Desired().ClientID == was {
		b.t.Errorf("the id %s came back: the server can restore, and the capabilities say no", was)
	}
	b.wantAccepted(c, c.Current(), true)
}
