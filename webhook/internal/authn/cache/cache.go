// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cache holds what authorization servers said about tokens, and asks them
// once however many wait. It holds facts and never a decision: whoever reads an
// entry judges it by their own policy, its age too.
package cache

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// NegativeMaxAge is how long an inactive answer is served at most: a server that
	// says "inactive" in a fit must not lock a user out for longer.
	NegativeMaxAge = 5 * time.Second
	// MaxCall is how long a call may take at most.
	MaxCall = 55 * time.Second
	// retain is the largest maxAge and staleFor that a policy may have: older facts serve nobody.
	retain = time.Hour + 10*time.Minute
	// tombstone is how long an inactive answer is remembered. It outlives every call, so
	// that an older answer that comes late can't bring the token back.
	tombstone = MaxCall + NegativeMaxAge
	// overhead is about what an entry weighs beside its facts: key, nodes, queues.
	overhead = 512
	// negativeShare is the part of the memory that inactive answers may take. Apart, so
	// that a flood of garbage pushes no good token out.
	negativeShare = 16
	minBytes      = 64 << 10
)

// Options of New.
type Options struct {
	// Clock is the time, with its monotonic reading.
	Clock func() time.Time
	// Bytes bounds the memory of the entries, about.
	Bytes int64
}

// Entry is what a server said about a token, and when it was asked. It is shared:
// nobody changes Facts.
type Entry struct {
	Facts *token.Facts
	// AskedAt is taken before the question was sent: the answer is at least as old.
	AskedAt time.Time
	// Gateway and Facade keep what the latest policy made of the facts, for gateways and
	// for RFC 7662.
	Gateway, Facade atomic.Pointer[Rendered]

	// refreshed is when a refresh was last begun, in nanoseconds since AskedAt.
	refreshed atomic.Int64
}

// Rendered is an allow made of facts.
type Rendered struct {
	// For is the policy, a pointer; another policy's is not used.
	For any
	// Headers are a gateway's.
	Headers []token.Header
	// Body is the facade's.
	Body Body
}

// Body is an RFC 7662 answer.
type Body interface {
	// At is the answer at a time; not to be changed.
	At(now time.Time) []byte
}

// Age is how old the answer is at most. The wall clock counts too: the monotonic one
// stands still while a machine sleeps.
func (e *Entry) Age(now time.Time) time.Duration {
	return max(now.Sub(e.AskedAt), time.Duration(now.UnixNano()-e.AskedAt.UnixNano()))
}

// FreshFor says whether the entry may serve a reader with that maxAge from the cache.
// With 0 it never may: the question was sent before the reader came.
func (e *Entry) FreshFor(now time.Time, maxAge time.Duration) bool {
	return e.Serves(e.Age(now), maxAge)
}

// Serves is FreshFor, for who knows the entry's age already.
func (e *Entry) Serves(age, maxAge time.Duration) bool {
	if !e.Facts.Active {
		maxAge = min(maxAge, NegativeMaxAge)
	}
	return maxAge > 0 && age <= maxAge
}

const (
	// refreshPause is the least time between two refreshes of an entry.
	refreshPause = time.Second
	// Refreshes begin at refreshFrom of maxAge, spread over refreshSpread of it, so that
	// tokens that came together are not refreshed together. Both are in 1/256.
	refreshFrom, refreshSpread = 180, 40
)

// RefreshDue says, once a second at most, that a hit with that maxAge is near its end, and
// that now is the time to ask again: the next reader shall find a fresh answer, not wait.
func (e *Entry) RefreshDue(key Key, age, maxAge time.Duration) bool {
	from := maxAge / 256 * time.Duration(refreshFrom+int(key[0])*refreshSpread/256)
	if !e.Facts.Active || maxAge <= 0 || age < from {
		return false
	}
	last := e.refreshed.Load()
	return (last == 0 || int64(age)-last >= int64(refreshPause)) && e.refreshed.CompareAndSwap(last, int64(age))
}

// Cache of entries.
type Cache struct {
	clock    func() time.Time
	positive *otter.Cache[Key, *Entry]
	negative *otter.Cache[Key, *Entry]

	// mu orders answers and flights; a hit takes no lock.
	mu      sync.Mutex
	flights map[Key]*flight
}

// New is an empty cache.
func New(opts Options) (*Cache, error) {
	if opts.Clock == nil {
		return nil, errors.New("cache: no clock")
	}
	c := &Cache{clock: opts.Clock, flights: map[Key]*flight{}}
	size := uint64(max(opts.Bytes, minBytes))
	var err error
	if c.positive, err = c.build(size-size/negativeShare, c.positiveExpiry); err != nil {
		return nil, err
	}
	if c.negative, err = c.build(size/negativeShare, c.negativeExpiry); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache) build(size uint64, expiry func(otter.Entry[Key, *Entry]) time.Duration) (*otter.Cache[Key, *Entry], error) {
	return otter.New(&otter.Options[Key, *Entry]{
		MaximumWeight:    size,
		Weigher:          weigh,
		ExpiryCalculator: otter.ExpiryWritingFunc(expiry),
		Clock:            ticker(c.clock),
		// What reads leave to do is little, and done at once: a goroutine for it costs more.
		Executor: func(task func()) { task() },
		Logger:   &otter.NoopLogger{},
	})
}

// weigh counts the facts twice: an allow may be rendered of them.
func weigh(_ Key, e *Entry) uint32 {
	size := min(max(e.Facts.Size, 0), math.MaxInt32/4)
	return uint32(2*size + overhead) //nolint:gosec // bounded in the line above
}

func (c *Cache) positiveExpiry(e otter.Entry[Key, *Entry]) time.Duration {
	now := c.clock()
	left := retain - e.Value.Age(now)
	if exp := e.Value.Facts.ExpiresAt; !exp.IsZero() {
		left = min(left, exp.Sub(now))
	}
	return max(left, 1)
}

func (c *Cache) negativeExpiry(e otter.Entry[Key, *Entry]) time.Duration {
	return max(tombstone-e.Value.Age(c.clock()), 1)
}

// Get is the entry of a key, of any age.
func (c *Cache) Get(key Key) (*Entry, bool) {
	if e, ok := c.positive.GetIfPresent(key); ok {
		return e, true
	}
	return c.negative.GetIfPresent(key)
}

// store keeps an answer, unless a newer one is known. mu is held.
func (c *Cache) store(key Key, e *Entry) {
	if n, ok := c.negative.GetIfPresent(key); ok && !e.AskedAt.After(n.AskedAt) {
		return // of two answers to questions sent at once, inactive wins
	}
	if p, ok := c.positive.GetIfPresent(key); ok && p.AskedAt.After(e.AskedAt) {
		return
	}
	if !e.Facts.Active {
		c.positive.Invalidate(key)
		c.negative.Set(key, e)
		return
	}
	if exp := e.Facts.ExpiresAt; !exp.IsZero() && !c.clock().Before(exp) {
		c.positive.Invalidate(key) // some servers call a token active past its exp
		return
	}
	c.positive.Set(key, e)
	c.negative.Invalidate(key)
}

// Bytes is about how much memory the entries take.
func (c *Cache) Bytes() uint64 { return c.positive.WeightedSize() + c.negative.WeightedSize() }

// Close ends the cache's goroutines.
func (c *Cache) Close() {
	c.positive.StopAllGoroutines()
	c.negative.StopAllGoroutines()
}

// ticker is our clock, for otter.
type ticker func() time.Time

// NowNano is the time.
func (t ticker) NowNano() int64 { return t().UnixNano() }

// Tick drives the removal of expired entries.
func (ticker) Tick(d time.Duration) <-chan time.Time { return time.Tick(d) }
