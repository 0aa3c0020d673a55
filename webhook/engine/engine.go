// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine decides about tokens: snapshot, facts from the cache or the
// authorization server, the policy's judgement.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const defaultCacheBytes = 64 << 20

// Options of New.
type Options struct {
	// Clock is the time, with its monotonic reading.
	Clock func() time.Time
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Logger writes a line for each decision: refusals at Info, allows at Debug.
	Logger *slog.Logger
	// SampleAllows writes one allow in so many at Info; 0 for none.
	SampleAllows uint64
	// CacheBytes bounds the memory of what servers said, about; default 64 MiB.
	CacheBytes int64
	// Hints is told what the controller should look at; may be nil.
	Hints HintFunc
	// Dial opens connections to a server; default introspect.New.
	Dial DialFunc
}

// Engine decides.
type Engine struct {
	clock   func() time.Time
	dial    DialFunc
	cache   *cache.Cache
	keyer   *cache.Keyer
	metrics *metrics
	audit   *audit
	hints   *hinter

	current atomic.Pointer[snapshot]
	loading sync.Mutex
}

// New is an engine that can tell nothing until its first Load.
func New(opts Options) (*Engine, error) {
	if opts.Clock == nil || opts.Registerer == nil || opts.Logger == nil {
		return nil, errors.New("engine: Clock, Registerer and Logger are required")
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	if opts.Dial == nil {
		opts.Dial = dialer(opts.Clock)
	}
	keyer, err := cache.NewKeyer(rand.Reader)
	if err != nil {
		return nil, err
	}
	facts, err := cache.New(cache.Options{Clock: opts.Clock, Bytes: opts.CacheBytes})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		clock: opts.Clock,
		dial:  opts.Dial,
		cache: facts,
		keyer: keyer,
		audit: &audit{log: opts.Logger, every: opts.SampleAllows, fingerprint: keyer.Fingerprint},
		hints: newHinter(opts.Hints, opts.Clock),
	}
	if e.metrics, err = newMetrics(opts.Registerer, e.snapshotAge, facts.Bytes); err != nil {
		facts.Close()
		return nil, err
	}
	return e, nil
}

// Close ends the engine's goroutines and idle connections.
func (e *Engine) Close() {
	e.cache.Close()
	if s := e.current.Load(); s != nil {
		s.release(&snapshot{})
	}
}

// Ready says that a snapshot was loaded.
func (e *Engine) Ready() bool { return e.current.Load() != nil }

// HeaderNames are the identity headers that a policy sets; none if it can't be asked.
func (e *Engine) HeaderNames(ref token.Ref) []string {
	s := e.current.Load()
	if s == nil || s.policies[ref] == nil || s.policies[ref].Compiled == nil {
		return nil
	}
	return s.policies[ref].Compiled.HeaderNames()
}

func (e *Engine) snapshotAge() (time.Duration, bool) {
	s := e.current.Load()
	if s == nil {
		return 0, false
	}
	return e.clock().Sub(s.takenAt), true
}

// course is how a decision came about, for its record.
type course struct {
	policy *boundPolicy
	entry  *cache.Entry
	age    time.Duration
	cached bool
}

// Decide answers whether the request's token is good for its policy. The error is
// always a *token.Undecided: nobody could tell. The Decision is shared with other
// requests: its Headers and Body are not to be changed.
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

func (e *Engine) decide(ctx context.Context, req *token.Request, c *course) (d token.Decision, undecided *token.Undecided) {
	defer func() {
		if r := recover(); r != nil { // a panic in a judgement must end as "could not tell"
			d, undecided = token.Decision{}, panicked(r)
		}
	}()
	s := e.current.Load()
	if s == nil {
		return d, notStarted()
	}
	c.policy = s.policies[req.Policy]
	if undecided = admit(req, c.policy); undecided != nil {
		return d, undecided
	}
	if d, ok := weigh(req.Token); !ok {
		return d, nil
	}
	now, denied, undecided := e.facts(ctx, req, c)
	if denied != nil || undecided != nil {
		if denied != nil {
			d = *denied
		}
		return d, undecided
	}
	if d, undecided = judge(req.Surface, c, now); undecided != nil {
		return token.Decision{}, undecided
	}
	if d.Verdict == token.Allow && ctx.Err() != nil {
		return token.Decision{}, outOfTime(ctx.Err()) // authorino #649: a cancelled pipeline meant allow
	}
	return d, nil
}

// admit says why this caller can't ask this policy now.
func admit(req *token.Request, p *boundPolicy) *token.Undecided {
	if req.Surface == token.SurfaceIntrospection {
		if u := admitClient(req, p); u != nil {
			return u
		}
	}
	if p == nil {
		return noPolicy(req.Policy)
	}
	return p.undecided
}

// admitClient answers client X from the accept entries of X only. Whether a policy of
// another namespace exists is not said.
func admitClient(req *token.Request, p *boundPolicy) *token.Undecided {
	switch {
	case req.Client.Namespace != req.Policy.Namespace:
		return foreignPolicy(req.Client)
	case p == nil:
		return noPolicyOfClient(req.Policy, req.Client)
	case p.Compiled != nil && p.Compiled.ClientName() != req.Client.Name:
		return noPolicyOfClient(req.Policy, req.Client)
	}
	return nil
}

// facts are those of the cache if they are fresh enough for this policy, else what the
// server says now; or a refusal of a token that no server needs to be asked about, or that
// this one can't tell about. A token whose facts are cached was screened before they were
// asked for; whether this policy takes opaque ones, Judge sees.
func (e *Engine) facts(ctx context.Context, req *token.Request, c *course) (time.Time, *token.Decision, *token.Undecided) {
	cl, maxAge := c.policy.client, c.policy.Compiled.MaxAge()
	key := e.keyer.Key(&cl.scopes[cl.preferred.Load()], req.Token)
	entry, ok := e.cache.Get(key)
	now := e.clock()
	if ok && entry.FreshFor(now, maxAge) {
		e.metrics.hits.Inc()
		c.entry, c.age, c.cached = entry, entry.Age(now), true
		return now, nil, nil
	}
	if d, ok := screen(req.Token, cl.server, c.policy.Compiled.AcceptsOpaque()); !ok {
		return now, &d, nil
	}
	e.metrics.misses.Inc()
	arrival := now
	entry, err := e.ask(ctx, cl, req.Token, maxAge)
	if errors.Is(err, introspect.ErrUnsupportedToken) {
		return now, unsupported(req.Token), nil
	}
	if err != nil {
		return now, nil, e.failed(ctx, cl, err)
	}
	now = e.clock()
	c.entry, c.age = entry, entry.Age(now)
	if entry.Facts.Active && !inTime(entry, now, arrival, maxAge) {
		return now, nil, tooOld(cl.server.Name, c.policy.Ref, maxAge)
	}
	return now, nil, nil
}

// inTime says whether an allow may rest on the answer at this moment: a slow server's
// may be too old when it arrives. With maxAge 0 it was asked for after the reader came.
func inTime(entry *cache.Entry, now, arrival time.Time, maxAge time.Duration) bool {
	if maxAge <= 0 {
		return !entry.AskedAt.Before(arrival)
	}
	return entry.Age(now) <= maxAge
}

// judge judges facts by the policy, on every request, and renders an allow.
func judge(surface token.Surface, c *course, now time.Time) (token.Decision, *token.Undecided) {
	p := c.policy
	d := p.Compiled.Judge(policy.Input{
		Facts: c.entry.Facts, Issuer: p.client.server.Issuer, ClientID: p.client.ClientID, Now: now,
	})
	if d.Verdict != token.Allow {
		return d, nil
	}
	r := c.entry.Rendered.Load()
	if r == nil || r.For != any(p.Compiled) || r.Surface != surface {
		var err error
		if r, err = render(surface, p.Compiled, c.entry.Facts); err != nil {
			return token.Decision{}, unrendered(err)
		}
		c.entry.Rendered.Store(r)
	}
	d.Headers, d.Body = r.Headers, r.Body
	return d, nil
}

func render(surface token.Surface, p *policy.Policy, facts *token.Facts) (*cache.Rendered, error) {
	r := &cache.Rendered{For: p, Surface: surface}
	var err error
	switch surface {
	case token.SurfaceForwardAuth:
		r.Headers = p.Headers(facts)
	case token.SurfaceIntrospection:
		r.Body, err = p.Body(facts)
	}
	return r, err
}
