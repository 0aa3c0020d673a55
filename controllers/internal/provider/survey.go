// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync"
	"time"
)

// Surveyor is what a Server is besides, where many registrations can be looked at by a few calls.
type Surveyor interface {
	// Survey says what Observe and MapAudience would have found, from a list that the server gave at
	// most within ago and after the last write of this session to the client. It is ok only if all of
	// it is as desired. Otherwise it says nothing, least of all that a client is not there: look live.
	Survey(ctx context.Context, desired Desired, within time.Duration) (sight Sight, ok bool)
}

// Surveying is a Server that may be asked for a survey.
type Surveying interface {
	Server
	Surveyor
}

// Sight is what a look from afar showed.
type Sight struct {
	Observation Observation
	Audience    AudienceReport
}

const (
	// listingPays is how many looks a list must save, at the least.
	listingPays = 20
	// listingLimit bounds the reading of one.
	listingLimit = 5 * time.Minute
)

// Listing keeps the latest list of a server for those who look from afar. It is safe for concurrent use.
// V must not be changed once it is read.
//
// A list is read when enough looks ask for one, once for all of them; again, beside the looks, when
// half of its time is over.
type Listing[V any] struct {
	now func() time.Time

	mu      sync.Mutex
	writes  int            // so many so far
	written map[string]int // the last one of a key, since the list began
	latest  *list[V]
	reading chan struct{} // closed when a list is read; nil if none is
	asked   int           // looks since the last list was begun
	since   time.Time     // when they began to be counted, or may
	calls   int           // what the last list took
}

// list is one that was read.
type list[V any] struct {
	value  V
	at     time.Time // when its reading began
	writes int       // how many there had been by then
}

// NewListing makes one that is empty.
func NewListing[V any](now func() time.Time) *Listing[V] {
	return &Listing[V]{now: now, written: map[string]int{}}
}

// Wrote says that something of a key was written: what a list shows of it that began before is
// not to be relied on.
func (l *Listing[V]) Wrote(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.latest != nil || l.reading != nil {
		l.written[key] = l.writes
	}
}

// Latest is a list that is good for a key: read at most within ago, and after the last write to the
// key. read reads one and says how many calls that took. A look waits for a list that is on its way
// only if there is none to go by, at most MaxWait.
func (l *Listing[V]) Latest(ctx context.Context, key string, within time.Duration, read func(context.Context) (value V, calls int, err error)) (value V, ok bool) {
	l.demand(ctx, within, read)
	l.mu.Lock()
	usable, reading := l.fresh(within), l.reading
	l.mu.Unlock()
	if !usable && reading != nil {
		patience := time.NewTimer(MaxWait)
		defer patience.Stop()
		select {
		case <-reading:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fresh(within) || l.written[key] > l.latest.writes {
		return value, false
	}
	return l.latest.value, true
}

func (l *Listing[V]) fresh(within time.Duration) bool {
	return l.latest != nil && l.now().Sub(l.latest.at) < within
}

// demand counts a look, and has a list read if that pays.
func (l *Listing[V]) demand(ctx context.Context, within time.Duration, read func(context.Context) (V, int, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.since) >= within { // few looks in a long time would pay for a list at last
		l.since, l.asked = now, 0
	}
	if now.Before(l.since) {
		return // the last one was not to be had
	}
	l.asked++
	if l.reading != nil || l.fresh(within/2) || l.asked < max(listingPays, l.calls) {
		return
	}
	l.reading, l.since, l.asked = make(chan struct{}), now, 0
	begun := list[V]{at: now, writes: l.writes}
	// Whoever asked first may go away: the list is for all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listingLimit)
	go func() {
		defer cancel()
		value, calls, err := read(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.reading)
		l.reading = nil
		if err != nil {
			l.since = l.now().Add(within) // live looks say what is wrong
			return
		}
		begun.value, l.latest, l.calls = value, &begun, calls
		for key, write := range l.written {
			if write <= begun.writes {
				delete(l.written, key)
			}
		}
	}()
}
