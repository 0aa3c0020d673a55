// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Authenticate finds the IntrospectionClient whose workload shows this id and secret at
// the RFC 7662 endpoint of a policy. A client id is unique at one server only: all who
// have it are compared, and the one that the policy names is preferred. The time it
// takes says nothing about the secrets.
func (e *Engine) Authenticate(policy token.Ref, clientID, secret string) (token.Ref, bool) {
	s := e.current.Load()
	if s == nil || secret == "" {
		return token.Ref{}, false
	}
	var named []acceptedServer
	if p := s.policies[policy]; p != nil {
		named = p.accepts
	}
	var (
		sum   = sha256.Sum256([]byte(secret))
		now   = e.clock()
		found *client
	)
	for _, c := range s.callers[clientID] {
		if c.shows(&sum, now) && (found == nil || slices.ContainsFunc(named, func(a acceptedServer) bool { return a.client == c })) {
			found = c
		}
	}
	if found == nil {
		return token.Ref{}, false
	}
	return found.Ref, true
}

// shows compares with every live secret, whatever matched before.
func (c *client) shows(sum *[sha256.Size]byte, now time.Time) bool {
	match := 0
	for i := range c.FacadeSecrets {
		f := &c.FacadeSecrets[i]
		if f.NotAfter.IsZero() || now.Before(f.NotAfter) {
			match |= subtle.ConstantTimeCompare(f.SHA256[:], sum[:])
		}
	}
	return match == 1
}
