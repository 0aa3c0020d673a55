// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what we ask of one server.
type Limits struct {
	// RequestsPerSecond on average; 0 means no limit.
	RequestsPerSecond float64
	// Burst is how many may go at once after a pause; at least 1.
	Burst int
	// MaxInFlight is how many may be unanswered; 0 means no limit.
	MaxInFlight int
}

// MaxWait is how long a call waits for its turn: one tenant's objects must not
// hold another's back for longer.
const MaxWait = 10 * time.Second

// Limiter makes the callers of one server share its limits, and wait together
// when it asks to.
type Limiter struct {
	now    func() time.Time
	bucket *rate.Limiter
	slots  chan struct{} // nil without a limit

	mu    sync.Mutex
	until time.Time // the server asked to be left alone till then
}

// NewLimiter makes a limiter on a clock.
func NewLimiter(limits Limits, now func() time.Time) *Limiter {
	l := &Limiter{now: now, bucket: rate.NewLimiter(rate.Inf, 1)}
	if limits.RequestsPerSecond > 0 {
		l.bucket = rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), max(limits.Burst, 1))
	}
	if limits.MaxInFlight > 0 {
		l.slots = make(chan struct{}, limits.MaxInFlight)
	}
	return l
}

// Acquire waits for the call's turn, as long as ctx and at most MaxWait. The
// error is of KindRateLimited and says when to come again. The caller releases
// when the answer is read.
func (l *Limiter) Acquire(ctx context.Context, op string) (release func(), err error) {
	start := l.now()
	within := MaxWait
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, deadline.Sub(start))
	}
	reservation := l.bucket.ReserveN(start, 1)
	if wait := max(reservation.DelayFrom(start), l.paused()); wait > within {
		reservation.CancelAt(start)
		return nil, &Error{Kind: KindRateLimited, Op: op, RetryAfter: min(wait, MaxRetryAfter)}
	}
	budget := time.NewTimer(within)
	defer budget.Stop()
	if err := wait(ctx, op, reservation.DelayFrom(start)); err != nil {
		return nil, err
	}
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-budget.C:
			return nil, &Error{Kind: KindRateLimited, Op: op, RetryAfter: time.Second}
		case <-ctx.Done():
			return nil, turnMissed(ctx, op)
		}
	}
	if err := l.pause(ctx, op, within-l.now().Sub(start)); err != nil {
		l.release()
		return nil, err
	}
	return sync.OnceFunc(l.release), nil
}

// pause waits while the server wants to be left alone. Looked at last: it may
// have said so while the call waited for its turn.
func (l *Limiter) pause(ctx context.Context, op string, within time.Duration) error {
	rest := l.paused()
	if rest > within {
		return &Error{Kind: KindRateLimited, Op: op, RetryAfter: rest}
	}
	return wait(ctx, op, rest)
}

func wait(ctx context.Context, op string, d time.Duration) error {
	if ctx.Err() != nil {
		return turnMissed(ctx, op)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return turnMissed(ctx, op)
	}
}

func turnMissed(ctx context.Context, op string) error {
	return &Error{Kind: KindRateLimited, Op: op, RetryAfter: time.Second, Err: fmt.Errorf("waiting for a turn: %w", ctx.Err())}
}

func (l *Limiter) release() {
	if l.slots != nil {
		<-l.slots
	}
}

// paused is how long the server still wants to be left alone.
func (l *Limiter) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.until.Sub(l.now()), 0)
}

// Obey reads an answer: after 429 or 503 with Retry-After all callers wait. It
// returns how long.
func (l *Limiter) Obey(status int, header http.Header) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	now := l.now()
	after := RetryAfter(header, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := now.Add(after); after > 0 && until.After(l.until) {
		l.until = until
	}
	return after
}
