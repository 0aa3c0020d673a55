// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"time"
)

// reviewCache is how long the API server keeps a TokenReview's answer by default
// (--authentication-token-webhook-cache-ttl).
const reviewCache = 2 * time.Minute

// maxBound bounds the words of a bound, in bytes: the status' field.
const maxBound = 255

// Revocation is how long a token may be let in after its server called it inactive.
type Revocation struct {
	// Surface is Introspection, Gateways or TokenReview.
	Surface string
	// TokenForm is JWT or Opaque.
	TokenForm string
	// Bound is a duration with what adds to it, or exp: until the token's own end.
	Bound string
}

// Revocation is the bound on each surface, for each form of token that the policy
// accepts. hasKeys says whether the server of a client publishes keys: where one that
// validation Local needs does not, no JWT of it is let in at all.
func (p *Policy) Revocation(hasKeys func(client string) bool) []Revocation {
	forms := []struct{ name, bound, local string }{{name: "JWT"}}
	local := p.local(hasKeys)
	if len(local) < len(p.entries) {
		forms[0].bound = p.asked()
	}
	if len(local) > 0 {
		forms[0].local = "exp"
		if len(local) < len(p.entries) {
			forms[0].local = "exp for tokens of " + listed(local, " and ")
		}
	}
	for _, e := range p.entries {
		if e.Opaque {
			forms = append(forms, struct{ name, bound, local string }{name: "Opaque", bound: p.asked()})
		}
	}
	surfaces := []struct{ name, more string }{{"Introspection", p.caching()}, {"Gateways", ""}}
	if p.review != nil {
		surfaces = append(surfaces, struct{ name, more string }{"TokenReview", " + " + reviewCache.String() + " of the API server's cache"})
	}
	var all []Revocation
	for _, s := range surfaces {
		for _, f := range forms {
			bound := f.bound
			if bound != "" {
				bound += s.more
			}
			if f.local != "" {
				bound = strings.TrimPrefix(bound+"; "+f.local, "; ")
			}
			all = append(all, Revocation{Surface: s.name, TokenForm: f.name, Bound: bound[:min(len(bound), maxBound)]})
		}
	}
	return all
}

// local are the clients whose JWTs nobody is asked about.
func (p *Policy) local(hasKeys func(client string) bool) []string {
	var clients []string
	for _, e := range p.entries {
		if e.Mode == ModeLocal && (hasKeys == nil || hasKeys(e.Client) || len(p.entries) == 1) {
			clients = append(clients, e.Client)
		}
	}
	return clients
}

// asked is the bound where the server is asked.
func (p *Policy) asked() string {
	if p.staleFor == 0 {
		return p.maxAge.String()
	}
	return p.maxAge.String() + ", in an outage " + (p.maxAge + p.staleFor).String()
}

// caching is what callers add that keep an answer until its `exp`.
func (p *Policy) caching() string {
	if !p.introspection.clamp {
		return "; exp for callers that cache until exp"
	}
	twice := (2 * p.maxAge).String()
	if p.staleFor > 0 {
		twice += ", in an outage " + (2*p.maxAge + p.staleFor).String() + ","
	}
	return "; " + twice + " for callers that cache until exp"
}
