// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"sync"
	"time"
)

// Tokens that turn out bad: so many a second and namespace, and so many at once.
const (
	defaultMissRate  = 100
	defaultMissBurst = 1000
)

// errBudget is a question that was not asked: its namespace asked about too many bad tokens.
var errBudget = errors.New("the namespace's budget for unknown tokens is used up")

// budgets bound what each namespace may ask about tokens that turn out bad, so that one
// tenant's garbage can't starve another's tokens. A token that turns out good is given
// back, and one that was good before draws on nothing.
type budgets struct {
	clock func() time.Time
	rate  float64
	burst float64

	mu  sync.Mutex
	all map[string]*budget
}

type budget struct {
	left float64
	at   time.Time
}

func newBudgets(clock func() time.Time, rate float64, burst int) *budgets {
	if rate <= 0 {
		rate = defaultMissRate
	}
	if burst <= 0 {
		burst = defaultMissBurst
	}
	return &budgets{clock: clock, rate: rate, burst: float64(burst), all: map[string]*budget{}}
}

// take is one token's worth, if there is one left.
func (b *budgets) take(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	of, ok := b.all[namespace]
	if !ok {
		of = &budget{left: b.burst, at: now}
		b.all[namespace] = of
	}
	of.left = min(b.burst, of.left+max(0, now.Sub(of.at).Seconds())*b.rate)
	of.at = now
	if of.left < 1 {
		return false
	}
	of.left--
	return true
}

// give takes one back.
func (b *budgets) give(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if of, ok := b.all[namespace]; ok {
		of.left = min(b.burst, of.left+1)
	}
}

// keep forgets namespaces that have no policy any more.
func (b *budgets) keep(namespaces map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.all {
		if !namespaces[n] {
			delete(b.all, n)
		}
	}
}

// spend draws on a namespace's budget for a token that nobody knows yet. release says what
// became of it: the budget is for tokens about which the server, or a signature, said no.
func (e *Engine) spend(namespace string, known bool) (release func(notBad bool), err error) {
	if known {
		return func(bool) {}, nil
	}
	if !e.budgets.take(namespace) {
		e.metrics.shedBudget.Inc()
		return nil, errBudget
	}
	return func(notBad bool) {
		if notBad {
			e.budgets.give(namespace)
		}
	}, nil
}
