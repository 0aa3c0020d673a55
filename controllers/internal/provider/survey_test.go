// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	// worth is how many looks pay for a list of one call.
	worth  = 20
	within = 10 * time.Minute
)

// lister is a server whose list is how often it was read.
type lister struct {
	*provider.Listing[int]

	read, calls int
	takes       time.Duration
	err         error
}

func newLister() *lister {
	return &lister{Listing: provider.NewListing[int](time.Now), calls: 1}
}

func (l *lister) look(t *testing.T, key string) (value int, ok bool) {
	t.Helper()
	return l.Latest(t.Context(), key, within, func(ctx context.Context) (int, int, error) {
		time.Sleep(l.takes)
		if ctx.Err() != nil {
			return 0, l.calls, ctx.Err()
		}
		l.read++
		return l.read, l.calls, l.err
	})
}

// looks looks n times and checks which list each look is given; 0 for none.
func (l *lister) looks(t *testing.T, n, want int) {
	t.Helper()
	for range n {
		got, ok := l.look(t, "orders")
		synctest.Wait()
		if got != want || ok != (want > 0) {
			t.Fatalf("a look is given list %d, %v; want %d", got, ok, want)
		}
	}
}

// In a bubble of synctest time is the test's.

func TestListing(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		run    func(t *testing.T, l *lister)
	}{
		"few looks": {"a realm of thousands is not listed for a handful of clients", func(t *testing.T, l *lister) {
			for range 10 {
				l.looks(t, worth-1, 0)
				time.Sleep(within)
			}
		}},
		"many looks": {"one list is for all of them", func(t *testing.T, l *lister) {
			l.looks(t, worth-1, 0)
			l.looks(t, 100, 1)
		}},
		"a long list": {"what takes more calls must save more looks: the first shows what it takes", func(t *testing.T, l *lister) {
			l.calls = 50
			l.looks(t, worth-1, 0)
			l.looks(t, 49, 1)
			time.Sleep(within)
			l.looks(t, 49, 0)
			l.looks(t, 1, 2)
		}},
		"half its time": {"it is read again beside the looks, which go on by the old one", func(t *testing.T, l *lister) {
			l.looks(t, worth-1, 0)
			l.looks(t, worth, 1)
			time.Sleep(within / 2)
			l.looks(t, 1, 1)
			l.looks(t, 1, 2)
		}},
		"old": {"nobody goes by a list that is older than asked for", func(t *testing.T, l *lister) {
			l.looks(t, worth-1, 0)
			l.looks(t, 1, 1)
			time.Sleep(within)
			l.looks(t, 1, 0)
		}},
		"written": {"a list from before a write of ours shows what was", func(t *testing.T, l *lister) {
			l.looks(t, worth-1, 0)
			l.looks(t, worth, 1)
			l.Wrote("orders")
			l.looks(t, 1, 0)
			if _, ok := l.look(t, "bills"); !ok {
				t.Error("a write to one client spoils the list for another")
			}
			time.Sleep(within / 2)
			l.looks(t, 1, 0)
			l.looks(t, 1, 2)
		}},
		"written meanwhile": {"part of the list may be from before", func(t *testing.T, l *lister) {
			l.takes = time.Second
			l.looks(t, worth-1, 0)
			go func() {
				time.Sleep(l.takes / 2)
				l.Wrote("orders")
			}()
			l.looks(t, 1, 0)
			if _, ok := l.look(t, "bills"); !ok {
				t.Error("there is no list")
			}
		}},
		"slow": {"nobody is held up for longer than by the limiter", func(t *testing.T, l *lister) {
			l.takes = time.Minute
			l.looks(t, worth-1, 0)
			start := time.Now()
			l.looks(t, 1, 0)
			if took := time.Since(start); took != provider.MaxWait {
				t.Errorf("a look waited for %s", took)
			}
			time.Sleep(time.Minute)
			l.looks(t, 1, 1)
		}},
		"refused": {"live looks say what is wrong, and the list is not asked for again and again", func(t *testing.T, l *lister) {
			l.err = errors.New("403")
			l.looks(t, 100, 0)
			if l.read != 1 {
				t.Errorf("it was asked for %d times", l.read)
			}
			l.err = nil
			time.Sleep(within)
			l.looks(t, worth-1, 0)
			l.looks(t, 1, 2)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				t.Log(tc.reason)
				tc.run(t, newLister())
			})
		})
	}
}

// Whoever asked first may go away.
func TestAListIsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLister()
		l.takes = time.Second
		l.looks(t, worth-1, 0)
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, _ = l.Latest(gone, "orders", within, func(ctx context.Context) (int, int, error) {
			time.Sleep(l.takes)
			l.read++
			return l.read, 1, ctx.Err()
		})
		l.looks(t, 1, 1)
	})
}
