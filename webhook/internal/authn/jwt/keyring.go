// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// unknownEvery is how often tokens with unknown keys make us ask for keys: anybody can
	// send a random kid.
	unknownEvery = 30 * time.Second
	// retryAfter is how long nobody waits for a fetch after one failed.
	retryAfter = 2 * time.Second
	// refreshRetryAfter is the same for the background, while the keys serve.
	refreshRetryAfter = 30 * time.Second
)

var (
	errNoKeys  = errors.New("the server publishes no key that could verify a signature")
	errTooOld  = errors.New("the keys came too late")
	errAborted = errors.New("the fetch ended without an answer")
)

// keyring has the keys of an issuer, and fetches them.
type keyring struct {
	issuer                      string
	source                      KeysFunc
	maxAge, refreshAfter, limit time.Duration
	clock                       func() time.Time

	// set is nil until the first fetch.
	set atomic.Pointer[keySet]

	// mu orders fetches; a verification with known keys takes no lock.
	mu     sync.Mutex
	flight *flight
	// failedAt is the end of the latest fetch, if it failed, and failure why.
	failedAt time.Time
	failure  error
	// unknownAt is when a token with an unknown key last made us ask.
	unknownAt time.Time
}

// flight is a fetch that many may wait for.
type flight struct {
	done chan struct{}
	// err is set before done is closed.
	err error
}

// current are keys that are not too old. Older ones than refreshAfter serve, and are
// fetched again meanwhile.
func (k *keyring) current(ctx context.Context) (*keySet, error) {
	now := k.clock()
	set := k.set.Load()
	if set != nil && set.age(now) <= k.maxAge {
		if set.age(now) > k.refreshAfter {
			k.refresh(ctx, now)
		}
		return set, nil
	}
	k.mu.Lock()
	f := k.flight
	if f == nil {
		if !k.failedAt.IsZero() && k.clock().Sub(k.failedAt) < retryAfter {
			err := k.failure
			k.mu.Unlock()
			return nil, k.unavailable(err)
		}
		f = k.start(ctx)
	}
	k.mu.Unlock()
	return k.wait(ctx, f)
}

// newer are the keys after those in which a token's key is unknown: the same if there are
// none newer, and the server was asked just now.
func (k *keyring) newer(ctx context.Context, than *keySet) (*keySet, error) {
	k.mu.Lock()
	if set := k.set.Load(); set != than {
		k.mu.Unlock()
		return set, nil
	}
	f, now := k.flight, k.clock()
	if f == nil {
		if !k.unknownAt.IsZero() && now.Sub(k.unknownAt) < unknownEvery {
			err := k.failure
			k.mu.Unlock()
			if err != nil {
				return nil, k.unavailable(err) // it may be a new key: the server does not say
			}
			return than, nil
		}
		k.unknownAt = now
		f = k.start(ctx)
	}
	k.mu.Unlock()
	return k.wait(ctx, f)
}

// refresh fetches keys in the background, unless that is under way or failed just now.
func (k *keyring) refresh(ctx context.Context, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil || !k.failedAt.IsZero() && now.Sub(k.failedAt) < refreshRetryAfter {
		return
	}
	k.start(ctx)
}

// start fetches keys with a time limit of its own: no reader's deadline ends it for the
// others. mu is held.
func (k *keyring) start(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{}), err: errAborted}
	k.flight = f
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.limit)
	go func() {
		defer cancel()
		k.fly(detached, f)
	}()
	return f
}

// fly ends in an answer, a panic's too: else its readers would wait, or the process end.
func (k *keyring) fly(ctx context.Context, f *flight) {
	set := &keySet{askedAt: k.clock()}
	defer func() {
		if r := recover(); r != nil {
			f.err = fmt.Errorf("panic: %T", r)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.failedAt, k.failure = time.Time{}, f.err
		if f.err != nil {
			k.failedAt = k.clock()
		} else {
			k.set.Store(set)
		}
		k.flight = nil
		close(f.done)
	}()
	document, err := k.source(ctx)
	if err == nil {
		set.keys, err = parseKeys(document)
	}
	f.err = err
}

func (k *keyring) wait(ctx context.Context, f *flight) (*keySet, error) {
	select {
	case <-ctx.Done():
		return nil, k.unavailable(ctx.Err())
	case <-f.done:
	}
	if f.err != nil {
		return nil, k.unavailable(f.err)
	}
	set := k.set.Load()
	if set.age(k.clock()) > k.maxAge {
		return nil, k.unavailable(errTooOld)
	}
	return set, nil
}

func (k *keyring) unavailable(err error) *Unavailable {
	return &Unavailable{Issuer: k.issuer, Err: err}
}
