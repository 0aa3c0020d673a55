// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// validation is the mode that facts are kept under.
const validation = "Introspect"

// snapshot is a State, resolved for answering. It never changes.
type snapshot struct {
	takenAt  time.Time
	policies map[token.Ref]*boundPolicy
	clients  map[token.Ref]*client
	// callers are the clients by caller id: that is unique at one server only.
	callers map[string][]*client
	// links are by server UID.
	links map[string]*link
}

// boundPolicy is a policy with what it rests on.
type boundPolicy struct {
	PolicyState
	// client is nil if the policy's does not exist.
	client *client
	// undecided is why nobody can tell anything now; nil if the policy can be asked.
	undecided *token.Undecided
	counters  *policyCounters
}

// client is an IntrospectionClient with its server.
type client struct {
	ClientState
	// server is nil if it does not exist.
	server *server
	// fingerprints are the credentials', which tell them apart.
	fingerprints [][sha256.Size]byte
	// scopes are the keys' part that every token shares, one a credential.
	scopes []cache.Scope
	// preferred is the index of the credential that worked last. It outlives a snapshot.
	preferred *atomic.Int32
}

// server is a ServerState with its connections.
type server struct {
	ServerState
	link *link
}

// Load resolves the state and answers from it from now on. Connections to servers
// that did not change, and their facts, are kept.
func (e *Engine) Load(state State) {
	e.loading.Lock()
	defer e.loading.Unlock()
	old := e.current.Load()
	next := &snapshot{
		takenAt:  state.TakenAt,
		policies: make(map[token.Ref]*boundPolicy, len(state.Policies)),
		clients:  make(map[token.Ref]*client, len(state.Clients)),
		callers:  make(map[string][]*client, len(state.Clients)),
		links:    make(map[string]*link, len(state.Servers)),
	}
	servers := e.servers(old, next, state.Servers)
	for i := range state.Clients {
		c := newClient(old, &state.Clients[i], servers[state.Clients[i].Server])
		next.clients[c.Ref] = c
		caller := cmp.Or(c.CallerID, c.ClientID)
		next.callers[caller] = append(next.callers[caller], c)
	}
	labels := e.metrics.policyLabels(state.Policies)
	for i := range state.Policies {
		p := &boundPolicy{PolicyState: state.Policies[i]}
		p.client, p.undecided = next.bind(&p.PolicyState)
		p.counters = e.metrics.forPolicy(labels[p.Ref])
		next.policies[p.Ref] = p
	}
	e.current.Store(next)
	if old != nil {
		old.release(next)
	}
}

// servers opens links to servers that are new or changed, and keeps the others.
func (e *Engine) servers(old, next *snapshot, states []ServerState) map[string]*server {
	servers := make(map[string]*server, len(states))
	for i := range states {
		s := &server{ServerState: states[i]}
		s.Timeout = cmp.Or(max(s.Timeout, 0), defaultTimeout)
		s.MaxInFlight = cmp.Or(max(s.MaxInFlight, 0), defaultMaxInFlight)
		if old != nil && old.links[s.UID].serves(&s.ServerState) {
			s.link = old.links[s.UID]
		} else {
			s.link = e.open(&s.ServerState)
		}
		servers[s.UID], next.links[s.UID] = s, s.link
	}
	return servers
}

// release ends the links that the next snapshot does not have.
func (s *snapshot) release(next *snapshot) {
	for uid, l := range s.links {
		if next.links[uid] != l {
			l.close()
		}
	}
}

func newClient(old *snapshot, state *ClientState, s *server) *client {
	c := &client{ClientState: *state, server: s, preferred: new(atomic.Int32)}
	for i := range c.Credentials {
		c.fingerprints = append(c.fingerprints, c.Credentials[i].Fingerprint())
	}
	if old != nil {
		if was := old.clients[c.Ref]; was != nil && was.UID == c.UID && slices.Equal(was.fingerprints, c.fingerprints) {
			c.preferred = was.preferred
		}
	}
	if s == nil {
		return c
	}
	for _, fingerprint := range c.fingerprints {
		c.scopes = append(c.scopes, cache.Identity{
			Validation: validation,
			ServerUID:  s.UID,
			Endpoint:   s.link.endpoint,
			ClientUID:  c.UID,
			Credential: fingerprint,
		}.Scope())
	}
	return c
}

// bind finds what a policy rests on, or why it can't be asked.
func (s *snapshot) bind(p *PolicyState) (*client, *token.Undecided) {
	if p.Compiled == nil {
		return nil, policyInvalid(p)
	}
	ref := token.Ref{Namespace: p.Ref.Namespace, Name: p.Compiled.ClientName()}
	c := s.clients[ref]
	switch {
	case c == nil:
		return nil, clientMissing(p.Ref, ref)
	case p.Err != nil:
		return c, policyInvalid(p)
	case c.server == nil:
		return c, serverMissing(ref)
	case !c.server.grants(ref.Namespace):
		return c, accessWithdrawn(ref, c.server.Name)
	case !c.Verified || len(c.scopes) == 0:
		return c, clientUnverified(ref)
	case c.server.link.err != nil:
		return c, serverUnusable(c.server.Name, c.server.link.err)
	}
	return c, nil
}

func (s *server) grants(namespace string) bool {
	_, ok := s.Namespaces[namespace]
	return ok
}
