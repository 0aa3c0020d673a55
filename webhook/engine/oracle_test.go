// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// answer is what a witness said to one question.
type answer struct {
	token          token.Token
	sent, answered time.Time
	// good says that an allow may rest on it, failed that it was none.
	good, failed bool
	subject      string
	exp          time.Time
}

// witness is a server that remembers what it was asked, and when. Questions overtake each
// other on the way there, and answers on the way back.
type witness struct {
	clock func() time.Time
	say   func(t token.Token, at time.Time) (f *token.Facts, good bool, err error)
	// there and back are how long the ways take at most.
	there, back time.Duration

	mu      sync.Mutex
	random  *rand.Rand
	answers []answer
}

// pause is a while, at most so long.
func (w *witness) pause(most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.random.Int64N(int64(most) + 1))
}

func (w *witness) ask(ctx context.Context, _ introspect.Credential, t token.Token) (*token.Facts, error) {
	a := answer{token: t, sent: w.clock()}
	f, good, err := w.answer(ctx, t)
	a.answered, a.good, a.failed = w.clock(), good && err == nil, err != nil
	if f != nil {
		a.subject, a.exp = f.Subject, f.ExpiresAt
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
	return f, err
}

func (w *witness) answer(ctx context.Context, t token.Token) (f *token.Facts, good bool, err error) {
	lost := func() error { return &introspect.Unavailable{Issuer: issuer, Err: ctx.Err()} }
	if !sleep(ctx, w.pause(w.there)) {
		return nil, false, lost()
	}
	f, good, err = w.say(t, w.clock())
	if !sleep(ctx, w.pause(w.back)) {
		return nil, false, lost()
	}
	return f, good, err
}

// sleep says whether ctx outlived it.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// allow is one that a reader got.
type allow struct {
	token            token.Token
	subject          string
	arrival, at      time.Time
	maxAge, staleFor time.Duration
}

// unjustified says why an allow rests on nothing; empty if it rests on an answer. It is the
// promise: every allow decided at t rests on an introspection request sent after t - maxAge
// (- staleFor only after a failure newer than the freshness's end).
func (w *witness) unjustified(a *allow) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	why := "nobody ever said that the token is good"
	for i := range w.answers {
		r := &w.answers[i]
		if r.token != a.token || !r.good || r.answered.After(a.at) {
			continue
		}
		if why = w.fault(a, r); why == "" {
			return ""
		}
	}
	return why
}

// fault is what keeps an allow from resting on an answer.
func (w *witness) fault(a *allow, r *answer) string {
	age := a.at.Sub(r.sent)
	fresh := age <= a.maxAge
	if a.maxAge == 0 {
		fresh = !r.sent.Before(a.arrival)
	}
	end := r.sent.Add(a.maxAge)
	failed, contradicted := false, false
	for i := range w.answers {
		q := &w.answers[i]
		if q.failed && q.answered.After(end) && !q.answered.After(a.at) {
			failed = true
		}
		if q.token == a.token && !q.failed && !q.good && !q.sent.Before(r.sent) && q.answered.Before(a.arrival) {
			contradicted = true
		}
	}
	switch {
	case r.subject != a.subject:
		return "it is of " + r.subject + ", and was given out as " + a.subject
	case !a.at.Before(r.exp):
		return fmt.Sprintf("it ended %s ago", a.at.Sub(r.exp))
	case contradicted:
		return "the server had taken it back"
	case !fresh && a.staleFor == 0:
		return fmt.Sprintf("its answer is %s old", age)
	case !fresh && age > a.maxAge+a.staleFor:
		return fmt.Sprintf("its answer is %s old, in an outage", age)
	case !fresh && !failed:
		return fmt.Sprintf("its answer is %s old, and nothing failed since it was too old", age)
	}
	return ""
}

// promised is what a policy promises.
type promised struct {
	maxAge, staleFor time.Duration
}

func (b promised) name() string { return "p" + b.maxAge.String() + "." + b.staleFor.String() }

func (b promised) policy(tb testing.TB) PolicyState {
	tb.Helper()
	return policyWith(tb, b.name(), "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Freshness.MaxAge = &metav1.Duration{Duration: b.maxAge}
		spec.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}}
		if b.staleFor > 0 {
			spec.Outage = v1alpha1.Outage{Mode: v1alpha1.OutageServeStale, StaleFor: &metav1.Duration{Duration: b.staleFor}}
		}
	})
}

// crowd are readers of tokens, each of whom reads a while.
type crowd struct {
	bounds          []promised
	tokens          []token.Token
	readers, rounds int
	pause           time.Duration
}

// read lets the crowd read, and counts outcomes. Every allow must be justified.
func (c *crowd) read(t *testing.T, e *Engine, w *witness, seed uint64) (outcomes map[string]int, allows []allow) {
	t.Helper()
	outcomes = map[string]int{}
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for reader := range c.readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(reader)+100))
			b := c.bounds[reader%len(c.bounds)]
			for range c.rounds {
				time.Sleep(time.Duration(random.Int64N(int64(c.pause))))
				tok := c.tokens[random.IntN(len(c.tokens))]
				a := allow{token: tok, arrival: w.clock(), maxAge: b.maxAge, staleFor: b.staleFor}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(8*time.Second))))
				d, err := e.Decide(ctx, token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref(b.name()), Token: tok})
				cancel()
				a.at = w.clock()
				o := outcome(d, err)
				mu.Lock()
				outcomes[o]++
				mu.Unlock()
				if o != "Allow" {
					continue
				}
				a.subject = d.Headers[0].Value
				if why := w.unjustified(&a); why != "" {
					t.Errorf("seed %d: maxAge %s, staleFor %s: an allow that rests on nothing: %s", seed, b.maxAge, b.staleFor, why)
				}
				mu.Lock()
				allows = append(allows, a)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return outcomes, allows
}
