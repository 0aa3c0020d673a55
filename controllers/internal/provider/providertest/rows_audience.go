// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func audienceRows() map[string]row {
	return map[string]row{
		"audience-default":    {"new tokens name the client, and nothing is repaired twice", noMode(provider.AudienceDefault), testDefault, saysNoAudience},
		"audience-on-request": {"only a token that asked for it names the client", noMode(provider.AudienceOnRequest), testOnRequest, saysNoAudience},
		"audience-switch":     {"the mode can be changed both ways", noTwoModes, testSwitchMode, saysNoAudience},
		"audience-unmanaged":  {"Unmanaged leaves what is mapped as it is", noMode(provider.AudienceDefault), testUnmanaged, saysNoAudience},
		"audience-delete":     {"deletion takes the mapping along", noMode(provider.AudienceDefault), testDeleteMapped, saysNoAudience},
		"audience-observe":    {"a mapping is no drift of the registration, and outlives an update of it", noMode(provider.AudienceDefault), testMappedUpdate, saysNoAudience},
	}
}

func noMode(m provider.AudienceMode) func(s *suite) string {
	return func(s *suite) string {
		if !s.maps(m) {
			return "it can't map an audience as " + string(m)
		}
		return ""
	}
}

func noTwoModes(s *suite) string {
	if why := noMode(provider.AudienceDefault)(s); why != "" {
		return why
	}
	return noMode(provider.AudienceOnRequest)(s)
}

// saysNoAudience: a mapping that a server does not know is not made, and not claimed.
func saysNoAudience(b *bench) {
	c := b.created("")
	c.Change(func(d *provider.Desired) { d.Audience.Mode = provider.AudienceUnmanaged })
	w := &wire{}
	if err := b.doIn(b.open(b.t, w, nil), c, mapAudience); err != nil {
		b.t.Errorf("MapAudience: %v", err)
	}
	c.audience.Propagation = 0
	if diff := cmp.Diff(provider.AudienceReport{}, c.audience); diff != "" || len(w.writes()) > 0 {
		b.t.Errorf("MapAudience wrote %q; the report (-want +got):\n%s", w.writes(), diff)
	}
}

// mapped is a caller whose client is registered and mapped; onto the first of the token clients, or those
// that are named.
func (b *bench) mapped(suffix string, mode provider.AudienceMode, onto ...string) *Caller {
	b.t.Helper()
	if len(b.h.TokenClients) == 0 {
		b.t.Fatal("the harness names no token client")
	}
	if len(onto) == 0 {
		onto = []string{b.h.TokenClients[0].ID}
	}
	c := b.caller(suffix)
	c.Change(func(d *provider.Desired) {
		d.Audience = provider.Audience{Mode: mode, TokenClients: onto, MaxPerTokenClient: maxAudiences}
	})
	b.must(c, create)
	b.must(c, mapAudience)
	return c
}

// remap changes the audience, and maps it.
func (b *bench) remap(c *Caller, change func(*provider.Audience)) {
	b.t.Helper()
	c.Change(func(d *provider.Desired) { change(&d.Audience) })
	b.must(c, mapAudience)
}

// named says whether a new token of a token client names the caller's client; asking is to ask for it in
// the way that the report says. Where introspection looks at that, it must agree.
func (b *bench) named(c *Caller, by TokenClient, asking bool) bool {
	b.t.Helper()
	var scope, resource string
	if asking {
		scope, resource = c.audience.Scope, c.audience.Resource
	}
	token := b.h.token(b.t, by, joined(c.Desired().Scopes, scope), resource)
	answer, err := b.h.introspect(b.t.Context(), b.t, c.Desired().ClientID, c.Current(), token)
	if err != nil || !answer.accepted {
		b.t.Fatalf("introspection: accepted %v, error %v", answer.accepted, err)
	}
	named := answer.names(token, c.Desired().ClientID)
	if b.caps.AudienceCheck == provider.CheckEnforced && named != answer.active {
		b.t.Errorf("the token names the client: %v; it is active: %v", named, answer.active)
	}
	return named
}

func (b *bench) wantNamed(c *Caller, by TokenClient, asking, want bool) {
	b.t.Helper()
	if got := b.named(c, by, asking); got != want {
		b.t.Errorf("a new token of %s, asking for it: %v, names the client: %v, want %v", by.ID, asking, got, want)
	}
}

func (b *bench) first() TokenClient { return b.h.TokenClients[0] }

func testDefault(b *bench) {
	c := b.mapped("", provider.AudienceDefault)
	b.wantNamed(c, b.first(), false, true)
	w := &wire{}
	if err := b.doIn(b.open(b.t, w, nil), c, mapAudience); err != nil {
		b.t.Fatalf("MapAudience again: %v", err)
	}
	if len(c.audience.Repaired) > 0 || len(w.writes()) > 0 {
		b.t.Errorf("repaired twice: %q, by %q", c.audience.Repaired, w.writes())
	}
}

func testOnRequest(b *bench) {
	c := b.mapped("", provider.AudienceOnRequest)
	if c.audience.Scope == "" && c.audience.Resource == "" {
		b.t.Fatal("the report does not say how to ask")
	}
	b.wantNamed(c, b.first(), false, false)
	b.wantNamed(c, b.first(), true, true)
	b.must(c, mapAudience)
	if len(c.audience.Repaired) > 0 {
		b.t.Errorf("repaired twice: %q", c.audience.Repaired)
	}
}

func testSwitchMode(b *bench) {
	c := b.mapped("", provider.AudienceDefault)
	for _, mode := range []provider.AudienceMode{provider.AudienceOnRequest, provider.AudienceDefault} {
		b.remap(c, func(a *provider.Audience) { a.Mode = mode })
		b.wantNamed(c, b.first(), false, mode == provider.AudienceDefault)
	}
}

func testUnmanaged(b *bench) {
	c := b.mapped("", provider.AudienceDefault)
	b.remap(c, func(a *provider.Audience) { *a = provider.Audience{Mode: provider.AudienceUnmanaged} })
	if len(c.audience.Repaired) > 0 {
		b.t.Errorf("it repaired %q", c.audience.Repaired)
	}
	b.wantNamed(c, b.first(), false, true)
}

func testDeleteMapped(b *bench) {
	b.mappingGoes(b.mapped("", provider.AudienceDefault))
}

func testMappedUpdate(b *bench) {
	c := b.mapped("", provider.AudienceDefault)
	b.wantWell(c)
	c.Change(func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" })
	b.must(c, reconcile)
	b.wantNamed(c, b.first(), false, true)
}
