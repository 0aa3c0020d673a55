// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"sync"
	"time"
)

// idLife is how long the id of a token client is gone by. It is short: a client that is renamed takes
// its id along.
const idLife = 10 * time.Second

// recent is what a session did and saw a moment ago, to save the calls that would only say so again.
// Its zero value knows nothing.
type recent struct {
	mu           sync.Mutex
	clients      map[string]bool // that were made, and not mapped since
	tokenClients map[string]sawID
}

type sawID struct {
	id string
	at time.Time
}

// made takes note of a client that the server made for us.
func (r *recent) made(clientID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients = map[string]bool{}
	}
	r.clients[clientID] = true
}

// takeMade says whether a client was made just now, once.
func (r *recent) takeMade(clientID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := r.clients[clientID]
	delete(r.clients, clientID)
	return made
}

// sawTokenClient takes note of a token client's id.
func (r *recent) sawTokenClient(clientID, id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tokenClients == nil {
		r.tokenClients = map[string]sawID{}
	}
	r.tokenClients[clientID] = sawID{id, now}
}

// tokenClient is the id that a token client had a moment ago.
func (r *recent) tokenClient(clientID string, now time.Time) (id string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	saw, ok := r.tokenClients[clientID]
	return saw.id, ok && now.Sub(saw.at) < idLife
}
