// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// patience is how many time-outs a question may take in all, its wait for a turn included.
	patience = 2
	// breakerFailures in a row open the breaker, for breakerDelay: then one question is let
	// through. A stranger's tokens can't do that while others are answered.
	breakerFailures = 10
	breakerDelay    = time.Second
	// queueFactor times as many questions may wait as may be under way.
	queueFactor = 16
)

// link is the way to a server: its connections, its keys, and their limits.
type link struct {
	// settings is the hash of all that it was opened with.
	settings [32]byte
	// endpoint is the hash of what decides who answers: facts are kept under it.
	endpoint [32]byte
	asker    Asker
	// keys verify the server's JWTs; nil if it publishes none.
	keys *jwt.Verifier
	// issuer is whose tokens the server answers for.
	issuer, name string
	// err is why there is no asker.
	err     error
	timeout time.Duration
	slots   chan struct{}
	waiting atomic.Int64
	breaker circuitbreaker.CircuitBreaker[any]
	failed  atomic.Pointer[time.Time]
	clock   func() time.Time
	// spend draws on the budget of a namespace.
	spend    func(namespace string, known bool) (release func(notBad bool), err error)
	counters *upstreamCounters
	tracer   trace.Tracer

	mu sync.Mutex
	// shares are what each namespace may have for tokens that nobody knows yet.
	shares map[string]*share
}

// share is a namespace's part of the turns, and of the queue for them.
type share struct {
	slots   chan struct{}
	waiting atomic.Int64
}

// inquiry is what a server is asked.
type inquiry struct {
	token token.Token
	// opaque says that it is no JWT, and known that it was good before.
	opaque, known bool
	// attempt is the index of the credential to ask with.
	attempt int
	// maxAge is how old the answer may be.
	maxAge time.Duration

	// What follows is of the server that is asked.
	mode       policy.Mode
	credential introspect.Credential
	namespace  string
}

var (
	// errNoTurn is a question that was never sent: too many were under way.
	errNoTurn = errors.New("too many questions are under way")
	// errOpen is a question that was never sent: those before it failed.
	errOpen = errors.New("the last questions all failed; the next is tried in a moment")
)

// asking judges a signature, where there is one to judge, and then asks.
func (l *link) asking(i *inquiry) cache.AskFunc {
	return func(ctx context.Context, sending func()) (*token.Facts, error) {
		if i.mode == policy.ModeIntrospect {
			return l.introspect(ctx, i, sending)
		}
		if i.mode == policy.ModeLocal {
			sending()
		}
		signed, err := l.keys.Verify(ctx, i.token)
		if unavailable, ok := errors.AsType[*jwt.Unavailable](err); ok {
			l.fail()
			return nil, unavailable
		}
		if err != nil || i.mode == policy.ModeLocal {
			return signed, err
		}
		facts, err := l.introspect(ctx, i, sending)
		if err == nil && facts != nil && facts.Active && (differs(signed.ID, facts.ID) || differs(signed.Subject, facts.Subject)) {
			return nil, &introspect.Unavailable{Issuer: l.issuer, Status: http.StatusOK, Err: errOtherToken}
		}
		return facts, err
	}
}

// errOtherToken is a server, or what stands between, that mixed up two answers.
var errOtherToken = errors.New("the answer is about another token: its jti or sub is not the one that was signed")

// differs compares what is said twice. A lightweight token leaves it to the answer.
func differs(signed, answered string) bool {
	return signed != "" && answered != "" && signed != answered
}

// introspect waits for a turn, and asks.
func (l *link) introspect(ctx context.Context, i *inquiry, sending func()) (*token.Facts, error) {
	release, err := l.spend(i.namespace, i.known)
	if err != nil {
		return nil, err
	}
	// A question is settled by its answer, whoever still waits: garbage whose sender hung
	// up was garbage all the same.
	bad := false
	defer func() { release(!bad) }()
	leave, err := l.turn(ctx, i)
	if err != nil {
		return nil, err
	}
	defer leave()
	facts, err := l.send(ctx, i, sending)
	bad = err == nil && facts != nil && !facts.Active || errors.Is(err, introspect.ErrUnsupportedToken)
	return facts, err
}

// send asks, and learns from the outcome how the server is.
func (l *link) send(ctx context.Context, i *inquiry, sending func()) (facts *token.Facts, err error) {
	if !l.breaker.TryAcquirePermit() {
		l.counters.open.Inc()
		return nil, errOpen
	}
	answered := false
	defer func() {
		switch {
		case !answered, outOfOrder(err):
			l.fail()
			l.breaker.RecordFailure()
		default:
			l.breaker.RecordSuccess()
		}
	}()
	ctx, end := l.span(ctx)
	defer func() { end(err) }()
	sending()
	sent := l.clock()
	facts, err = l.asker.Introspect(ctx, i.credential, i.token)
	answered = true
	l.counters.observe(l.clock().Sub(sent), facts, err)
	if _, ok := errors.AsType[*introspect.Unavailable](err); ok {
		l.fail()
	}
	if err == nil && facts != nil && i.opaque {
		return facts.AsOpaque(l.issuer)
	}
	return facts, err
}

// outOfOrder says that the server is down or overloaded. A 4xx says so of nothing: a
// stranger's token may have caused it.
func outOfOrder(err error) bool {
	u, ok := errors.AsType[*introspect.Unavailable](err)
	return ok && (u.Status < http.StatusBadRequest || u.Status >= http.StatusInternalServerError || u.Status == http.StatusTooManyRequests)
}

func (l *link) fail() {
	now := l.clock()
	l.failed.Store(&now)
}

// failedSince says whether the server failed after t.
func (l *link) failedSince(t time.Time) bool {
	last := l.failed.Load()
	return last != nil && last.After(t)
}

func (l *link) span(ctx context.Context) (context.Context, func(error)) {
	if l.tracer == nil {
		return ctx, func(error) {}
	}
	ctx, span := l.tracer.Start(ctx, "introspect", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("introspection.server", l.name)))
	return ctx, func(err error) {
		span.SetAttributes(attribute.String("introspection.outcome", outcomeOf(err)))
		span.End()
	}
}

func (l *link) close() {
	if c, ok := l.asker.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// retryable: what the server said about us or about this token it would say again.
func retryable(err error) bool {
	return !errors.Is(err, introspect.ErrCredentialsRefused) && !errors.Is(err, errOpen) && !errors.Is(err, errBudget) && !saysBad(err)
}

// saysBad says that an error is a word about the token.
func saysBad(err error) bool {
	_, refused := errors.AsType[*jwt.Refused](err)
	return refused || errors.Is(err, introspect.ErrUnsupportedToken)
}

// isOutage says that the server, or its keys, could not be asked.
func isOutage(err error) bool {
	_, server := errors.AsType[*introspect.Unavailable](err)
	_, keys := errors.AsType[*jwt.Unavailable](err)
	return server || keys || errors.Is(err, errOpen)
}
