// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// ReadClientFunc reads what the record of a client says now, past every cache.
type ReadClientFunc func(ctx context.Context, client token.Ref) (ClientState, error)

const (
	// livePause is how often a client is read, and livePatience how long a read may take: strangers
	// can cause them by wrong secrets.
	livePause    = time.Second
	livePatience = time.Second
	// liveRate a second, and liveBurst at once, is what all of them may cost the API server.
	liveRate  = 10
	liveBurst = 20
)

// live reads clients whose snapshot may lag behind a rotation: a watch that is slow must fail
// nobody who shows the new credential.
type live struct {
	read  ReadClientFunc
	clock func() time.Time
	limit *rate.Limiter
	under singleflight.Group

	mu   sync.Mutex
	last map[token.Ref]liveClient
}

// liveClient is what was read, and when. A read that failed is remembered too.
type liveClient struct {
	at    time.Time
	state ClientState
	ok    bool
}

func newLive(read ReadClientFunc, clock func() time.Time) *live {
	return &live{read: read, clock: clock, limit: rate.NewLimiter(liveRate, liveBurst), last: map[token.Ref]liveClient{}}
}

// client is what a client's record says now, or said less than livePause ago. It is false if
// nobody could read it, or too many were read.
func (l *live) client(ctx context.Context, ref token.Ref) (ClientState, bool) {
	if l.read == nil {
		return ClientState{}, false
	}
	if known, ok := l.recent(ref); ok {
		return known.state, known.ok
	}
	flight := l.under.DoChan(ref.Namespace+"/"+ref.Name, func() (any, error) {
		if known, ok := l.recent(ref); ok {
			return known, nil
		}
		if !l.limit.AllowN(l.clock(), 1) {
			return liveClient{}, nil // not remembered: the next may be read
		}
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), livePatience) // the others wait for it
		defer cancel()
		state, err := l.read(detached, ref)
		known := liveClient{at: l.clock(), state: state, ok: err == nil}
		l.remember(ref, known)
		return known, nil
	})
	select {
	case <-ctx.Done():
		return ClientState{}, false
	case result := <-flight:
		known, _ := result.Val.(liveClient)
		return known.state, known.ok
	}
}

func (l *live) recent(ref token.Ref) (liveClient, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.last[ref]
	return known, ok && l.clock().Sub(known.at) < livePause
}

// remember keeps no more than was read in the last moment.
func (l *live) remember(ref token.Ref, known liveClient) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, is := range l.last {
		if known.at.Sub(is.at) >= livePause {
			delete(l.last, other)
		}
	}
	l.last[ref] = known
}
