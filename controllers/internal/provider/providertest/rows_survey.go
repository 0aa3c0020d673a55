// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func surveyRows() map[string]row {
	return map[string]row{
		"survey": {reason: "a look from afar says what live looks say, or nothing", test: testSurvey},
	}
}

// enoughLooks make a list worth its while.
const enoughLooks = 40

// afar looks from afar, until there is a list to go by; each look may be the one that it is read for.
func (b *bench) afar(from provider.Surveyor, desired provider.Desired) (sight provider.Sight, ok bool) {
	b.t.Helper()
	for range enoughLooks {
		if sight, ok = from.Survey(b.t.Context(), desired, time.Hour); ok {
			break
		}
	}
	return sight, ok
}

func testSurvey(b *bench) {
	c := b.mappedIfPossible("")
	beside := b.created(".beside")
	s := b.session()
	surveyor, ok := s.(provider.Surveyor)
	if !ok {
		b.t.Log("this dialect lists nothing: every look is a live one")
		return
	}
	sight, ok := b.afar(surveyor, c.Desired())
	if !ok {
		b.t.Fatal("all is as desired, and a look from afar does not say so")
	}
	b.must(c, mapAudience)
	if diff := cmp.Diff(provider.Sight{Observation: b.observe(c), Audience: c.audience}, sight); diff != "" {
		b.t.Errorf("what was seen live, and from afar (-live +afar):\n%s", diff)
	}
	b.saysNothingOf(surveyor, c)
	if err := b.doIn(s, c, remove); err != nil {
		b.t.Fatal(err)
	}
	if _, ok := b.afar(surveyor, c.Desired()); ok {
		b.t.Error("a list from before our own write is gone by")
	}
	if b.h.Hand.Disable == nil {
		b.cannot("nobody can change a registration by hand")
		return
	}
	other := b.created(".other")
	b.h.Hand.Disable(b.t, beside.Desired().ClientID)
	later, _ := b.session().(provider.Surveyor)
	if _, ok := b.afar(later, other.Desired()); !ok {
		b.t.Fatal("there is no list to go by")
	}
	if _, ok := b.afar(later, beside.Desired()); ok {
		b.t.Error("a change by hand looks well from afar")
	}
}

// saysNothingOf checks that what is desired otherwise is looked at live. A list is there.
func (b *bench) saysNothingOf(from provider.Surveyor, c *Caller) {
	b.t.Helper()
	for what, change := range map[string]func(*provider.Desired){
		"another name":       func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" },
		"another owner":      func(d *provider.Desired) { d.Owner = otherOwner },
		"another credential": func(d *provider.Desired) { d.Credentials.Current = b.h.NewSecret() },
		"a client that is not there": func(d *provider.Desired) {
			d.ClientID += ".missing"
			d.RegistrationID = ""
		},
	} {
		desired := c.Desired()
		change(&desired)
		if _, ok := b.afar(from, desired); ok {
			b.t.Errorf("%s is as desired, from afar", what)
		}
	}
}
