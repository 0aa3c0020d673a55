// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Caller is the suite's side of one registration: what is desired of it, and the record of what the
// server chose. It outlives sessions, as a record outlives a process.
type Caller struct {
	t *testing.T
	h *Harness

	mu                     sync.Mutex
	desired                provider.Desired
	version                int
	fences, keeps, proofs  int
	onFence, onKeep, onAsk func(n int) error
	kept                   []provider.Issued

	audience    provider.AudienceReport
	rotation    provider.Rotation
	propagation time.Duration
}

// NewCaller makes the caller of a registration that nobody has asked for yet. It proves credentials by
// introspection at the harness's server.
func NewCaller(t *testing.T, h *Harness, desired provider.Desired) *Caller {
	t.Helper()
	return &Caller{t: t, h: h, desired: desired}
}

// Desired is what is desired, with what was kept.
func (c *Caller) Desired() provider.Desired {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.desired
}

// Change changes what is desired.
func (c *Caller) Change(change func(*provider.Desired)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.desired)
}

// Turn begins a rotation: next becomes the current credential, what was current the previous one.
func (c *Caller) Turn(next provider.Credential) {
	c.Change(func(d *provider.Desired) {
		old := d.Credentials.Current
		d.Credentials = provider.Credentials{Current: next, Previous: &old}
	})
}

// Current is the current credential.
func (c *Caller) Current() provider.Credential { return c.Desired().Credentials.Current }

// Fence implements provider.Caller: it counts.
func (c *Caller) Fence(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fences++
	return called(c.onFence, c.fences)
}

// Keep implements provider.Caller: what was kept is part of what is desired from then on.
func (c *Caller) Keep(_ context.Context, issued provider.Issued) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keep(issued)
}

func (c *Caller) keep(issued provider.Issued) error {
	c.keeps++
	if err := called(c.onKeep, c.keeps); err != nil {
		return err
	}
	c.kept = append(c.kept, issued)
	d := &c.desired
	if issued.ClientID != "" {
		d.ClientID = issued.ClientID
	}
	if issued.State != "" {
		d.State = issued.State
	}
	if issued.Adopted != "" {
		d.Adopted = issued.Adopted
	}
	if current := &d.Credentials.Current; issued.Secret != "" && current.Method == provider.ClientSecret {
		current.Secret, current.ID = issued.Secret, idOf(issued.Secret.Reveal())
	}
	return nil
}

// Prove implements provider.Caller: it introspects a token that nobody issued.
func (c *Caller) Prove(ctx context.Context, credential provider.Credential) (accepted bool, err error) {
	c.mu.Lock()
	c.proofs++
	err = called(c.onAsk, c.proofs)
	c.mu.Unlock()
	if err != nil {
		return false, err
	}
	answer, err := c.ask(ctx, credential)
	return answer.accepted, err
}

// ask introspects a token that nobody issued.
func (c *Caller) ask(ctx context.Context, credential provider.Credential) (introspection, error) {
	return c.h.introspect(ctx, c.t, c.Desired().ClientID, credential, "garbage-"+random())
}

func called(hook func(int) error, n int) error {
	if hook == nil {
		return nil
	}
	return hook(n)
}

// errStale is the record's own objection.
var errStale = errors.New("the record changed since the plan was made")

// plan is a Caller that was made when the record had a version: as soon as somebody else wrote to it, it
// stops.
type plan struct {
	*Caller
	version int
}

func (c *Caller) plan() (*plan, provider.Desired) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &plan{Caller: c, version: c.version}, c.desired
}

func (p *plan) advance() error {
	if p.version != p.Caller.version {
		return errStale
	}
	p.Caller.version++
	p.version = p.Caller.version
	return nil
}

// Fence is the record's optimistic lock.
func (p *plan) Fence(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.advance()
}

// Keep is the record's optimistic lock, too.
func (p *plan) Keep(_ context.Context, issued provider.Issued) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.advance(); err != nil {
		return err
	}
	return p.keep(issued)
}
