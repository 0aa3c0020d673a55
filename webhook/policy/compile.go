// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// What holds where the object says nothing. The schema says the same, where it can: an
// object may have got in before its defaults existed.
const (
	defaultSkew     = 30 * time.Second
	defaultMaxAge   = 30 * time.Second
	defaultStaleFor = 2 * time.Minute
)

const (
	maxEntries  = 8
	maxSkew     = 5 * time.Minute
	maxMaxAge   = time.Hour
	minStaleFor = time.Second
	maxStaleFor = 10 * time.Minute
	minAge      = time.Second
	maxAge      = 8760 * time.Hour
	maxValues   = 64
	maxACR      = 16
	maxValue    = 255
)

// Compile makes a Policy of the object's spec, all but its expressions: Prepare compiles
// those. The error names everything that is wrong, each with the field and what to do.
// What the object's schema refuses is refused here too: an object may be older than a
// rule of the schema.
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
	p.freshness(&spec, &wrong)
	p.identify(spec.Resource, &wrong)
	p.surfaces(&spec.Surfaces, &wrong)
	p.respond(&spec.Respond, &wrong)
	p.together(&spec, &wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) accept(accept []v1alpha1.AcceptedServer, wrong *problems) {
	if len(accept) == 0 || len(accept) > maxEntries {
		wrong.add("spec.accept", "has %d entries: name 1 to %d IntrospectionClients, by clientRef", len(accept), maxEntries)
		return
	}
	opaque := false
	for i := range accept {
		a, path := &accept[i], index("spec.accept", i)
		e := Entry{Client: a.ClientRef.Name, Mode: wrong.mode(path+".validation", a.Validation), Opaque: wrong.opaque(path+".opaque", a.Opaque)}
		switch {
		case e.Client == "":
			wrong.add(path+".clientRef.name", "is empty: name an IntrospectionClient of this namespace")
		case slices.ContainsFunc(p.entries, func(other Entry) bool { return other.Client == e.Client }):
			wrong.add(path+".clientRef.name", "is %s, as another entry's is: each client may stand in one only", quoted(e.Client))
		}
		if e.Opaque && opaque {
			wrong.add(path+".opaque", "is Accepted a second time: an opaque token may be sent to one server only")
		}
		opaque = opaque || e.Opaque
		p.entries = append(p.entries, e)
		p.origins = append(p.origins, wrong.origin(path, a))
	}
}

func (w *problems) mode(path string, v v1alpha1.Validation) Mode {
	switch v {
	case "":
		return ModeDefault
	case v1alpha1.ValidationIntrospect:
		return ModeIntrospect
	case v1alpha1.ValidationLocal:
		return ModeLocal
	case v1alpha1.ValidationLocalThenIntrospect:
		return ModeLocalThenIntrospect
	}
	w.add(path, "is %s: known are Introspect, Local and LocalThenIntrospect", quoted(string(v)))
	return ModeDefault
}

func (w *problems) opaque(path string, o v1alpha1.OpaqueTokens) bool {
	return w.option(path, string(o), string(v1alpha1.OpaqueRefused), string(v1alpha1.OpaqueAccepted))
}

func (w *problems) origin(path string, a *v1alpha1.AcceptedServer) origin {
	var o origin
	if a.Clients != nil {
		o.clients = w.values(path+".clients.allow", a.Clients.Allow, maxValues, notEmpty)
	}
	if a.Subjects != nil {
		o.subjects = w.values(path+".subjects.allow", a.Subjects.Allow, maxValues, notEmpty)
	}
	if a.Tenant != nil {
		w.claim(path+".tenant.claim", a.Tenant.Claim)
		o.tenant = &tenant{
			claim:  string(a.Tenant.Claim),
			values: w.values(path+".tenant.values", a.Tenant.Values, maxValues, notEmpty),
		}
	}
	return o
}

func (p *Policy) require(r *v1alpha1.TokenRequirements, wrong *problems) {
	if r.Audiences != nil {
		p.audiences = wrong.values("spec.require.audiences.anyOf", r.Audiences.AnyOf, maxValues, notEmpty)
	}
	if r.Scopes != nil {
		p.scopes = wrong.scopes("spec.require.scopes", r.Scopes)
	}
	p.types = wrong.tokenTypes("spec.require.tokenTypes", r.TokenTypes)
	p.skew = wrong.duration("spec.require.clockSkew", r.ClockSkew, defaultSkew, 0, maxSkew)
	p.maxTokenAge = wrong.age("spec.require.maxTokenAge", r.MaxTokenAge)
	p.maxAuthAge = wrong.age("spec.require.maxAuthAge", r.MaxAuthAge)
	if r.ACR != nil {
		p.acr = wrong.values("spec.require.acr.values", r.ACR.Values, maxACR, printable)
		if values := strings.Join(p.acr, " "); len(values) <= maxChallengeScope {
			p.acrValues = values
		}
	}
	if r.Binding != nil {
		p.binding = wrong.binding("spec.require.binding.required", r.Binding.Required)
	}
	p.declareRules(r.Rules, wrong)
}

func (w *problems) binding(path string, b v1alpha1.Binding) binding {
	switch b {
	case "", v1alpha1.BindingNone:
		return binding{}
	case v1alpha1.BindingDPoP:
		return binding{dpop: true}
	case v1alpha1.BindingMTLS:
		return binding{mtls: true}
	case v1alpha1.BindingAny:
		return binding{dpop: true, mtls: true}
	}
	w.add(path, "is %s: known are None, DPoP, MTLS and Any", quoted(string(b)))
	return binding{}
}

func (p *Policy) freshness(spec *v1alpha1.TokenPolicySpec, wrong *problems) {
	p.maxAge = wrong.duration("spec.freshness.maxAge", spec.Freshness.MaxAge, defaultMaxAge, 0, maxMaxAge)
	stale := wrong.option("spec.outage.mode", string(spec.Outage.Mode), string(v1alpha1.OutageDeny), string(v1alpha1.OutageServeStale))
	staleFor := wrong.duration("spec.outage.staleFor", spec.Outage.StaleFor, defaultStaleFor, minStaleFor, maxStaleFor)
	switch {
	case stale:
		p.staleFor = staleFor
	case spec.Outage.StaleFor != nil:
		wrong.add("spec.outage.staleFor", "is for mode ServeStale: set it, or leave out staleFor")
	}
	if len(p.entries) == 0 || slices.ContainsFunc(p.entries, func(e Entry) bool { return e.Mode != ModeLocal }) {
		return
	}
	if spec.Freshness.MaxAge != nil {
		wrong.add("spec.freshness.maxAge", "bounds nothing: with validation Local no server is asked, and a revoked token is good until its exp; leave it out, or set validation to LocalThenIntrospect")
	}
	if stale {
		wrong.add("spec.outage", "bounds nothing: with validation Local no answer can be stale; leave it out")
	}
}

// together are the rules about several fields.
func (p *Policy) together(spec *v1alpha1.TokenPolicySpec, wrong *problems) {
	if p.binding.dpop && p.resource == "" {
		wrong.add("spec.require.binding", "needs resource.identifier: a DPoP proof names the URL of the API")
	}
	carries := func(claim v1alpha1.ClaimName) bool {
		return slices.ContainsFunc(spec.Respond.Headers, func(h v1alpha1.ResponseHeader) bool { return h.Claim == claim })
	}
	if len(p.entries) > 1 && carries("sub") && !carries("iss") {
		wrong.add("spec.respond.headers", "carry sub and not iss: with several servers a subject is unique beside its issuer only; add a header for the claim iss")
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
		s.all = w.values(path+".allOf", r.AllOf, maxValues, scopeToken)
	}
	if len(r.AnyOf) > 0 {
		s.any = w.values(path+".anyOf", r.AnyOf, maxValues, scopeToken)
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

// maxChallengeScope bounds the scope of a challenge, and its acr_values, in bytes: nginx
// takes answers with less than 4 KiB of headers. A longer one is left out: a part of it
// would mislead.
const maxChallengeScope = 1 << 10

func (w *problems) age(path string, d *metav1.Duration) time.Duration {
	return w.duration(path, d, 0, minAge, maxAge)
}
