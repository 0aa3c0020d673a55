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

// answering asks a server that answers facts after a while.
func answering(facts *token.Facts, err error, after time.Duration) AskFunc {
	return func(ctx context.Context, sending func()) (*token.Facts, error) {
		sending()
		select {
		case <-time.After(after):
			return facts, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func question(maxAge time.Duration, ask AskFunc) *Question {
	return &Question{MaxAge: maxAge, Limit: 10 * time.Second, Ask: ask, Retry: func(error) bool { return true }}
}

// ask asks n times at once and counts the answers.
func ask(ctx context.Context, c *Cache, n int, q *Question) (answers, failures int) {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for range n {
		wg.Go(func() {
			_, err := c.Ask(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answers++
			} else {
				failures++
			}
		})
	}
	wg.Wait()
	return answers, failures
}

func TestFlights(t *testing.T) {
	boom := errors.New("boom")
	cases := map[string]struct {
		reason   string
		maxAge   time.Duration
		ask      func(call int) AskFunc
		retry    bool
		calls    int
		answers  int
		failures int
	}{
		"OneCallHoweverManyWait": {
			reason: "64 readers of one cold token cost one call",
			maxAge: time.Minute,
			ask:    func(int) AskFunc { return answering(active(1, time.Time{}), nil, time.Second) },
			calls:  1, answers: 64,
		},
		"FollowersRetryOnce": {
			reason: "the leader's failure is not the followers': they share a second call",
			maxAge: time.Minute, retry: true,
			ask: func(call int) AskFunc {
				if call == 1 {
					return answering(nil, boom, time.Second)
				}
				return answering(active(1, time.Time{}), nil, time.Second)
			},
			calls: 2, answers: 63, failures: 1,
		},
		"FollowersRetryNoMore": {
			reason: "a server that is down is asked twice, not 64 times",
			maxAge: time.Minute, retry: true,
			ask:   func(int) AskFunc { return answering(nil, boom, time.Second) },
			calls: 2, failures: 64,
		},
		"NoRetryWhereItCannotHelp": {
			reason: "refused credentials stay refused",
			maxAge: time.Minute,
			ask:    func(int) AskFunc { return answering(nil, boom, time.Second) },
			calls:  1, failures: 64,
		},
		"PanicFailsAll": {
			reason: "a panic in a call is an error for everyone, and the process lives",
			maxAge: time.Minute,
			ask: func(int) AskFunc {
				return func(context.Context, func()) (*token.Facts, error) {
					time.Sleep(time.Second)
					panic("with a secret")
				}
			},
			calls: 1, failures: 64,
		},
		"NoFacts": {
			reason: "nothing is not an answer",
			maxAge: time.Minute,
			ask:    func(int) AskFunc { return answering(nil, nil, time.Second) },
			calls:  1, failures: 64,
		},
		"AnswerWithoutQuestion": {
			reason: "an answer of which nobody knows when it was asked for has no age",
			maxAge: time.Minute,
			ask: func(int) AskFunc {
				return func(context.Context, func()) (*token.Facts, error) {
					time.Sleep(time.Second)
					return active(1, time.Time{}), nil
				}
			},
			calls: 1, failures: 64,
		},
		"ZeroJoinsWhatIsNotSent": {
			reason: "with maxAge 0 those who came before it was sent share the call",
			ask: func(int) AskFunc {
				return func(_ context.Context, sending func()) (*token.Facts, error) {
					time.Sleep(time.Second) // for its turn
					sending()
					return active(1, time.Time{}), nil
				}
			},
			calls: 1, answers: 64,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, calls := open(t, 0), 0
				q := question(tc.maxAge, func(ctx context.Context, sending func()) (*token.Facts, error) {
					calls++
					return tc.ask(calls)(ctx, sending)
				})
				q.Retry = func(error) bool { return tc.retry }
				answers, failures := ask(t.Context(), c, 64, q)
				if calls != tc.calls || answers != tc.answers || failures != tc.failures {
					t.Errorf("%s: calls %d (want %d), answers %d (want %d), failures %d (want %d)",
						tc.reason, calls, tc.calls, answers, tc.answers, failures, tc.failures)
				}
				if len(c.flights) != 0 {
					t.Errorf("%d flights left", len(c.flights))
				}
				c.Close()
			})
		})
	}
}

// An answer may have come between a reader's miss and its question.
func TestAskLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		put(c, Key{}, active(7, time.Time{}), time.Now())
		e, err := c.Ask(t.Context(), question(time.Minute, answering(nil, errors.New("asked"), 0)))
		if err != nil || e.Facts.Size != 7 {
			t.Errorf("Ask(...): got %v, %v, want the cached entry", e, err)
		}
		c.Close()
	})
}

func TestZeroNeverJoinsWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls := open(t, 0), 0
		q := question(0, func(ctx context.Context, sending func()) (*token.Facts, error) {
			calls++
			return answering(active(1, time.Time{}), nil, 2*time.Second)(ctx, sending)
		})
		var wg sync.WaitGroup
		wg.Go(func() { ask(t.Context(), c, 1, q) })
		time.Sleep(time.Second)
		arrival := time.Now()
		e, err := c.Ask(t.Context(), q)
		if err != nil || e.AskedAt.Before(arrival) {
			t.Errorf("Ask(...): got %v, %v, want an answer to a question sent after %s", e, err, arrival)
		}
		wg.Wait()
		if calls != 2 {
			t.Errorf("got %d calls, want 2", calls)
		}
		c.Close()
	})
}

// A follower takes the flight's askedAt, not the time it joined.
func TestFollowerAsksAgainWhenTheAnswerIsTooOldForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, calls := open(t, 0), 0
		slowThenFast := func(ctx context.Context, sending func()) (*token.Facts, error) {
			calls++
			return answering(active(calls, time.Time{}), nil, time.Duration(2/calls)*time.Second)(ctx, sending)
		}
		var wg sync.WaitGroup
		wg.Go(func() { ask(t.Context(), c, 1, question(time.Minute, slowThenFast)) })
		time.Sleep(time.Second)
		e, err := c.Ask(t.Context(), question(1500*time.Millisecond, slowThenFast))
		if err != nil || e.Facts.Size != 2 || e.Age(time.Now()) > 1500*time.Millisecond {
			t.Errorf("Ask(...): got %+v, %v, want the answer of a second call", e, err)
		}
		wg.Wait()
		c.Close()
	})
}
