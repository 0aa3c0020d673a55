// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy turns a TokenPolicy into judgements about tokens: compiled once, judged
// on every request, also where the facts come from a cache.
package policy

import (
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Policy is a compiled TokenPolicy. It is made by Compile only, never changes, and is
// safe for concurrent use.
type Policy struct {
	client string
	// opaque says that tokens are accepted that are no JWT.
	opaque bool
	// audiences of which one is needed; nil for the client id of the policy's client.
	audiences []string
	scopes    scopes
	clients   []string
	tenant    *tenant
	types     typeSet
	// maxTokenAge and maxAuthAge are 0 if there is no such requirement.
	maxTokenAge, maxAuthAge, skew time.Duration
	maxAge                        time.Duration
	headers                       []header
	headerNames                   []string
	claims                        []string
}

// scopes that are needed.
type scopes struct {
	all, any []string
	// sufficient is a set that passes, space-delimited, for a challenge.
	sufficient string
}

// tenant that is needed, in a claim.
type tenant struct {
	claim  string
	values []string
}

// header of an allow.
type header struct{ name, claim string }

// ClientName is the name of the IntrospectionClient that asks.
func (p *Policy) ClientName() string { return p.client }

// AcceptsOpaque says that tokens that are no JWT may be sent to the policy's server.
func (p *Policy) AcceptsOpaque() bool { return p.opaque }

// MaxAge is how old the server's answer may be that an allow rests on; 0 for an answer
// to a question that was sent after the request came.
func (p *Policy) MaxAge() time.Duration { return p.maxAge }

// HeaderNames are the names of the headers of an allow, canonical, in the policy's
// order. The list is shared: not to be changed.
func (p *Policy) HeaderNames() []string { return p.headerNames }

// IsAlias says whether a header that a client sent is another spelling of one of the
// policy's headers: see token.IsAlias.
func (p *Policy) IsAlias(sent string) bool {
	for _, name := range p.headerNames {
		if token.IsAlias(sent, name) {
			return true
		}
	}
	return false
}
