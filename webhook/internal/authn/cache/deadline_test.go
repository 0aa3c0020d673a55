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

func TestReadersKeepTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start, calls := open(t, 0), time.Now(), 0
		q := question(time.Minute, func(ctx context.Context, sending func()) (*token.Facts, error) {
			calls++
			return answering(active(1, time.Time{}), nil, 5*time.Second)(ctx, sending)
		})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Ask(short, q); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("the leader: got %v after %s, want its own deadline", err, time.Since(start))
			}
		})
		synctest.Wait()
		if _, err := c.Ask(t.Context(), q); err != nil || calls != 1 {
			t.Errorf("a follower: got %v after %d calls: the leader's deadline ended the call for everybody", err, calls)
		}
		wg.Wait()
		c.Close()
	})
}

// A call has a limit of its own, whoever waits.
func TestCallLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := open(t, 0), time.Now()
		q := question(time.Minute, func(ctx context.Context, sending func()) (*token.Facts, error) {
			sending()
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if _, err := c.Ask(t.Context(), q); err == nil || time.Since(start) != q.Limit {
			t.Errorf("Ask(...): got %v after %s, want an error after %s", err, time.Since(start), q.Limit)
		}
		c.Close()
	})
}

// What waits for its turn, and nobody waits for, is given up: a flood whose callers
// went away leaves no queue behind.
func TestAbandonedBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ended := open(t, 0), false
		q := question(time.Minute, func(ctx context.Context, _ func()) (*token.Facts, error) {
			<-ctx.Done()
			ended = true
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(ctx, c, 3, q)
		synctest.Wait()
		if !ended || len(c.flights) != 0 {
			t.Errorf("ended %t, %d flights: want the call given up", ended, len(c.flights))
		}
		c.Close()
	})
}

// What was sent is worth its answer, whoever is gone.
func TestAbandonedAfterSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(ctx, c, 3, question(time.Minute, answering(active(1, time.Time{}), nil, 2*time.Second)))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := c.Get(Key{}); !ok {
			t.Error("the answer is lost")
		}
		c.Close()
	})
}

// One reader who goes away does not end another's wait for a turn.
func TestOneLeavesOneStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls := open(t, 0), 0
		q := question(time.Minute, func(ctx context.Context, sending func()) (*token.Facts, error) {
			calls++
			select {
			case <-time.After(2 * time.Second): // for its turn
				return answering(active(1, time.Time{}), nil, time.Second)(ctx, sending)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { ask(short, c, 1, q) })
		synctest.Wait()
		if _, err := c.Ask(t.Context(), q); err != nil || calls != 1 {
			t.Errorf("Ask(...): got %v after %d calls, want the answer of the first", err, calls)
		}
		wg.Wait()
		c.Close()
	})
}

func TestPanicErrorHoldsNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		q := question(time.Minute, func(context.Context, func()) (*token.Facts, error) { panic(errors.New("token abc")) })
		_, err := c.Ask(t.Context(), q)
		var p *PanicError
		if !errors.As(err, &p) || p.What != "*errors.errorString" || len(p.Stack) == 0 {
			t.Errorf("Ask(...): got %v, want a PanicError that names a type", err)
		}
		c.Close()
	})
}
