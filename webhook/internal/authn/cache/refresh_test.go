// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestRefreshDue(t *testing.T) {
	const s = time.Second
	first, last := Key{0}, Key{255}
	cases := map[string]struct {
		reason string
		facts  *token.Facts
		key    Key
		maxAge time.Duration
		// ages are those of readers, one after the other, and due what each is told.
		ages []time.Duration
		due  []bool
	}{
		"Young":       {"nobody asks about the fresh", active(1, time.Time{}), first, 256 * s, []time.Duration{0, 100 * s, 180*s - 1}, []bool{false, false, false}},
		"First":       {"from 180/256 of maxAge on", active(1, time.Time{}), first, 256 * s, []time.Duration{180 * s, 180*s + 1}, []bool{true, false}},
		"Last":        {"spread over 40/256 of it", active(1, time.Time{}), last, 256 * s, []time.Duration{219*s - 1, 219 * s}, []bool{false, true}},
		"OnceASecond": {"whoever reads", active(1, time.Time{}), first, 256 * s, []time.Duration{200 * s, 200*s + 1, 201*s - 1, 201 * s, 201*s + 1, 202 * s}, []bool{true, false, false, true, false, true}},
		"Negative":    {"garbage is worth no question", inactive(), first, 256 * s, []time.Duration{250 * s}, []bool{false}},
		"MaxAgeZero":  {"each asks anyway", active(1, time.Time{}), first, 0, []time.Duration{0, s}, []bool{false, false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := &Entry{Facts: tc.facts}
			for i, age := range tc.ages {
				if got := e.RefreshDue(tc.key, age, tc.maxAge); got != tc.due[i] {
					t.Errorf("%s: RefreshDue at %s: got %t", tc.reason, age, got)
				}
			}
		})
	}
}

// Of many readers at once one is told.
func TestRefreshDueToOne(t *testing.T) {
	e := &Entry{Facts: active(1, time.Time{})}
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		due int
	)
	for range 64 {
		wg.Go(func() {
			if e.RefreshDue(Key{}, 55*time.Second, time.Minute) {
				mu.Lock()
				defer mu.Unlock()
				due++
			}
		})
	}
	wg.Wait()
	if due != 1 {
		t.Errorf("%d of 64 readers are told, want one", due)
	}
}

// A refresh is stored if it succeeds, and nothing if it fails.
func TestRefresh(t *testing.T) {
	cases := map[string]struct {
		reason string
		facts  *token.Facts
		err    error
		// size of the facts that are there after; 0 for inactive.
		size int
		// fresh says that the entry's age begins anew.
		fresh bool
	}{
		"Active":   {"a new answer", active(2, time.Time{}), nil, 2, true},
		"Inactive": {"ends the positive at once", &token.Facts{}, nil, 0, true},
		"Failed":   {"changes nothing", nil, errors.New("down"), 1, false},
		"Nothing":  {"is no answer", nil, nil, 1, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, start := open(t, 0), time.Now()
				put(c, Key{}, active(1, time.Time{}), start)
				time.Sleep(20 * time.Second)
				if !c.Refresh(t.Context(), question(30*time.Second, answering(tc.facts, tc.err, time.Second)), seen(c)) {
					t.Error("Refresh(...): got false, want a question begun")
				}
				synctest.Wait()
				e, ok := c.Get(Key{})
				if !ok || e.Facts.Size != 1 {
					t.Errorf("%s: while it is under way: got %v", tc.reason, e)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				e, ok = c.Get(Key{})
				if !ok || e.Facts.Size != tc.size || e.Facts.Active != (tc.size > 0) || e.AskedAt.After(start) != tc.fresh {
					t.Errorf("%s: got %+v", tc.reason, e)
				}
				if len(c.flights) != 0 {
					t.Errorf("%d flights left", len(c.flights))
				}
				c.Close()
			})
		})
	}
}

// One question a key: a refresh begins none beside another, and readers join it. It goes on
// when they leave.
func TestRefreshIsAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls := open(t, 0), 0
		q := question(time.Minute, func(ctx context.Context, sending func()) (*token.Facts, error) {
			calls++
			select {
			case <-time.After(2 * time.Second): // for its turn
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return answering(active(1, time.Time{}), nil, time.Second)(ctx, sending)
		})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if !c.Refresh(ended, q, seen(c)) {
			t.Error("Refresh(...) of a reader who is gone: got false, want a question begun")
		}
		if c.Refresh(t.Context(), q, seen(c)) {
			t.Error("Refresh(...): a second question is begun")
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := c.Ask(short, q); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ask(...): got %v, want the reader's deadline", err)
		}
		if e, err := c.Ask(t.Context(), q); err != nil || e.Facts.Size != 1 || calls != 1 {
			t.Errorf("Ask(...): got %v, %v after %d calls, want the refresh's answer", e, err, calls)
		}
		c.Close()
	})
}

// A panic in a refresh ends it, and nothing else.
func TestRefreshPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		put(c, Key{}, active(1, time.Time{}), time.Now())
		c.Refresh(t.Context(), question(time.Minute, func(context.Context, func()) (*token.Facts, error) { panic("at the disco") }), seen(c))
		synctest.Wait()
		if e, ok := c.Get(Key{}); !ok || e.Facts.Size != 1 || len(c.flights) != 0 {
			t.Errorf("got %v, %d flights", e, len(c.flights))
		}
		c.Close()
	})
}

// seen is the entry that a reader found.
func seen(c *Cache) *Entry {
	e, _ := c.Get(Key{})
	return e
}

// A reader who saw facts that were replaced since asks for nothing.
func TestRefreshOfReplacedFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		put(c, Key{}, active(1, time.Time{}), time.Now())
		old := seen(c)
		time.Sleep(time.Second)
		put(c, Key{}, active(1, time.Time{}), time.Now())
		if c.Refresh(t.Context(), question(time.Minute, answering(active(1, time.Time{}), nil, 0)), old) {
			t.Error("facts of this moment are asked for again")
		}
		c.Close()
	})
}
