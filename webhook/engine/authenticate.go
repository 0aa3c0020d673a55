// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// liveCallers bounds how many clients of one caller id are read for one wrong secret.
const liveCallers = 4

// Authenticate finds the IntrospectionClient whose workload shows this id and secret at
// the RFC 7662 endpoint of a policy. A client id is unique at one server only: all who
// have it are compared, and the one that the policy names is preferred. The time it
// takes says nothing about the secrets that are known; a secret that is not is looked for
// once in the clients' records, which the snapshot may lag behind.
func (e *Engine) Authenticate(ctx context.Context, policy token.Ref, clientID, secret string) (token.Ref, bool) {
	s := e.current.Load()
	if s == nil || secret == "" {
		return token.Ref{}, false
	}
	var named []acceptedServer
	if p := s.policies[policy]; p != nil {
		named = p.accepts
	}
	preferred := func(c *client) bool {
		return slices.ContainsFunc(named, func(a acceptedServer) bool { return a.client == c })
	}
	var (
		sum   = sha256.Sum256([]byte(secret))
		now   = e.clock()
		found *client
		shown shown
	)
	for _, c := range s.callers[clientID] {
		if as := shows(c.FacadeSecrets, &sum, now); as != unknown && (found == nil || preferred(c)) {
			found, shown = c, as
		}
	}
	if found == nil {
		return e.authenticateLive(ctx, s.callers[clientID], preferred, &sum)
	}
	if shown == ending && found.tellLate(now) {
		e.hints.tell(ctx, found.Ref, HintPreviousSecretUsed)
	}
	return found.Ref, true
}

// authenticateLive compares with what the records say now.
func (e *Engine) authenticateLive(ctx context.Context, callers []*client, preferred func(*client) bool, sum *[sha256.Size]byte) (token.Ref, bool) {
	var found *client
	for _, c := range callers[:min(len(callers), liveCallers)] {
		state, ok := e.live.client(ctx, c.Ref)
		if !ok || state.UID != c.UID {
			continue
		}
		if shows(state.FacadeSecrets, sum, e.clock()) != unknown && (found == nil || preferred(c)) {
			found = c
		}
	}
	if found == nil {
		return token.Ref{}, false
	}
	return found.Ref, true
}

// shown is what a secret that somebody shows is.
type shown int

const (
	unknown shown = iota
	current
	// ending is one that a rotation replaced, and that still works.
	ending
)

// shows compares with every live secret, whatever matched before.
func shows(secrets []FacadeSecret, sum *[sha256.Size]byte, now time.Time) shown {
	match, ends := 0, 0
	for i := range secrets {
		f := &secrets[i]
		if f.NotAfter.IsZero() || now.Before(f.NotAfter) {
			same := subtle.ConstantTimeCompare(f.SHA256[:], sum[:])
			match |= same
			if !f.NotAfter.IsZero() {
				ends |= same
			}
		}
	}
	return shown(match + ends)
}

// tellLate says whether the use of an ending secret is to be told: seldom, and without a lock.
func (c *client) tellLate(now time.Time) bool {
	last := c.lateTold.Load()
	return now.Sub(time.Unix(0, last)) >= lateInterval && c.lateTold.CompareAndSwap(last, now.UnixNano())
}
