// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"sync"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// accountMaxAge is how long a verified ServiceAccount token is believed: then the
	// cluster's keys are looked at again.
	accountMaxAge = time.Minute
	// maxAccounts bounds the memory; beyond it all are forgotten, and verified again.
	maxAccounts = 4096
)

// accounts remembers whose a ServiceAccount token is: callers show the same one with each
// request, and a signature takes longer than all the rest.
type accounts struct {
	clock func() time.Time

	mu    sync.Mutex
	known map[cache.Key]knownAccount
}

type knownAccount struct {
	account token.Ref
	until   time.Time
}

func newAccounts(clock func() time.Time) *accounts {
	return &accounts{clock: clock, known: map[cache.Key]knownAccount{}}
}

func (a *accounts) get(key cache.Key) (token.Ref, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.known[key]
	if !ok || !a.clock().Before(k.until) {
		return token.Ref{}, false
	}
	return k.account, true
}

// put believes a token for a while, and never past its exp.
func (a *accounts) put(key cache.Key, account token.Ref, exp time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxAccounts {
		clear(a.known)
	}
	until := a.clock().Add(accountMaxAge)
	if exp.Before(until) {
		until = exp
	}
	a.known[key] = knownAccount{account: account, until: until}
}
