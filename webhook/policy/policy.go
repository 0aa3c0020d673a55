// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy turns a TokenPolicy into judgements about tokens: compiled once, judged
// on every request, also where the facts come from a cache.
package policy

import (
	"sync"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Policy is a compiled TokenPolicy. It is made by Compile only, never changes, and is
// safe for concurrent use.
type Policy struct {
	entries []Entry
	// origins are what each entry demands beside: as long as entries.
	origins []origin
	// audiences of which one is needed; nil for the client id of the matched client.
	audiences []string
	scopes    scopes
	types     typeSet
	// acr are the classes of which one is needed; nil for any. acrValues is for a challenge.
	acr       []string
	acrValues string
	// maxTokenAge and maxAuthAge are 0 if there is no such requirement.
	maxTokenAge, maxAuthAge, skew time.Duration
	binding                       binding
	rules                         []rule

	maxAge, staleFor      time.Duration
	resource, metadataURL string
	introspection         introspection
	gateways              gateways
	// review is nil where the policy does not answer TokenReviews.
	review *review

	headers     []header
	headerNames []string
	claims      []string

	// expressions are all that Prepare compiles.
	expressions []*expression
	prepare     sync.Once
	unprepared  error
}

// Mode is how a token is checked.
type Mode uint8

const (
	// ModeDefault is ModeLocalThenIntrospect where the server publishes keys, else ModeIntrospect.
	ModeDefault Mode = iota
	// ModeIntrospect asks the server about each token (RFC 7662).
	ModeIntrospect
	// ModeLocal verifies a JWT's signature and asks nobody.
	ModeLocal
	// ModeLocalThenIntrospect verifies a JWT's signature, then asks.
	ModeLocalThenIntrospect
)

// Entry is a server whose tokens are accepted.
type Entry struct {
	// Client is the name of the IntrospectionClient that asks it, in the policy's namespace.
	Client string
	// Mode is how its JWTs are checked.
	Mode Mode
	// Opaque says that tokens that are no JWT are sent to it; to at most one of a policy's.
	Opaque bool
}

// origin is what an entry demands of its tokens: these names are unique within one
// issuer only. nil is no demand.
type origin struct {
	clients, subjects []string
	tenant            *tenant
}

// scopes that are needed.
type scopes struct {
	all, any []string
	// sufficient is a set that passes, space-delimited, for a challenge.
	sufficient string
}

// introspection is how RFC 7662 is answered.
type introspection struct {
	accounts              map[token.Ref]struct{}
	clamp, callerVerifies bool
}

// gateways is who may ask about which requests; nil is all.
type gateways struct {
	names, hosts []string
	preflight    bool
}

// Entries are the servers whose tokens are accepted, in the policy's order. The list is
// shared: not to be changed.
func (p *Policy) Entries() []Entry { return p.entries }

// MaxAge is how old the server's answer may be that an allow rests on; 0 for an answer
// to a question that was sent after the request came.
func (p *Policy) MaxAge() time.Duration { return p.maxAge }

// StaleFor is how much older than MaxAge an answer may be while the server gives no
// verdict; 0 where that is not wanted.
func (p *Policy) StaleFor() time.Duration { return p.staleFor }

// HeaderNames are the names of the headers of an allow, canonical, in the policy's
// order. The list is shared: not to be changed.
func (p *Policy) HeaderNames() []string { return p.headerNames }

// Resource is the API's URL (RFC 9728 resource), or empty.
func (p *Policy) Resource() string { return p.resource }

// ResourceMetadata is the URL of the resource's metadata (RFC 9728), or empty.
func (p *Policy) ResourceMetadata() string { return p.metadataURL }

// ServiceAccount says whether a ServiceAccount may ask over RFC 7662.
func (p *Policy) ServiceAccount(ref token.Ref) bool {
	_, ok := p.introspection.accounts[ref]
	return ok
}

// ServesTokenReview says that the policy maps its tokens to users of the API server.
func (p *Policy) ServesTokenReview() bool { return p.review != nil }
