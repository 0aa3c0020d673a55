// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// localMaxAge is how long a verified signature is believed: then the keys are looked at
	// again, of which one may have been withdrawn.
	localMaxAge = 5 * time.Minute
	// requestTimeout bounds what a request may wait for answers in all.
	requestTimeout = 10 * time.Second
)

// freshness is how old facts may be that an allow rests on.
func (a *acceptedServer) freshness(opaque bool, maxAge time.Duration) time.Duration {
	if a.modeOf(opaque) == policy.ModeLocal {
		return localMaxAge
	}
	return maxAge
}

// knowledge is what the cache holds about a token, of whatever age.
type knowledge struct {
	accepted *acceptedServer
	facts    *cache.Entry
	key      cache.Key
	// credential is the one that was asked with.
	credential int
}

func (k *knowledge) good() bool { return k.facts != nil && k.facts.Facts.Active }

// known looks a token up at each of the servers. It was asked about at the one whose token
// it says it is, and is known there only.
func (e *Engine) known(t token.Token, among []acceptedServer) knowledge {
	// What has no two dots is no JWT. What has is taken for one first: an opaque token may
	// have them too.
	opaque := strings.Count(t.Reveal(), ".") != 2
	for i := range among {
		a := &among[i]
		if a.undecided != nil {
			continue
		}
		k := e.knownAs(t, a, a.modeOf(opaque))
		if k.facts == nil && a.opaque && !opaque && a.mode != policy.ModeIntrospect {
			// What a policy without signatures learned about a JWT is not for this one.
			if k = e.knownAs(t, a, policy.ModeIntrospect); k.facts != nil && !k.facts.Facts.Opaque {
				k = knowledge{}
			}
		}
		if k.facts != nil {
			return k
		}
	}
	return knowledge{}
}

func (e *Engine) knownAs(t token.Token, a *acceptedServer, mode policy.Mode) knowledge {
	scopes, credential := a.client.scopesOf(mode)
	key := e.keyer.Key(&scopes[credential], t)
	facts, ok := e.cache.Get(key)
	if !ok {
		return knowledge{}
	}
	return knowledge{accepted: a, facts: facts, key: key, credential: credential}
}

// refreshAhead asks anew before facts in use grow too old. Where that fails they grow old
// as if nobody had asked.
func (e *Engine) refreshAhead(ctx context.Context, req *token.Request, c *course, k *knowledge, now time.Time) {
	maxAge := c.policy.Compiled.MaxAge()
	if k.accepted.modeOf(k.facts.Facts.Opaque) == policy.ModeLocal || !k.facts.RefreshDue(k.key, c.age, maxAge) {
		return
	}
	if exp := k.facts.Facts.ExpiresAt; !exp.IsZero() && !now.Before(exp) {
		return
	}
	if e.cache.Refresh(ctx, e.question(k.accepted, &inquiry{
		token: req.Token, opaque: k.facts.Facts.Opaque, known: true, attempt: k.credential, maxAge: maxAge,
	}), k.facts) {
		e.metrics.refreshes.Inc()
	}
}

// askNow asks with the credential that worked last; if the server refuses it, once with
// the other one: in a rotation nobody knows which of the two the server takes.
func (e *Engine) askNow(ctx context.Context, req *token.Request, c *course, known bool) (*cache.Entry, error) {
	a := c.accepted
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	scopes, first := a.client.scopesOf(a.modeOf(c.opaque))
	var (
		facts *cache.Entry
		err   error
	)
	for n := range min(2, len(scopes)) {
		i := (first + n) % len(scopes)
		facts, err = e.cache.Ask(ctx, e.question(a, &inquiry{
			token: req.Token, opaque: c.opaque, known: known, attempt: i, maxAge: c.policy.Compiled.MaxAge(),
		}))
		if err == nil {
			a.client.preferred.Store(int32(i)) //nolint:gosec // an index of a short list
			return facts, nil
		}
		if !errors.Is(err, introspect.ErrCredentialsRefused) {
			return nil, err
		}
	}
	return e.askLive(ctx, req, c, known, err)
}

// askLive asks with a credential that the snapshot does not know yet, if the record has one: the
// server refused all that it knows.
func (e *Engine) askLive(ctx context.Context, req *token.Request, c *course, known bool, refused error) (*cache.Entry, error) {
	a := *c.accepted
	if a.modeOf(c.opaque) == policy.ModeLocal {
		return nil, refused
	}
	state, ok := e.live.client(ctx, a.client.Ref)
	if !ok || state.UID != a.client.UID || state.Server != a.client.Server {
		return nil, refused
	}
	tried := a.client.fingerprints
	a.client = newClient(nil, &state, a.client.server)
	for i, fingerprint := range a.client.fingerprints {
		if slices.Contains(tried, fingerprint) {
			continue
		}
		return e.cache.Ask(ctx, e.question(&a, &inquiry{
			token: req.Token, opaque: c.opaque, known: known, attempt: i, maxAge: c.policy.Compiled.MaxAge(),
		}))
	}
	return nil, refused
}

// question is what the cache needs to know to ask.
func (e *Engine) question(a *acceptedServer, i *inquiry) *cache.Question {
	i.mode, i.namespace = a.modeOf(i.opaque), a.client.Ref.Namespace
	scopes, _ := a.client.scopesOf(i.mode)
	if i.mode != policy.ModeLocal {
		i.credential = a.client.Credentials[i.attempt]
	}
	l := a.client.server.link
	return &cache.Question{
		Key: e.keyer.Key(&scopes[i.attempt], i.token), MaxAge: a.freshness(i.opaque, i.maxAge), Limit: patience * l.timeout,
		Ask: l.asking(i), Retry: retryable,
	}
}

// stale are facts that may be served in an outage: known good, at most staleFor past their
// freshness, and only after the server failed since: our own limit is no outage, and a
// server that refuses us speaks.
func (e *Engine) stale(t token.Token, c *course, err error, now time.Time) *cache.Entry {
	p, a := c.policy.Compiled, c.accepted
	if p.StaleFor() <= 0 || a.modeOf(c.opaque) == policy.ModeLocal || !isOutage(err) {
		return nil
	}
	k := e.known(t, []acceptedServer{*a}) // looked up anew: an inactive answer may have come meanwhile
	if !k.good() {
		return nil
	}
	expiry := k.facts.AskedAt.Add(p.MaxAge())
	if k.facts.Age(now) > p.MaxAge()+p.StaleFor() || !a.client.server.link.failedSince(expiry) {
		return nil
	}
	e.metrics.stale(a.client.server.Name).Inc()
	return k.facts
}
