// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// snapshot is a State, resolved for answering. It never changes.
type snapshot struct {
	takenAt time.Time
	// confirmedAt is when the objects were last known to be these; nil for takenAt.
	confirmedAt atomic.Pointer[time.Time]

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
	// accepts are the policy's entries, in its order.
	accepts []acceptedServer
	// undecided is why nobody can tell anything now; nil if the policy can be asked.
	undecided *token.Undecided
	counters  *policyCounters
}

// acceptedServer is an entry of a policy: a server, and the client that asks it.
type acceptedServer struct {
	// index is the entry's, and name its client's.
	index int
	name  string
	// client is nil if it does not exist.
	client *client
	mode   policy.Mode
	opaque bool
	// undecided is why nobody can tell anything about this server's tokens now.
	undecided *token.Undecided
}

// client is an IntrospectionClient with its server.
type client struct {
	ClientState
	// server is nil if it does not exist.
	server *server
	// fingerprints are the credentials', which tell them apart.
	fingerprints [][sha256.Size]byte
	// scopes are the keys' part that every token shares: of each mode one a credential, and
	// one for Local, which shows none.
	scopes [policy.ModeLocalThenIntrospect + 1][]cache.Scope
	// lateTold is when the use of an ending secret was told last, in Unix nanoseconds. It too outlives
	// a snapshot.
	lateTold *atomic.Int64
	// preferred is the index of the credential that worked last. It outlives a snapshot.
	preferred *atomic.Int32
}

// scopesOf are the scopes of a mode, and which of them to begin with.
func (c *client) scopesOf(mode policy.Mode) ([]cache.Scope, int) {
	if mode == policy.ModeLocal {
		return c.scopes[mode], 0
	}
	return c.scopes[mode], int(c.preferred.Load())
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
		p.accepts, p.undecided = next.bind(&p.PolicyState)
		p.counters = e.metrics.forPolicy(labels[p.Ref])
		next.policies[p.Ref] = p
	}
	e.budgets.keep(namespacesOf(state.Policies))
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
	c := &client{ClientState: *state, server: s, preferred: new(atomic.Int32), lateTold: new(atomic.Int64)}
	for i := range c.Credentials {
		c.fingerprints = append(c.fingerprints, c.Credentials[i].Fingerprint())
	}
	if old != nil {
		if was := old.clients[c.Ref]; was != nil && was.UID == c.UID {
			c.lateTold = was.lateTold
			if slices.Equal(was.fingerprints, c.fingerprints) {
				c.preferred = was.preferred
			}
		}
	}
	if s == nil {
		return c
	}
	for _, fingerprint := range c.fingerprints { // of the modes that show a credential
		c.scopes[policy.ModeIntrospect] = append(c.scopes[policy.ModeIntrospect], c.scope("Introspect", fingerprint))
		c.scopes[policy.ModeLocalThenIntrospect] = append(c.scopes[policy.ModeLocalThenIntrospect], c.scope("LocalThenIntrospect", fingerprint))
	}
	c.scopes[policy.ModeLocal] = []cache.Scope{c.scope("Local", [sha256.Size]byte{})}
	return c
}

func (c *client) scope(mode string, credential [sha256.Size]byte) cache.Scope {
	return cache.Identity{
		Validation: mode, ServerUID: c.server.UID, Endpoint: c.server.link.endpoint, ClientUID: c.UID, Credential: credential,
	}.Scope()
}

// bind finds what a policy rests on, or why it can't be asked.
func (s *snapshot) bind(p *PolicyState) ([]acceptedServer, *token.Undecided) {
	if p.Compiled == nil {
		return nil, policyInvalid(p, nil)
	}
	entries := p.Compiled.Entries()
	accepts := make([]acceptedServer, len(entries))
	issuers := make(map[string]bool, len(entries))
	for i, entry := range entries {
		a := &accepts[i]
		*a = acceptedServer{index: i, name: entry.Client, mode: entry.Mode, opaque: entry.Opaque}
		a.client, a.undecided = s.clientOf(p, entry.Client)
		if a.undecided == nil {
			a.undecided = a.resolveMode(p)
		}
		if a.client == nil || a.client.server == nil {
			continue
		}
		if issuers[a.client.server.Issuer] {
			return accepts, policyInvalid(p, errDuplicateIssuer)
		}
		issuers[a.client.server.Issuer] = true
	}
	if p.Err != nil {
		return accepts, policyInvalid(p, nil)
	}
	return accepts, nil
}

// clientOf finds a policy's client, or why it can't ask.
func (s *snapshot) clientOf(p *PolicyState, name string) (*client, *token.Undecided) {
	ref := token.Ref{Namespace: p.Ref.Namespace, Name: name}
	c := s.clients[ref]
	switch {
	case c == nil:
		return nil, clientMissing(p.Ref, ref)
	case c.server == nil:
		return c, serverMissing(ref)
	case !c.server.grants(ref.Namespace):
		return c, accessWithdrawn(ref, c.server.Name)
	case !c.Verified || len(c.Credentials) == 0:
		return c, clientUnverified(ref)
	case c.server.link.err != nil:
		return c, serverUnusable(c.server.Name, c.server.link.err)
	}
	return c, nil
}

// resolveMode settles the default: signatures are verified where the server publishes keys.
func (a *acceptedServer) resolveMode(p *PolicyState) *token.Undecided {
	keys := a.client.server.link.keys != nil
	switch a.mode {
	case policy.ModeDefault:
		a.mode = policy.ModeIntrospect
		if keys {
			a.mode = policy.ModeLocalThenIntrospect
		}
	case policy.ModeLocal, policy.ModeLocalThenIntrospect:
		if !keys {
			return noKeys(p.Ref, a.client.server.Name)
		}
	case policy.ModeIntrospect:
	}
	return nil
}

func (s *server) grants(namespace string) bool {
	_, ok := s.Namespaces[namespace]
	return ok
}

// confirmed is when the objects were last known to be these.
func (s *snapshot) confirmed() time.Time {
	if at := s.confirmedAt.Load(); at != nil && at.After(s.takenAt) {
		return *at
	}
	return s.takenAt
}

// Confirm says that the API server still held what the snapshot rests on, at that time.
func (e *Engine) Confirm(at time.Time) {
	if s := e.current.Load(); s != nil {
		s.confirmedAt.Store(&at)
	}
}

// Prepare compiles the rules of all policies, and fetches keys that nobody has yet: those of
// the cluster before the API server may be away. It is called off the readiness path; what
// is asked for before is prepared then.
func (e *Engine) Prepare(ctx context.Context) {
	s := e.current.Load()
	if s == nil {
		return
	}
	e.cluster.warm(ctx)
	for _, p := range s.policies {
		if p.Compiled != nil {
			_ = p.Compiled.Prepare() // what is wrong with it, its own judgement says
		}
	}
}

func namespacesOf(policies []PolicyState) map[string]bool {
	all := make(map[string]bool, len(policies))
	for i := range policies {
		all[policies[i].Ref.Namespace] = true
	}
	return all
}
