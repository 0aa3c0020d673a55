// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// learn finds out what a server shows at its first client only. A provider that can't do a thing says so
// by KindUnsupported; whatever else it says is for the rows to judge.
func (s *suite) learn(t *testing.T) {
	t.Helper()
	managed := s.caps.Read != provider.SupportUnknown && s.caps.Update != provider.SupportUnknown && s.caps.Delete != provider.SupportUnknown
	turned := s.caps.Overlap != provider.OverlapUnknown || s.byServer()
	if managed && turned {
		return
	}
	b := &bench{suite: s, t: t, id: s.h.ClientIDPrefix + "learn"}
	c := b.created("")
	if !turned {
		b.learnOverlap(c)
	}
	if !managed {
		b.learnManagement(c)
	}
}

func (b *bench) learnManagement(c *Caller) {
	b.t.Helper()
	c.Change(func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" })
	observed := b.observe(c)
	b.caps.Read = known(b.caps.Read, len(observed.Drift) > 0 && !observed.Unmanaged)
	observed.Drift = append(observed.Drift, provider.DriftSecret)
	_, err := b.session().Update(b.t.Context(), c.Desired(), observed, c)
	b.caps.Update = known(b.caps.Update, !unsupported(err))
	b.caps.Delete = known(b.caps.Delete, !unsupported(b.do(c, remove)))
	b.t.Logf("this server: read %s, update %s, delete %s", b.caps.Read, b.caps.Update, b.caps.Delete)
}

// learnOverlap looks at a client, and if that tells nothing, rotates its secret.
func (b *bench) learnOverlap(c *Caller) {
	b.t.Helper()
	b.caps.Overlap = b.observe(c).Overlap
	if b.caps.Overlap == "" || b.caps.Overlap == provider.OverlapUnknown {
		c.Turn(b.secret())
		b.must(c, rotate)
		b.caps.Overlap = c.rotation.Overlap
	}
	b.t.Logf("this server: overlap %s", b.caps.Overlap)
}

func known(said provider.Support, shown bool) provider.Support {
	switch {
	case said != provider.SupportUnknown:
		return said
	case shown:
		return provider.Supported
	}
	return provider.Unsupported
}

func unsupported(err error) bool {
	kind, ok := provider.KindOf(err)
	return ok && kind == provider.KindUnsupported
}
