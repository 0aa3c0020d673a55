// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// testProof has everything refuse the provider, and nobody able to say whether the credential works.
func testProof(b *bench) {
	c := b.created("")
	c.onAsk = func(int) error { return errHand }
	for _, name := range []string{"401", "403", "404 HTML", "404 of a gateway"} {
		b.sub(name, func(b *bench) {
			x := &troubled{suite: b.suite, nth: every, trouble: troubles()[name]}
			s := b.open(b.t, nil, x.around)
			got, err := s.Observe(b.t.Context(), c.Desired(), c)
			err = b.checked(b.t, c, err)
			if err == nil && !got.Exists {
				b.t.Error("Observe reported it absent")
			}
			if err := b.doIn(s, c, remove); err == nil {
				b.t.Error("Delete succeeded, and nobody could tell")
			}
		})
	}
	c.onAsk = nil
	b.wantWell(c)
	for _, name := range []string{"401 HTML", "403 HTML", "404 HTML", "404 of a gateway", "302", "502 HTML"} {
		b.sub("all "+name, func(b *bench) { b.behind(c, troubles()[name]) })
	}
	b.wantWell(c)
}

// behind puts a proxy before all of the server, that answers everybody in its place: the provider, and whoever asks
// for it whether a credential works.
func (b *bench) behind(c *Caller, f trouble) {
	b.t.Helper()
	x := &troubled{suite: b.suite, nth: every, trouble: f}
	h := *b.h
	client := *h.Config.HTTPClient
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = x.around(client.Transport)
	h.Config.HTTPClient = &client
	blind := NewCaller(b.t, &h, c.Desired())
	s := b.open(b.t, nil, x.around)
	got, err := s.Observe(b.t.Context(), blind.Desired(), blind)
	err = b.checked(b.t, blind, err)
	if err == nil && !got.Exists {
		b.t.Error("Observe reported it absent, by the word of a proxy")
	}
	if err := b.doIn(s, blind, remove); err == nil {
		b.t.Error("Delete succeeded, by the word of a proxy")
	}
}

// denied is a Caller whose credentials the server refuses.
type denied struct{ *Caller }

// Prove implements provider.Caller.
func (denied) Prove(context.Context, provider.Credential) (bool, error) { return false, nil }

// forbidden: a server that forbids says that there is something to forbid, whatever becomes of the credential (RFC 7592
// section 2.1).
func (b *bench) forbidden(c *Caller) {
	b.t.Helper()
	x := &troubled{suite: b.suite, nth: every, trouble: troubles()["403"]}
	s := b.open(b.t, nil, x.around)
	got, err := s.Observe(b.t.Context(), c.Desired(), denied{c})
	err = b.checked(b.t, c, err)
	if err == nil && !got.Exists {
		b.t.Error("403, and Observe reported it absent")
	}
	err = s.Delete(b.t.Context(), c.Desired(), denied{c})
	if err = b.checked(b.t, c, err); err == nil {
		b.t.Error("403, and Delete succeeded")
	}
}
