// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"sync"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Some servers hang an audience on the clients that get tokens. No capability says so; a mapping onto a
// token client that does not exist does.
func mappingRows() map[string]row {
	lacks := noMode(provider.AudienceDefault)
	return map[string]row{
		"token-client-missing": {"a token client that does not exist is named, and the others are mapped", lacks, testGhost, saysNoAudience},
		"token-client-dropped": {"a token client that is no longer listed is unmapped", lacks, testDropped, saysNoAudience},
		"audience-cap":         {"beyond the cap nothing is mapped as Default; what is mapped stays", lacks, testCap, saysNoAudience},
		"audience-cap-racing":  {"many at once can't pass the cap", lacks, testCapRacing, saysNoAudience},
	}
}

const ghost = "no-such-client-of-the-suite"

// hangs says whether the server hangs audiences on token clients.
func (b *bench) hangs() bool {
	b.t.Helper()
	if b.hanging == nil {
		c := b.created(".hangs")
		c.Change(func(d *provider.Desired) {
			d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{ghost}
		})
		err := b.do(c, mapAudience)
		if err != nil {
			b.wantKind(err, provider.KindTokenClientNotFound)
		}
		hangs := err != nil
		b.hanging = &hangs
	}
	return *b.hanging
}

// everywhere checks, of a server that hangs nothing on token clients, that a token of one that is not
// listed names the client.
func (b *bench) everywhere() {
	b.t.Helper()
	b.wantNamed(b.mapped(".everywhere", provider.AudienceDefault, "another"), b.first(), false, true)
}

func testGhost(b *bench) {
	if !b.hangs() {
		b.everywhere()
		return
	}
	c := b.created("")
	c.Change(func(d *provider.Desired) {
		d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{ghost, ghost + "-too", b.first().ID}
	})
	if e := b.wantError(b.do(c, mapAudience), provider.KindTokenClientNotFound); e.Subject != ghost {
		b.t.Errorf("the error names %q, want %q", e.Subject, ghost)
	}
	b.wantNamed(c, b.first(), false, true)
}

func testDropped(b *bench) {
	if !b.hangs() {
		b.everywhere()
		return
	}
	var all []string
	for _, tc := range b.h.TokenClients {
		all = append(all, tc.ID)
	}
	c := b.mapped("", provider.AudienceDefault, all...)
	b.remap(c, func(a *provider.Audience) { a.TokenClients = all[1:] })
	b.wantNamed(c, b.first(), false, false)
	for _, rest := range b.h.TokenClients[1:] {
		b.wantNamed(c, rest, false, true)
	}
	b.remap(c, func(a *provider.Audience) { a.Mode, a.TokenClients = provider.AudienceOnRequest, all })
	b.remap(c, func(a *provider.Audience) { a.TokenClients = nil })
	b.wantNamed(c, b.first(), false, false)
}

// filled maps one audience with the smallest cap that lets it; the server may have some of its own.
func (b *bench) filled() (c *Caller, audiences int) {
	b.t.Helper()
	c = b.created(".filled")
	for audiences = 1; audiences < maxAudiences; audiences++ {
		c.Change(func(d *provider.Desired) {
			d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: []string{b.first().ID}, MaxPerTokenClient: audiences}
		})
		err := b.do(c, mapAudience)
		if err == nil {
			return c, audiences
		}
		if e := b.wantError(err, provider.KindTooManyAudiences); e.Subject != b.first().ID {
			b.t.Fatalf("the error names %q, want %q", e.Subject, b.first().ID)
		}
	}
	b.t.Fatal("no cap lets one more audience in")
	return nil, 0
}

func testCap(b *bench) {
	if !b.hangs() {
		b.everywhere()
		return
	}
	first, full := b.filled()
	second := b.created("")
	second.Change(func(d *provider.Desired) {
		d.Audience = first.Desired().Audience
		d.Audience.MaxPerTokenClient = full
	})
	if e := b.wantError(b.do(second, mapAudience), provider.KindTooManyAudiences); e.Subject != b.first().ID {
		b.t.Errorf("the error names %q, want %q", e.Subject, b.first().ID)
	}
	b.wantNamed(second, b.first(), false, false)
	b.must(first, mapAudience)
	b.remap(second, func(a *provider.Audience) { a.Mode = provider.AudienceOnRequest })
	b.wantNamed(second, b.first(), true, true)
	b.wantNamed(first, b.first(), false, true)
}

func testCapRacing(b *bench) {
	if !b.hangs() {
		b.everywhere()
		return
	}
	const racers, room = 4, 2
	first, full := b.filled()
	s := b.session()
	var wg sync.WaitGroup
	errs := make([]error, racers)
	for i := range racers {
		c := b.created("." + string(rune('a'+i)))
		c.Change(func(d *provider.Desired) {
			d.Audience = first.Desired().Audience
			d.Audience.MaxPerTokenClient = full + room
		})
		wg.Go(func() { errs[i] = mapAudience(b.t.Context(), s, c) })
	}
	wg.Wait()
	passed := 0
	for _, err := range errs {
		if err == nil {
			passed++
			continue
		}
		err = b.checked(b.t, first, err)
		b.wantKind(err, provider.KindTooManyAudiences)
	}
	if passed != room {
		b.t.Errorf("%d of %d passed a cap with room for %d", passed, racers, room)
	}
}
