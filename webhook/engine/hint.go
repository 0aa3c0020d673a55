// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"sync"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// HintCredentialsRefused says that a server refused all live credentials of a client.
const HintCredentialsRefused = "CredentialsRefused"

// HintPreviousSecretUsed says that a workload shows a secret that a rotation replaced, and that
// will end.
const HintPreviousSecretUsed = "PreviousSecretUsed"

// HintFunc tells the controller to look at a client. A hint only: it may get lost. It
// runs on a goroutine of its own and gives up when ctx ends.
type HintFunc func(ctx context.Context, client token.Ref, reason string)

const (
	hintInterval = time.Minute
	// lateInterval is how often the use of an ending secret is told, by each replica.
	lateInterval = 30 * time.Minute
	hintLimit    = 10 * time.Second
	// hintsAtOnce bounds the goroutines; what is beyond is said again at the next refusal.
	hintsAtOnce = 8
)

// hinter says each hint at most once a minute and client.
type hinter struct {
	hint  HintFunc
	clock func() time.Time
	slots chan struct{}
	mu    sync.Mutex
	last  map[hintKey]time.Time
}

type hintKey struct {
	client token.Ref
	reason string
}

func newHinter(hint HintFunc, clock func() time.Time) *hinter {
	return &hinter{hint: hint, clock: clock, slots: make(chan struct{}, hintsAtOnce), last: map[hintKey]time.Time{}}
}

func (h *hinter) tell(ctx context.Context, client token.Ref, reason string) {
	if h.hint == nil || !h.due(hintKey{client, reason}) {
		return
	}
	go func() {
		defer func() { <-h.slots }()
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), hintLimit)
		defer cancel()
		h.hint(detached, client, reason)
	}()
}

// due takes a slot if the hint is to be said.
func (h *hinter) due(key hintKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock()
	if last, ok := h.last[key]; ok && now.Sub(last) < hintInterval {
		return false
	}
	select {
	case h.slots <- struct{}{}:
	default:
		return false
	}
	for k, last := range h.last {
		if now.Sub(last) >= hintInterval {
			delete(h.last, k)
		}
	}
	h.last[key] = now
	return true
}
