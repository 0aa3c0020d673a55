// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// flow is something that is done to a server, and what must be true in the end, whatever befalls it.
type flow struct {
	// prepare makes the caller, without trouble.
	prepare func(b *bench) *Caller
	run     act
	settled func(b *bench, c *Caller)
}

func troubleRows() map[string]row {
	all := map[string]row{}
	for name := range flows() {
		all["exactly-once-"+name] = row{
			reason:  "whatever befalls whichever call of it, done again in a new process it ends as if nothing had been",
			lacks:   func(s *suite) string { return s.noFlow(name) },
			test:    func(b *bench) { b.testFlow(flows()[name]) },
			instead: saysNoFlow(name),
		}
		all["called-off-"+name] = row{
			reason:  "a context that ends during whichever call of it ends it, at once and as context.Canceled",
			lacks:   func(s *suite) string { return s.noFlow(name) },
			test:    func(b *bench) { b.testCalledOff(flows()[name]) },
			instead: saysNoFlow(name),
		}
	}
	return all
}

func (s *suite) noFlow(name string) string {
	switch name {
	case "update":
		return noUpdate(s)
	case "rotate":
		return noUpdate(s)
	case "map", "remap":
		return noMode(provider.AudienceDefault)(s)
	case "delete":
		return noDelete(s)
	}
	return ""
}

func saysNoFlow(name string) func(b *bench) {
	return func(b *bench) {
		switch name {
		case "map", "remap":
			saysNoAudience(b)
		case "delete":
			saysUndeleted(b)
		default:
			saysUnchanged(b)
		}
	}
}

func flows() map[string]flow {
	return map[string]flow{
		"create": {func(b *bench) *Caller { return b.caller("") }, reconcile, settledWell},
		"update": {func(b *bench) *Caller {
			c := b.created("")
			c.Change(func(d *provider.Desired) {
				d.DisplayName = "Orders API, by another name"
				if !b.byServer() {
					d.Credentials.Current = b.secret()
				}
			})
			return c
		}, reconcile, settledWell},
		"rotate": {func(b *bench) *Caller {
			c := b.created("")
			c.Turn(b.secret())
			return c
		}, rotate, settledRotated},
		"map": {func(b *bench) *Caller {
			c := b.created("")
			c.Change(func(d *provider.Desired) {
				d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{b.first().ID}
			})
			return c
		}, mapAudience, settledMapped},
		"remap": {func(b *bench) *Caller {
			mode := provider.AudienceDefault
			if b.maps(provider.AudienceOnRequest) {
				mode = provider.AudienceOnRequest
			}
			c := b.mapped("", mode)
			c.Change(func(d *provider.Desired) { d.Audience.Mode = provider.AudienceDefault })
			return c
		}, mapAudience, settledMapped},
		"delete": {func(b *bench) *Caller { return b.mappedIfPossible() }, remove, settledGone},
	}
}

func (b *bench) mappedIfPossible() *Caller {
	b.t.Helper()
	if b.maps(provider.AudienceDefault) {
		return b.mapped("", provider.AudienceDefault)
	}
	return b.created("")
}

func settledWell(b *bench, c *Caller) {
	b.wantOne(c)
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}

func settledRotated(b *bench, c *Caller) {
	b.wantOne(c)
	d := c.Desired()
	if !c.rotation.Rotated {
		if !b.byServer() {
			b.t.Error("it is not rotated")
		}
		b.wantAccepted(c, *d.Credentials.Previous, true)
		return
	}
	b.wantAccepted(c, d.Credentials.Current, true)
	if !b.byServer() {
		b.wantAccepted(c, *d.Credentials.Previous, c.rotation.Overlap != provider.OverlapNone)
	}
}

func settledMapped(b *bench, c *Caller) {
	b.wantOne(c)
	b.wantNamed(c, b.first(), false, true)
	w := &wire{}
	if err := b.doIn(b.open(b.t, w, nil), c, mapAudience); err != nil {
		b.t.Fatalf("MapAudience again: %v", err)
	}
	if len(c.audience.Repaired) > 0 || len(w.writes()) > 0 {
		b.t.Errorf("repaired twice: %q, by %q", c.audience.Repaired, w.writes())
	}
	b.mappingGoes(c)
}

// mappingGoes checks that a deletion takes the mapping along: a new registration of the same name has none.
func (b *bench) mappingGoes(c *Caller) {
	b.t.Helper()
	if !b.hangs() {
		return
	}
	b.must(c, remove)
	c.Change(func(d *provider.Desired) { d.Audience.Mode = provider.AudienceUnmanaged })
	b.must(c, create)
	b.wantNamed(c, b.first(), false, false)
}

func settledGone(b *bench, c *Caller) {
	if n := b.count(c); n != 0 {
		b.t.Errorf("%d registrations are left", n)
	}
	if b.observe(c).Exists {
		b.t.Error("Observe finds it")
	}
	b.wantAccepted(c, c.Current(), false)
}

// maxCalls is more than any flow has.
const maxCalls = 60

// testFlow lets each trouble befall each call of the flow.
func (b *bench) testFlow(f flow) {
	for name, x := range b.troubles() {
		b.sub(name, func(b *bench) {
			for n := 0; b.befall(f, &troubled{suite: b.suite, nth: n, trouble: x}); n++ {
				if n == maxCalls {
					b.t.Fatalf("more than %d calls", maxCalls)
				}
				if b.t.Failed() {
					b.t.Fatalf("that was call %d of it", n)
				}
			}
		})
	}
}

// befall runs a flow with a trouble, then again without till it ends; it says whether there was the call.
func (b *bench) befall(f flow, x *troubled) bool {
	b.t.Helper()
	b.hush.forget()
	c := f.prepare(b)
	defer b.clean(c)
	w := &wire{}
	err := b.doIn(b.open(b.t, w, x.around), c, f.run)
	b.wantWait(err, x.trouble)
	b.goOn(f, c, x, err)
	return x.hit
}

// goOn does a flow again, as the controller would, until it ends, and checks the end.
func (b *bench) goOn(f flow, c *Caller, x *troubled, err error) {
	b.t.Helper()
	const attempts = 4
	w := &wire{}
	for range attempts {
		if err == nil {
			break
		}
		err = b.doIn(b.open(b.t, w, nil), c, f.run)
	}
	kind, forGood := ends(err)
	switch {
	case err == nil:
		f.settled(b, c)
	case !forGood || !b.byServer() || !x.wrote:
		b.t.Errorf("call %d: never put right: %v", x.nth, err)
	case kind == provider.KindAmbiguous:
		b.ambiguous(c, x, w, err)
	case !x.renewed:
		b.t.Errorf("call %d: access is lost, and no answer that was lost replaced it: %v", x.nth, err)
	}
}

// ambiguous checks the end of a creation whose answer was lost where nobody can look.
func (b *bench) ambiguous(c *Caller, x *troubled, w *wire, err error) {
	b.t.Helper()
	e := b.wantError(err, provider.KindAmbiguous)
	if e.Subject != c.Desired().Attempt {
		b.t.Errorf("the error names %q, want the attempt %q", e.Subject, c.Desired().Attempt)
	}
	if e.Advice == "" {
		b.t.Error("the error does not say what to do")
	}
	if x.trouble.certain {
		b.t.Errorf("call %d: %v, though it is certain that nothing was done", x.nth, err)
	}
	for _, write := range w.writes() {
		b.t.Errorf("after the answer was lost it wrote: %s", write)
	}
	if n := b.count(c); n > 1 {
		b.t.Errorf("%d registrations, want at most one", n)
	}
}
