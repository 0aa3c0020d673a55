// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// AskFunc asks a server. It calls sending right before it sends: what comes later
// than that may join no more if it wants an answer of its own time.
type AskFunc func(ctx context.Context, sending func()) (*token.Facts, error)

// Question is what a reader wants to know, and how to find out.
type Question struct {
	Key Key
	// MaxAge is how old the answer may be; with 0 only a question not yet sent is joined.
	MaxAge time.Duration
	// Limit is the call's own time limit, at most MaxCall: no reader's deadline ends it for the others.
	Limit time.Duration
	// Ask asks the server.
	Ask AskFunc
	// Retry says whether it may help to ask again after a failure that another reader's question met.
	Retry func(error) bool
}

// PanicError is a panic in a call. It holds no value that a panic could have taken
// from a token.
type PanicError struct {
	// What is the panic's kind.
	What string
	// Stack is where.
	Stack []byte
}

// Recovered is the error of a recovered panic.
func Recovered(r any) *PanicError { return &PanicError{What: kindOf(r), Stack: debug.Stack()} }

// Error is what.
func (p *PanicError) Error() string { return "panic: " + p.What }

var (
	errAborted = errors.New("the call ended without an answer")
	errNoFacts = errors.New("the call brought no facts")
)

// flight is a call that readers wait for.
type flight struct {
	done chan struct{}
	// cancel, sentAt and waiters are guarded by the cache's mu.
	cancel  context.CancelFunc
	sentAt  time.Time
	waiters int
	// ahead says that it refreshes, for nobody in particular.
	ahead bool
	// entry and err are set before done is closed.
	entry *Entry
	err   error
}

// joinable says whether the flight's answer will do for a reader who comes now.
func (f *flight) joinable(now time.Time, maxAge time.Duration) bool {
	return f.sentAt.IsZero() || maxAge > 0 && now.Sub(f.sentAt) < maxAge
}

// Ask is the answer of a cached entry, of a call under way, or of a new one. A reader
// whose ctx ends gets its error and the call goes on; a reader who joined a call that
// failed, or whose answer came too late for its MaxAge, asks once more.
func (c *Cache) Ask(ctx context.Context, q *Question) (*Entry, error) {
	for again := false; ; again = true {
		entry, f, leads := c.join(ctx, q)
		if entry != nil {
			return entry, nil
		}
		entry, err := c.wait(ctx, q.Key, f)
		if leads || again || ctx.Err() != nil {
			return entry, err
		}
		if err != nil && !q.Retry(err) {
			return nil, err
		}
		if err == nil && (q.MaxAge <= 0 || entry.Age(c.clock()) <= q.MaxAge) {
			return entry, nil
		}
	}
}

// join finds a fresh entry, or a flight to wait for, or starts one. The entry is looked
// up again under the lock: it may have come since the reader missed it.
func (c *Cache) join(ctx context.Context, q *Question) (entry *Entry, f *flight, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	if e, ok := c.Get(q.Key); ok && e.FreshFor(now, q.MaxAge) {
		return e, nil, false
	}
	if f = c.flights[q.Key]; f != nil && f.joinable(now, q.MaxAge) {
		f.waiters++
		return nil, f, false
	}
	return nil, c.begin(ctx, q, &flight{waiters: 1}), true
}

// Refresh asks ahead of need, unless a question is under way or the facts that the reader
// saw were replaced meanwhile: then it says false. What comes of it is stored; a failure
// changes nothing.
func (c *Cache) Refresh(ctx context.Context, q *Question, seen *Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.Get(q.Key); c.flights[q.Key] != nil || ok && now != seen {
		return false
	}
	c.begin(ctx, q, &flight{ahead: true})
	return true
}

// begin starts a call on a context of its own. mu is held.
func (c *Cache) begin(ctx context.Context, q *Question, f *flight) *flight {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(q.Limit, MaxCall))
	f.done, f.cancel, f.err = make(chan struct{}), cancel, errAborted
	c.flights[q.Key] = f
	go c.fly(detached, q, f)
	return f
}

func (c *Cache) wait(ctx context.Context, key Key, f *flight) (*Entry, error) {
	select {
	case <-f.done:
		return f.entry, f.err
	case <-ctx.Done():
		c.leave(key, f)
		return nil, ctx.Err()
	}
}

// leave gives a flight up. One that waits for its turn and that nobody waits for is
// ended, so that callers who went away leave no queue behind.
func (c *Cache) leave(key Key, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiters--
	if f.waiters > 0 || f.ahead || !f.sentAt.IsZero() {
		return
	}
	f.cancel()
	c.forget(key, f)
}

func (c *Cache) forget(key Key, f *flight) {
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

func (c *Cache) fly(ctx context.Context, q *Question, f *flight) {
	defer c.land(q.Key, f)
	facts, err := q.Ask(ctx, func() { c.sending(f) })
	if err == nil && (facts == nil || f.sentAt.IsZero()) {
		err = errNoFacts
	}
	if f.err = err; err == nil {
		f.entry = &Entry{Facts: facts, AskedAt: f.sentAt}
	}
}

func (c *Cache) sending(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.sentAt.IsZero() {
		f.sentAt = c.clock()
	}
}

// land ends a flight, a panic's too: else its readers would wait, or the process end,
// for one answer that nobody foresaw. The answer is stored before the flight is
// forgotten, so that no reader falls between them.
func (c *Cache) land(key Key, f *flight) {
	if r := recover(); r != nil {
		f.entry, f.err = nil, Recovered(r)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.entry != nil {
		c.store(key, f.entry)
	}
	c.forget(key, f)
	f.cancel()
	close(f.done)
}

// kindOf says what a panic was: the runtime's own words hold nothing of a token, others might.
func kindOf(r any) string {
	var fault runtime.Error
	if err, ok := r.(error); ok && errors.As(err, &fault) {
		return fault.Error()
	}
	return fmt.Sprintf("%T", r)
}
