// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync/atomic"
	"time"
)

// deadline is a context that ends at a time, as context.WithDeadline makes them; its
// timer is made when somebody waits for it. A decision from the cache waits for nothing,
// and would pay for the timer all the same; whether its time has come, the clock tells.
type deadline struct {
	context.Context //nolint:containedctx // it is a context

	clock func() time.Time
	end   time.Time
	armed atomic.Pointer[armed]
}

// armed is a context with a timer.
type armed struct {
	context.Context //nolint:containedctx // it is a context

	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	if outer, ok := d.Context.Deadline(); ok && outer.Before(d.end) {
		return outer, true
	}
	return d.end, true
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.arm().Done() }

// Err implements context.Context.
func (d *deadline) Err() error {
	if a := d.armed.Load(); a != nil {
		return a.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if d.clock().Before(d.end) {
		return nil
	}
	return d.arm().Err()
}

// Value implements context.Context. The timer's own value lets contexts that are derived
// from this one hang on it without a goroutine.
func (d *deadline) Value(key any) any {
	if a := d.armed.Load(); a != nil {
		return a.Value(key)
	}
	return d.Context.Value(key)
}

func (d *deadline) arm() *armed {
	if a := d.armed.Load(); a != nil {
		return a
	}
	a := &armed{}
	a.Context, a.cancel = context.WithTimeout(d.Context, d.end.Sub(d.clock()))
	if !d.armed.CompareAndSwap(nil, a) {
		a.cancel()
		return d.armed.Load()
	}
	return a
}

// release ends it with the request.
func (d *deadline) release() {
	if a := d.armed.Load(); a != nil {
		a.cancel()
	}
}
