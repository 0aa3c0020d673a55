// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// rateLimited is when an error says to come again, and for what.
func rateLimited(t *testing.T, err error) (after time.Duration, op string) {
	t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != provider.KindRateLimited {
		t.Fatalf("error %v, want one of KindRateLimited", err)
	}
	return e.RetryAfter, e.Op
}

func acquire(ctx context.Context, t *testing.T, l *provider.Limiter) func() {
	t.Helper()
	release, err := l.Acquire(ctx, "ask")
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func obey(l *provider.Limiter, status int, after string) {
	l.Obey(status, http.Header{"Retry-After": {after}})
}

// In a bubble of synctest time is the test's, and stands still while anybody can go on.

func TestLimiterRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := provider.NewLimiter(provider.Limits{RequestsPerSecond: 2, Burst: 3}, time.Now)
		start := time.Now()
		for range 9 {
			acquire(t.Context(), t, l)()
		}
		if got, want := time.Since(start), 3*time.Second; got != want {
			t.Errorf("a burst of 3 and 6 more at 2/s took %v, want %v", got, want)
		}
	})
}

func TestLimiterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := provider.NewLimiter(provider.Limits{RequestsPerSecond: 0.05, Burst: 1}, time.Now)
		acquire(t.Context(), t, l)()
		start := time.Now()
		for range 3 { // a refusal draws nothing: the next one waits no longer
			_, err := l.Acquire(t.Context(), "ask")
			if after, op := rateLimited(t, err); after != 20*time.Second || op != "ask" {
				t.Errorf("come again in %v for %q", after, op)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for nothing", waited)
		}
		time.Sleep(20 * time.Second)
		acquire(t.Context(), t, l)()
	})
}

func TestLimiterInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := provider.NewLimiter(provider.Limits{MaxInFlight: 2}, time.Now)
		first, second := acquire(t.Context(), t, l), acquire(t.Context(), t, l)
		start := time.Now()
		_, err := l.Acquire(t.Context(), "ask")
		rateLimited(t, err)
		if waited := time.Since(start); waited != provider.MaxWait {
			t.Errorf("waited %v, want %v", waited, provider.MaxWait)
		}
		first()
		first() // releasing twice gives nobody a second place
		acquire(t.Context(), t, l)
		_, err = l.Acquire(t.Context(), "ask")
		rateLimited(t, err)
		second()
	})
}

func TestLimiterContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := provider.NewLimiter(provider.Limits{RequestsPerSecond: 0.2, Burst: 1}, time.Now)
		acquire(t.Context(), t, l)()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := l.Acquire(short, "ask")
		rateLimited(t, err)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a turn that could not come in time", waited)
		}
		called, callOff := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); callOff() }()
		if _, err := l.Acquire(called, "ask"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestLimiterObeys(t *testing.T) {
	type answer struct {
		status int
		after  string
	}
	for name, tc := range map[string]struct {
		reason string
		answer answer
		waits  time.Duration // before the next call goes
		gives  time.Duration // or when it is told to come again
	}{
		"short":    {"all wait", answer{429, "4"}, 4 * time.Second, 0},
		"503":      {"503 asks too", answer{503, "4"}, 4 * time.Second, 0},
		"long":     {"nobody is held for more than ten seconds", answer{429, "60"}, 0, time.Minute},
		"too long": {"nor the server obeyed for more than five minutes", answer{429, "3600"}, 0, provider.MaxRetryAfter},
		"500":      {"others ask for nothing", answer{500, "60"}, 0, 0},
		"silent":   {"429 without a time", answer{429, ""}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := provider.NewLimiter(provider.Limits{}, time.Now)
				obey(l, tc.answer.status, tc.answer.after)
				obey(l, http.StatusTooManyRequests, "1") // a shorter time takes nothing back
				if tc.waits == 0 && tc.gives == 0 {
					tc.waits = time.Second
				}
				start := time.Now()
				_, err := l.Acquire(t.Context(), "ask")
				if tc.gives > 0 {
					if after, _ := rateLimited(t, err); after != tc.gives {
						t.Errorf("%s: come again in %v, want %v", tc.reason, after, tc.gives)
					}
				}
				if got := time.Since(start); got != tc.waits {
					t.Errorf("%s: waited %v, want %v", tc.reason, got, tc.waits)
				}
			})
		})
	}
}

// TestLimiterObeysMeanwhile: the server asks to wait while calls are waiting for
// their turn.
func TestLimiterObeysMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := provider.NewLimiter(provider.Limits{MaxInFlight: 1}, time.Now)
		release := acquire(t.Context(), t, l)
		var refused atomic.Int32
		for range 3 {
			go func() {
				r, err := l.Acquire(t.Context(), "ask")
				if err == nil {
					r()
					return
				}
				refused.Add(1)
			}()
		}
		synctest.Wait()
		obey(l, http.StatusTooManyRequests, "60")
		release()
		synctest.Wait()
		if refused.Load() != 3 {
			t.Errorf("%d of 3 were held back", refused.Load())
		}
		time.Sleep(time.Minute)
		acquire(t.Context(), t, l)()
	})
}
