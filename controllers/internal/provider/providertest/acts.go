// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// act is something that is done to a server for a caller.
type act func(ctx context.Context, s provider.Server, c *Caller) error

// reconcile is what the controller does: it looks, and creates or puts right.
func reconcile(ctx context.Context, s provider.Server, c *Caller) error {
	observed, err := s.Observe(ctx, c.Desired(), c)
	switch {
	case err != nil:
		return err
	case !observed.Exists:
		return create(ctx, s, c)
	case len(observed.Drift) == 0:
		c.registered(observed.RegistrationID)
		return nil
	}
	got, err := s.Update(ctx, c.Desired(), observed, c)
	if err == nil {
		c.registered(got.RegistrationID)
	}
	return err
}

func create(ctx context.Context, s provider.Server, c *Caller) error {
	got, err := s.Create(ctx, c.Desired(), c)
	if err == nil {
		c.registered(got.RegistrationID)
		c.propagates(got.Propagation)
	}
	return err
}

func mapAudience(ctx context.Context, s provider.Server, c *Caller) error {
	got, err := s.MapAudience(ctx, c.Desired(), c)
	if err == nil {
		c.audience = got
		c.propagates(got.Propagation)
	}
	return err
}

func rotate(ctx context.Context, s provider.Server, c *Caller) error {
	got, err := s.Rotate(ctx, c.Desired(), c)
	if err == nil {
		c.rotation = got
		c.propagates(got.Propagation)
	}
	return err
}

func remove(ctx context.Context, s provider.Server, c *Caller) error {
	return s.Delete(ctx, c.Desired(), c)
}

// registered notes the server's own id.
func (c *Caller) registered(id string) {
	c.Change(func(d *provider.Desired) { d.RegistrationID = id })
}

// propagates notes how long parts of the server may go on with an older state.
func (c *Caller) propagates(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.propagation = max(c.propagation, d)
}

// do does it in a fresh session, and holds the error to what errors promise.
func (b *bench) do(c *Caller, what act) error {
	b.t.Helper()
	return b.doIn(b.session(), c, what)
}

func (b *bench) doIn(s provider.Server, c *Caller, what act) error {
	b.t.Helper()
	err := what(b.t.Context(), s, c)
	err = b.checked(b.t, c, err)
	return err
}

// must does it, and fails the row if that fails.
func (b *bench) must(c *Caller, what act) {
	b.t.Helper()
	if err := b.do(c, what); err != nil {
		b.t.Fatalf("%v", err)
	}
}

// created is a caller whose client is registered.
func (b *bench) created(suffix string) *Caller {
	b.t.Helper()
	c := b.caller(suffix)
	b.must(c, create)
	return c
}

func (b *bench) observe(c *Caller) provider.Observation {
	b.t.Helper()
	got, err := b.session().Observe(b.t.Context(), c.Desired(), c)
	err = b.checked(b.t, c, err)
	if err != nil {
		b.t.Fatalf("Observe: %v", err)
	}
	return got
}

// wantWell checks that the registration is there and as desired.
func (b *bench) wantWell(c *Caller) {
	b.t.Helper()
	if got := b.observe(c); !got.Exists || len(got.Drift) > 0 {
		b.t.Errorf("Observe: exists %v, drift %q; want it there and as desired", got.Exists, got.Drift)
	}
}

// wantKind checks an error's kind.
func (b *bench) wantKind(err error, want provider.Kind) {
	b.t.Helper()
	_ = b.wantError(err, want)
}

// wantError checks an error's kind, and returns the error.
func (b *bench) wantError(err error, want provider.Kind) *provider.Error {
	b.t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != want {
		b.t.Fatalf("error %v, want one of kind %d", err, want)
	}
	return e
}

// wantUnsupported checks that an error says what can't be done, and why.
func (b *bench) wantUnsupported(err error) {
	b.t.Helper()
	if e := b.wantError(err, provider.KindUnsupported); e.Err == nil && e.Advice == "" && e.Detail == "" {
		b.t.Errorf("%v: it says neither why nor what to do", err)
	}
}

const (
	propagationSlack = 5 * time.Second
	poll             = 100 * time.Millisecond
)

// wantAccepted checks by introspection whether the server takes a credential; where a change takes its
// time to spread, within that time.
func (b *bench) wantAccepted(c *Caller, credential provider.Credential, want bool) {
	b.t.Helper()
	c.mu.Lock()
	within := c.propagation
	c.mu.Unlock()
	if within > 0 {
		within += propagationSlack
	}
	b.wantWithin(c, credential, want, within)
}

func (b *bench) wantWithin(c *Caller, credential provider.Credential, want bool, within time.Duration) {
	b.t.Helper()
	deadline := b.h.Config.Clock().Add(within)
	for {
		got, err := c.ask(b.t.Context(), credential)
		switch {
		case err != nil:
			b.t.Fatalf("proving a credential: %v", err)
		case got.accepted == want:
			return
		case !b.h.Config.Clock().Before(deadline):
			b.t.Errorf("the server accepts the %s credential %s: %v, want %v", credential.Method, credential.ID, got.accepted, want)
			return
		}
		time.Sleep(poll)
	}
}
