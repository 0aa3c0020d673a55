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
	if s.caps.Read != provider.SupportUnknown && s.caps.Update != provider.SupportUnknown && s.caps.Delete != provider.SupportUnknown {
		return
	}
	b := &bench{suite: s, t: t, id: s.h.ClientIDPrefix + "learn"}
	c := b.created("")
	c.Change(func(d *provider.Desired) { d.DisplayName = "Orders API, by another name" })
	observed := b.observe(c)
	s.caps.Read = known(s.caps.Read, len(observed.Drift) > 0 && !observed.Unmanaged)
	observed.Drift = append(observed.Drift, provider.DriftSecret)
	_, err := b.session().Update(t.Context(), c.Desired(), observed, c)
	s.caps.Update = known(s.caps.Update, !unsupported(err))
	s.caps.Delete = known(s.caps.Delete, !unsupported(b.do(c, remove)))
	t.Logf("this server: read %s, update %s, delete %s", s.caps.Read, s.caps.Update, s.caps.Delete)
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
