// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/binding"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// course is how a decision came about, for its record.
type course struct {
	policy *boundPolicy
	// accepted is the entry of the policy that the token belongs to; nil if it was not found.
	accepted *acceptedServer
	// opaque says that the token is no JWT; only where it was not known.
	opaque bool
	// facts are what the server said, when it was asked; nil if it was not.
	facts  *cache.Entry
	age    time.Duration
	cached bool
	stale  bool
}

// Decide answers whether the request's token is good for its policy. The error is
// always a *token.Undecided: nobody could tell. The Decision is shared with other
// requests: nothing in it is to be changed.
func (e *Engine) Decide(ctx context.Context, req token.Request) (token.Decision, error) {
	var c course
	d, undecided := e.decide(ctx, &req, &c)
	e.metrics.count(&req, &c, &d, undecided)
	e.audit.write(ctx, &req, &c, &d, undecided)
	if undecided != nil {
		return token.Decision{}, undecided
	}
	return d, nil
}

// decide is the whole of it: which policy, may this caller ask it, what does the server say
// about the token, is that good for this policy, and did the sender prove that the token is
// theirs. What the server said is cached, and nothing else: all the rest is judged on every
// request.
func (e *Engine) decide(ctx context.Context, req *token.Request, c *course) (d token.Decision, undecided *token.Undecided) {
	defer func() {
		if r := recover(); r != nil { // a panic in a judgement must end as "could not tell"
			d, undecided = token.Decision{}, panicked(r)
		}
		if c.policy != nil && c.policy.Compiled != nil && undecided == nil && d.Verdict != token.Allow {
			d.Challenge.ResourceMetadata = c.policy.Compiled.ResourceMetadata()
		}
	}()
	s := e.current.Load()
	if undecided = e.usable(s); undecided != nil {
		return d, undecided
	}
	c.policy = s.policies[req.Policy]
	among, early, undecided := admit(req, c.policy)
	if early != nil || undecided != nil {
		return settled(early), undecided
	}
	if err := c.policy.Compiled.Prepare(); err != nil { // most often done long since
		return d, policyInvalid(&c.policy.PolicyState, err)
	}
	if refused := weigh(req.Token); refused != nil {
		return *refused, nil
	}
	now, refused, undecided := e.ask(ctx, req, c, among)
	if refused != nil || undecided != nil {
		return settled(refused), undecided
	}
	if d = judge(req, c, now); d.Verdict != token.Allow {
		return d, nil
	}
	if refused, undecided = e.prove(req, c); refused != nil || undecided != nil {
		return settled(refused), undecided
	}
	if undecided = render(req, c, &d, now); undecided != nil || d.Verdict != token.Allow {
		return d, undecided
	}
	if ctx.Err() != nil {
		return token.Decision{}, outOfTime(ctx.Err()) // authorino #649: a cancelled pipeline meant allow
	}
	return d, nil
}

// settled is a decision that was made early, or none.
func settled(d *token.Decision) token.Decision {
	if d == nil {
		return token.Decision{}
	}
	return *d
}

// ask finds what the server of the token says about it: from the cache, if that is fresh
// enough for this policy; else the server is asked, once however many wait. It is asked only
// about a token that looks like its own. A refusal is of a token that no server needs to be
// asked about, or that this one can't tell about.
func (e *Engine) ask(ctx context.Context, req *token.Request, c *course, among []acceptedServer) (time.Time, *token.Decision, *token.Undecided) {
	maxAge, now := c.policy.Compiled.MaxAge(), e.clock()
	known := e.known(req.Token, among)
	if known.facts != nil {
		c.accepted = known.accepted
		if age := known.facts.Age(now); known.facts.Serves(age, known.accepted.freshness(known.facts.Facts.Opaque, maxAge)) {
			e.metrics.hits.Inc()
			c.facts, c.age, c.cached = known.facts, age, true
			e.refreshAhead(ctx, req, c, &known, now)
			return now, nil, nil
		}
	}
	accepted, opaque, refused := route(req.Token, among)
	if c.accepted, c.opaque = accepted, opaque; refused != nil {
		return now, refused, nil
	}
	if accepted.undecided != nil {
		return now, nil, accepted.undecided
	}
	e.metrics.misses.Inc()
	facts, err := e.askNow(ctx, req, c, known.good())
	answered := e.clock()
	if err != nil {
		if stale := e.stale(req.Token, c, err, answered); stale != nil {
			c.facts, c.age, c.cached, c.stale = stale, stale.Age(answered), true, true
			return answered, nil, nil
		}
		refused, undecided := e.failed(ctx, c, req.Token, err)
		return answered, refused, undecided
	}
	c.facts, c.age = facts, facts.Age(answered)
	if facts.Facts.Active && !inTime(facts, answered, now, accepted.freshness(opaque, maxAge)) {
		return answered, nil, tooOld(accepted.client.server.Name, c.policy.Ref, maxAge)
	}
	return answered, nil, nil
}

// inTime says whether an allow may rest on the answer at this moment: a slow server's
// may be too old when it arrives. With maxAge 0 it was asked for after the reader came.
func inTime(facts *cache.Entry, now, arrival time.Time, maxAge time.Duration) bool {
	if maxAge <= 0 {
		return !facts.AskedAt.Before(arrival)
	}
	return facts.Age(now) <= maxAge
}

// judge judges the facts by the policy.
func judge(req *token.Request, c *course, now time.Time) token.Decision {
	client := c.accepted.client
	return c.policy.Compiled.Judge(policy.Input{
		Facts: c.facts.Facts, Entry: c.accepted.index, Issuer: client.server.Issuer, ClientID: client.ClientID,
		Now: now, Surface: req.Surface, HTTP: req.HTTP,
	})
}

// prove checks, on every request, that who sends a token that is bound to a key has the key.
// Where no gateway asks, the policy has judged already whether a bound token may pass.
func (e *Engine) prove(req *token.Request, c *course) (*token.Decision, *token.Undecided) {
	if !req.Surface.OnGateway() || !c.facts.Facts.Bound && req.Scheme == token.SchemeBearer {
		return nil, nil
	}
	return e.binding.Check(&binding.Question{
		Token: req.Token, Scheme: req.Scheme, Facts: c.facts.Facts, HTTP: req.HTTP, Resource: c.policy.Compiled.Resource(),
	})
}

// render makes an allow of the facts, once a policy.
func render(req *token.Request, c *course, d *token.Decision, now time.Time) *token.Undecided {
	p, facts := c.policy.Compiled, c.facts.Facts
	switch req.Surface {
	case token.SurfaceForwardAuth, token.SurfaceExtAuthz:
		r := c.facts.Gateway.Load()
		if r == nil || r.For != any(p) {
			r = &cache.Rendered{For: p, Headers: p.Headers(facts)}
			c.facts.Gateway.Store(r)
		}
		d.Headers = r.Headers
	case token.SurfaceIntrospection:
		r := c.facts.Facade.Load()
		if r == nil || r.For != any(p) {
			body, err := p.Body(facts)
			if err != nil {
				*d = token.Decision{}
				return unrendered(err)
			}
			r = &cache.Rendered{For: p, Body: &body}
			c.facts.Facade.Store(r)
		}
		d.Body = r.Body.At(now)
	case token.SurfaceTokenReview:
		user, refused := p.User(facts, req.Audiences)
		if refused != nil {
			*d = *refused
			return nil
		}
		d.User = user
	default:
		*d = token.Decision{}
		return surfaceNotConfigured(c.policy.Ref)
	}
	return nil
}
