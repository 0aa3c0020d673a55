// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// proofLife is how long a proof of a credential is relied on while the server shows that nothing
// changed: each costs the server an introspection, and the webhook says at once if one is refused.
const proofLife = time.Hour

// attention is what a process remembers of its looks at clients: which of them were hinted at,
// and when their credentials were proved.
type attention struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	hinted map[types.NamespacedName]bool
	proved map[types.NamespacedName]time.Time
}

func newAttention(c clock.PassiveClock) *attention {
	return &attention{clock: c, hinted: map[types.NamespacedName]bool{}, proved: map[types.NamespacedName]time.Time{}}
}

// hint has the next look at a client be a live one.
func (a *attention) hint(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hinted[name] = true
}

// takeHint says whether a client was hinted at, once.
func (a *attention) takeHint(name types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	hinted := a.hinted[name]
	delete(a.hinted, name)
	return hinted
}

// provedNow takes note of a proof.
func (a *attention) provedNow(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proved[name] = a.clock.Now()
}

// provedLately says whether a proof is still relied on. One that another process made has any age:
// not all of them are made again at once after a start.
func (a *attention) provedLately(name types.NamespacedName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	at, known := a.proved[name]
	if !known {
		at = now.Add(-rand.N(proofLife)) //nolint:gosec // spreading load needs no secrecy
		a.proved[name] = at
	}
	return now.Sub(at) < proofLife
}

// forget drops what is known of a client that is gone.
func (a *attention) forget(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.hinted, name)
	delete(a.proved, name)
}

// observe looks the registration up: from afar if all was well and nothing is on its way, else live.
// What is not as declared from afar is looked at live before anything is done about it.
func (s *clientScope) observe(ctx context.Context) (provider.Observation, error) {
	if s.steady() {
		if sight, ok := s.session.Survey(ctx, s.desired, s.config.DriftInterval/2); ok {
			s.sight = &sight
			return sight.Observation, nil
		}
	}
	return s.session.Observe(ctx, s.desired, s)
}

// steady says that a look has nothing to expect: the client is Ready as it is declared, nobody
// hinted at it, and no credential is on its way in or out.
func (s *clientScope) steady() bool {
	ready := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionReady)
	return !s.hinted && !s.refusedNow && ready != nil && ready.Status == "True" && ready.ObservedGeneration == s.object.Generation &&
		s.record.Current != nil && s.record.Next == nil && !s.record.Rotating() && !s.record.Overlaps() && !s.settling()
}

// stillProved says that a proof is not due: the server shows the credential that was proved.
func (s *clientScope) stillProved() bool {
	return s.sight != nil && s.session.introspectsJWTs() != provider.SupportUnknown &&
		apimeta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionVerified) && s.attention.provedLately(s.key())
}

// mayPutBack says that a refusal is news of a credential that worked: somebody changed it at a server that
// shows none. It is put back at once, and workloads hear nothing of it.
func (s *clientScope) mayPutBack() bool {
	return !s.isLeft() && s.record.Current != nil && s.record.Next == nil && !s.record.Overlaps() && !isManual(s.server) && !choosesIDs(s.can) && !s.settling() &&
		apimeta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionVerified)
}

// putBack sends the server the credential that it refused.
func (s *clientScope) putBack(ctx context.Context) error {
	s.refusedNow = true
	_, err := s.register(ctx)
	return err
}

func (s *clientScope) key() types.NamespacedName {
	return types.NamespacedName{Namespace: s.object.Namespace, Name: s.object.Name}
}
