// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// open is a cache for a synctest bubble, whose clock is fake.
func open(t *testing.T, bytes int64) *Cache {
	t.Helper()
	c, err := New(Options{Clock: time.Now, Bytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func active(size int, exp time.Time) *token.Facts {
	return &token.Facts{Active: true, Size: size, ExpiresAt: exp}
}

func inactive() *token.Facts { return &token.Facts{Size: 32} }

func put(c *Cache, key Key, facts *token.Facts, askedAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(key, &Entry{Facts: facts, AskedAt: askedAt})
}

func TestStore(t *testing.T) {
	type answer struct {
		facts   *token.Facts
		askedAt time.Duration
	}
	yes, no := active(100, time.Time{}), inactive()
	cases := map[string]struct {
		reason  string
		answers []answer
		want    *token.Facts
	}{
		"InactiveDeletesPositive": {
			reason:  "the token was revoked: its facts go at once",
			answers: []answer{{yes, 1}, {no, 2}},
			want:    no,
		},
		"OlderInactiveKeepsNewerPositive": {
			reason:  "an answer that was asked for earlier and came late is older, whatever it says",
			answers: []answer{{yes, 2}, {no, 1}},
			want:    yes,
		},
		"OlderPositiveNeverReplacesInactive": {
			reason:  "a slow active answer must not bring a revoked token back",
			answers: []answer{{no, 2}, {yes, 1}},
			want:    no,
		},
		"NewerPositiveReplacesInactive": {
			reason:  "the server recovered from a fit of inactive",
			answers: []answer{{no, 1}, {yes, 2}},
			want:    yes,
		},
		"InactiveWinsATie": {
			reason:  "of two answers to questions of one instant the safe one stays",
			answers: []answer{{no, 1}, {yes, 1}},
			want:    no,
		},
		"ExpiredIsNotKept": {
			reason:  "a server that calls a token active past its exp fills no memory",
			answers: []answer{{active(100, time.Unix(1, 0)), 1}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, start := open(t, 0), time.Now()
				for _, a := range tc.answers {
					put(c, Key{}, a.facts, start.Add(a.askedAt))
				}
				var got *token.Facts
				if e, ok := c.Get(Key{}); ok {
					got = e.Facts
				}
				if got != tc.want {
					t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
				}
				c.Close()
			})
		})
	}
}

// An inactive answer is remembered longer than any call lasts, though served for
// seconds only.
func TestOlderNeverReplacesNewerHoweverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := open(t, 0), time.Now()
		time.Sleep(time.Second)
		put(c, Key{}, inactive(), time.Now())
		time.Sleep(MaxCall - time.Second)
		put(c, Key{}, active(1, time.Time{}), start)
		if e, ok := c.Get(Key{}); ok && e.Facts.Active {
			t.Error("an answer from before the inactive one is served")
		}
		c.Close()
	})
}

func TestFreshFor(t *testing.T) {
	start := time.Now()
	cases := map[string]struct {
		reason string
		facts  *token.Facts
		age    time.Duration
		maxAge time.Duration
		want   bool
	}{
		"AtTheBound":      {"maxAge is inclusive", active(1, time.Time{}), 30 * time.Second, 30 * time.Second, true},
		"PastTheBound":    {"older than this reader takes", active(1, time.Time{}), 30*time.Second + 1, 30 * time.Second, false},
		"ZeroNeverHits":   {"what is cached was asked before this reader came", active(1, time.Time{}), 0, 0, false},
		"NegativeShort":   {"hydra-client-go #8: a server in a fit says inactive; it is asked again soon", inactive(), NegativeMaxAge + 1, time.Hour, false},
		"NegativeServed":  {"garbage costs one call in five seconds", inactive(), NegativeMaxAge, time.Hour, true},
		"NegativeSmaller": {"a shorter maxAge bounds negatives too", inactive(), 2 * time.Second, time.Second, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := &Entry{Facts: tc.facts, AskedAt: start}
			if got := e.FreshFor(start.Add(tc.age), tc.maxAge); got != tc.want {
				t.Errorf("%s: FreshFor(...): got %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

// The monotonic clock stands still while a virtual machine is suspended.
func TestAgeCountsTheWallClock(t *testing.T) {
	now := time.Now()
	e := &Entry{Facts: active(1, time.Time{}), AskedAt: now}
	// The wall clock's seconds are in the first word, from bit 30 on; the monotonic reading is in the second.
	*(*uint64)(unsafe.Pointer(&now)) += 3600 << 30
	if got := e.Age(now); got != time.Hour {
		t.Errorf("Age(...): got %s, want 1h", got)
	}
}

func TestNeverKeptPastExp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		put(c, Key{}, active(1000, time.Now().Add(10*time.Second)), time.Now())
		time.Sleep(10*time.Second - 1)
		if _, ok := c.Get(Key{}); !ok {
			t.Error("gone before its exp")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := c.Get(Key{}); ok {
			t.Error("served at its exp")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := c.Bytes(); got != 0 {
			t.Errorf("Bytes(): got %d, want 0: nobody reads it any more and it is still there", got)
		}
		c.Close()
	})
}

func TestBoundedByBytes(t *testing.T) {
	const bound = 1 << 20
	cases := map[string]struct {
		reason string
		facts  *token.Facts
	}{
		"Positives": {"many good tokens", active(4000, time.Time{})},
		"Negatives": {"a flood of garbage", inactive()},
		"Huge":      {"answers of a megabyte", active(bound, time.Time{})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, bound)
				good := Key{1}
				put(c, good, active(1, time.Time{}), time.Now())
				for i := range uint64(5_000) {
					var key Key
					binary.BigEndian.PutUint64(key[8:], i)
					put(c, key, tc.facts, time.Now())
				}
				c.positive.CleanUp()
				c.negative.CleanUp()
				if got := c.Bytes(); got > bound {
					t.Errorf("%s: Bytes(): got %d, want at most %d", tc.reason, got, bound)
				}
				size := 0
				for e := range c.positive.Values() {
					size += e.Facts.Size
				}
				if size > bound {
					t.Errorf("%s: facts of %d bytes are kept, want at most %d", tc.reason, size, bound)
				}
				if _, ok := c.Get(good); name == "Negatives" && !ok {
					t.Error("garbage pushed a good token out")
				}
				c.Close()
			})
		})
	}
}
