// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// row is one promise of the contract.
type row struct {
	// reason is the promise.
	reason string
	// lacks says why a server with these capabilities can't have it; empty if it can. nil: every one can.
	lacks func(s *suite) string
	// test checks the promise.
	test func(b *bench)
	// instead checks that the provider says what the server lacks.
	instead func(b *bench)
}

// suite is one run over one server.
type suite struct {
	h      *Harness
	caps   provider.Capabilities
	hush   hush
	estate estate

	mu      sync.Mutex
	untried []string
	hanging *bool
}

// bench is where one row is tried.
type bench struct {
	*suite
	t *testing.T
	// id of the row's client, where the operator chooses it.
	id string
}

// rows are the whole contract.
func rows() map[string]row {
	all := map[string]row{}
	for _, some := range []map[string]row{
		registrationRows(), ownerRows(), adoptionRows(), deletionRows(), credentialRows(), rotationRows(), audienceRows(),
		mappingRows(), tokenRows(), refusalRows(), callerRows(), troubleRows(), raceRows(), surveyRows(),
	} {
		maps.Copy(all, some)
	}
	return all
}

// Run holds a dialect to every promise of the contract, at the harness's server. It leaves nothing there
// but what it found, also after a failure. What the harness can't try is told at the end.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.ring()
	s := &suite{h: &h}
	report, err := s.open(t, nil, nil).Probe(t.Context())
	if err = s.checked(t, NewCaller(t, &h, provider.Desired{}), err); err != nil {
		t.Fatalf("Probe: %v", err)
	}
	s.caps = report.Capabilities
	t.Run("learn", s.learn)
	all := rows()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { s.try(t, name, all[name]) })
	}
	for _, what := range s.untried {
		t.Logf("not tried: %s", what)
	}
}

// try runs one row, in the way that the server's capabilities allow.
func (s *suite) try(t *testing.T, name string, r row) {
	t.Helper()
	t.Log(r.reason)
	s.hush.forget()
	b := &bench{suite: s, t: t, id: s.h.ClientIDPrefix + name}
	if r.lacks != nil {
		if why := r.lacks(s); why != "" {
			t.Logf("this server can't have it: %s; so the provider must say so", why)
			r.instead(b)
			return
		}
	}
	r.test(b)
}

// cannot notes what the harness can't try.
func (b *bench) cannot(format string, args ...any) {
	b.t.Helper()
	what := fmt.Sprintf(format, args...)
	b.t.Logf("not tried: %s", what)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.untried = append(b.untried, b.t.Name()+": "+what)
}

// sub runs a part of a row.
func (b *bench) sub(name string, test func(b *bench)) {
	b.t.Helper()
	b.t.Run(name, func(t *testing.T) {
		test(&bench{suite: b.suite, t: t, id: b.id})
	})
}

// byServer says that the server chooses ids and secrets.
func (s *suite) byServer() bool { return s.caps.ClientIDs == provider.ByServer }

func (s *suite) has(m provider.Method) bool { return slices.Contains(s.caps.Methods, m) }

func (s *suite) maps(m provider.AudienceMode) bool { return slices.Contains(s.caps.AudienceModes, m) }

// open opens a session that the suite watches; around, if set, befalls its calls, and w, if set, sees what
// reaches the server.
func (s *suite) open(t *testing.T, w *wire, around Wrap) provider.Server {
	t.Helper()
	return s.openAs(t, s.h.Config.SignIn, w, around)
}

func (s *suite) openAs(t *testing.T, signIn provider.SignIn, w *wire, around Wrap) provider.Server {
	t.Helper()
	s.hush.signIn(signIn)
	if w == nil {
		w = &wire{}
	}
	return s.h.OpenAs(t, signIn, func(next http.RoundTripper) http.RoundTripper {
		w.suite, w.next = s, next
		if around == nil {
			return w
		}
		return around(w)
	})
}

// session is a fresh session without trouble.
func (b *bench) session() provider.Server {
	b.t.Helper()
	return b.open(b.t, nil, nil)
}

// caller is the caller of a registration that is removed at the end. Its id is the row's, with a suffix.
func (b *bench) caller(suffix string) *Caller {
	b.t.Helper()
	d := provider.Desired{
		Identity:    provider.Identity{ClientID: b.id + suffix, Owner: Owner},
		DisplayName: "Orders API", Scopes: slices.Clone(b.h.Scopes), Attempt: random(),
		Credentials: provider.Credentials{Current: b.secret()},
		Audience:    provider.Audience{Mode: provider.AudienceUnmanaged, MaxPerTokenClient: maxAudiences},
	}
	if b.byServer() {
		d.ClientID = ""
	}
	return b.callerOf(d)
}

const maxAudiences = 1000

func (b *bench) callerOf(d provider.Desired) *Caller {
	b.t.Helper()
	c := NewCaller(b.t, b.h, d)
	b.t.Cleanup(func() { b.clean(c) })
	return c
}

// secret is a credential for the server to take, or without a value where it is to choose one.
func (b *bench) secret() provider.Credential {
	c := b.h.NewSecret()
	if b.byServer() {
		c.Secret = ""
	}
	return c
}

// clean removes a registration, however its row ended.
func (b *bench) clean(c *Caller) {
	b.t.Helper()
	ctx := context.WithoutCancel(b.t.Context())
	if b.byServer() {
		b.estate.clear(ctx, b.t, b.h, b.caps.Delete)
		return
	}
	c.onFence, c.onKeep, c.onAsk = nil, nil, nil
	if err := b.session().Delete(ctx, c.Desired(), c); err != nil {
		err = b.checked(b.t, c, err)
		b.t.Errorf("cleaning up %s: %v", c.Desired().ClientID, err)
	}
}

// count is how many registrations there are of a caller's client.
func (b *bench) count(c *Caller) int {
	b.t.Helper()
	id := c.Desired().ClientID
	switch {
	case b.byServer():
		return b.estate.count()
	case b.h.Hand.Registrations != nil:
		return b.h.Hand.Registrations(b.t, id)
	}
	if b.observe(c).Exists {
		return 1
	}
	return 0
}

// wantOne checks that there is exactly one registration.
func (b *bench) wantOne(c *Caller) {
	b.t.Helper()
	if n := b.count(c); n != 1 {
		b.t.Errorf("%d registrations, want exactly one", n)
	}
}

func joined(scopes []string, more string) string {
	return strings.TrimSpace(strings.Join(append(slices.Clone(scopes), more), " "))
}
