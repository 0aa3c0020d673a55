// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
)

// turn waits for one of the server's turns. Tokens that nobody knows yet get at most three
// of four of them for one namespace: its garbage can't keep all others waiting.
func (l *link) turn(ctx context.Context, i *inquiry) (leave func(), err error) {
	if l.breaker.IsOpen() && l.breaker.RemainingDelay() > 0 { // the answer is there already: no wait for it
		l.counters.open.Inc()
		return nil, errOpen
	}
	var (
		own   *share
		slots chan struct{}
	)
	if !i.known {
		own = l.share(i.namespace)
		slots = own.slots
	}
	if !l.queue(own) {
		l.counters.busy.Inc()
		return nil, errNoTurn
	}
	defer l.unqueue(own)
	for n, slots := range [2]chan struct{}{slots, l.slots} {
		if slots == nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			if n == 1 && own != nil {
				<-own.slots
			}
			l.counters.busy.Inc()
			return nil, fmt.Errorf("waiting for a turn: %w", errNoTurn)
		}
	}
	leave = func() {
		<-l.slots
		if own != nil {
			<-own.slots
		}
	}
	if err := ctx.Err(); err != nil {
		leave()
		return nil, fmt.Errorf("waiting for a turn: %w", errNoTurn)
	}
	return leave, nil
}

// queue takes a place in the queue, if there is one: for a share, one of its own too.
func (l *link) queue(own *share) bool {
	most := int64(queueFactor * cap(l.slots))
	if own != nil && own.waiting.Add(1) > most*3/4 {
		own.waiting.Add(-1)
		return false
	}
	if l.waiting.Add(1) > most {
		l.unqueue(own)
		return false
	}
	return true
}

func (l *link) unqueue(own *share) {
	l.waiting.Add(-1)
	if own != nil {
		own.waiting.Add(-1)
	}
}

func (l *link) share(namespace string) *share {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.shares[namespace]
	if !ok {
		s = &share{slots: make(chan struct{}, max(1, cap(l.slots)*3/4))}
		l.shares[namespace] = s
	}
	return s
}
