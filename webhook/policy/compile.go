// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/textproto"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// What holds where the object says nothing. The schema says the same: an object may
// have got in before its defaults existed.
const (
	defaultSkew   = 30 * time.Second
	defaultMaxAge = 30 * time.Second
)

const (
	maxSkew   = 5 * time.Minute
	maxMaxAge = time.Hour
	minAge    = time.Second
	maxAge    = 8760 * time.Hour
)

const (
	maxValues     = 64
	maxValue      = 255
	maxClaimName  = 128
	maxHeaders    = 16
	maxHeaderName = 64
)

// standardClaims are the members of RFC 7662 section 2.2 that an answer has if the
// policy names none.
func standardClaims() []string {
	return []string{"scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"}
}

// Compile makes a Policy of the object's spec. The error names everything that is wrong,
// each with the field and what to do. What the object's schema refuses is refused here
// too: an object may be older than a rule of the schema.
func Compile(object *v1alpha1.TokenPolicy) (*Policy, error) {
	var (
		wrong problems
		p     = &Policy{}
		spec  v1alpha1.TokenPolicySpec
	)
	if object != nil {
		spec = object.Spec
	}
	p.accept(spec.Accept, &wrong)
	p.require(&spec.Require, &wrong)
	p.maxAge = wrong.duration("spec.freshness.maxAge", spec.Freshness.MaxAge, defaultMaxAge, 0, maxMaxAge)
	p.respond(&spec.Respond, &wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) accept(accept []v1alpha1.AcceptedServer, wrong *problems) {
	if len(accept) != 1 {
		wrong.add("spec.accept", "has %d entries: name one IntrospectionClient, by clientRef", len(accept))
		return
	}
	a := &accept[0]
	if p.client = a.ClientRef.Name; p.client == "" {
		wrong.add("spec.accept[0].clientRef.name", "is empty: name an IntrospectionClient of this namespace")
	}
	if a.Validation != "" && a.Validation != v1alpha1.ValidationIntrospect {
		wrong.add("spec.accept[0].validation", "is %s: only Introspect is known", quoted(string(a.Validation)))
	}
	switch a.Opaque {
	case "", v1alpha1.OpaqueRefused:
	case v1alpha1.OpaqueAccepted:
		p.opaque = true
	default:
		wrong.add("spec.accept[0].opaque", "is %s: known are Refused and Accepted", quoted(string(a.Opaque)))
	}
	if a.Clients != nil {
		p.clients = wrong.values("spec.accept[0].clients.allow", a.Clients.Allow, notEmpty)
	}
	if a.Tenant != nil {
		wrong.claim("spec.accept[0].tenant.claim", a.Tenant.Claim)
		p.tenant = &tenant{
			claim:  string(a.Tenant.Claim),
			values: wrong.values("spec.accept[0].tenant.values", a.Tenant.Values, notEmpty),
		}
	}
}

func (p *Policy) require(r *v1alpha1.TokenRequirements, wrong *problems) {
	if r.Audiences != nil {
		p.audiences = wrong.values("spec.require.audiences.anyOf", r.Audiences.AnyOf, notEmpty)
	}
	if r.Scopes != nil {
		p.scopes = wrong.scopes("spec.require.scopes", r.Scopes)
	}
	p.types = wrong.tokenTypes("spec.require.tokenTypes", r.TokenTypes)
	p.skew = wrong.duration("spec.require.clockSkew", r.ClockSkew, defaultSkew, 0, maxSkew)
	p.maxTokenAge = wrong.age("spec.require.maxTokenAge", r.MaxTokenAge)
	p.maxAuthAge = wrong.age("spec.require.maxAuthAge", r.MaxAuthAge)
}

func (p *Policy) respond(r *v1alpha1.Response, wrong *problems) {
	if len(r.Headers) > maxHeaders {
		wrong.add("spec.respond.headers", "has %d entries: %d are possible", len(r.Headers), maxHeaders)
	}
	names := make(map[string]bool, len(r.Headers))
	for i := range r.Headers {
		path := index("spec.respond.headers", i)
		name := textproto.CanonicalMIMEHeaderKey(r.Headers[i].Name)
		wrong.headerName(path+".name", name)
		wrong.claim(path+".claim", r.Headers[i].Claim)
		if names[name] {
			wrong.add(path+".name", "is %s, as another header is: names are compared without case", quoted(name))
		}
		names[name] = true
		p.headers = append(p.headers, header{name: name, claim: string(r.Headers[i].Claim)})
		p.headerNames = append(p.headerNames, name)
	}
	if len(r.Claims) > maxValues {
		wrong.add("spec.respond.claims", "has %d entries: %d are possible", len(r.Claims), maxValues)
	}
	for i, claim := range r.Claims {
		path := index("spec.respond.claims", i)
		wrong.claim(path, claim)
		if claim == "active" || claim == "cnf" {
			wrong.add(path, "is %s: active is always there, and cnf is the business of the webhook; leave it out", claim)
		}
		if slices.Contains(p.claims, string(claim)) {
			wrong.add(path, "is %s a second time: leave one out", quoted(string(claim)))
		}
		p.claims = append(p.claims, string(claim))
	}
	if len(p.claims) == 0 {
		p.claims = standardClaims()
	}
}

// scopes of a requirement. What a challenge asks for must be enough to pass: where any
// of several does, it asks for the first.
func (w *problems) scopes(path string, r *v1alpha1.ScopeRequirement) scopes {
	var s scopes
	if len(r.AllOf) == 0 && len(r.AnyOf) == 0 {
		w.add(path, "names no scope: name one in allOf or anyOf, or leave out scopes")
		return s
	}
	if len(r.AllOf) > 0 {
		s.all = w.values(path+".allOf", r.AllOf, scopeToken)
	}
	if len(r.AnyOf) > 0 {
		s.any = w.values(path+".anyOf", r.AnyOf, scopeToken)
	}
	sufficient := strings.Join(s.all, " ")
	if len(s.any) > 0 && !hasAny(s.all, s.any) {
		sufficient = strings.TrimPrefix(sufficient+" "+s.any[0], " ")
	}
	if len(sufficient) <= maxChallengeScope {
		s.sufficient = sufficient
	}
	return s
}

// maxChallengeScope bounds the scope of a challenge, in bytes: nginx takes answers with
// less than 4 KiB of headers. A longer one is left out: a part of it would mislead.
const maxChallengeScope = 1 << 10

func (w *problems) age(path string, d *metav1.Duration) time.Duration {
	return w.duration(path, d, 0, minAge, maxAge)
}
