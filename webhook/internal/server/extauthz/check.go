// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Strangers get so many lines in the log; they are counted all the same.
const (
	strangerRate  = 1 // a second
	strangerBurst = 20
)

// The names of context_extensions, which the gateway's configuration sets and no user can.
const (
	extensionNamespace = "namespace"
	extensionPolicy    = "policy"
)

// answerer is what the service is registered with.
type answerer interface {
	answer(ctx context.Context, read func(any) error) (*outgoing, error)
}

// service is envoy.service.auth.v3.Authorization with its one method. The generated one
// would leave messages that can't be read, panics and encoding to gRPC.
func service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "envoy.service.auth.v3.Authorization",
		HandlerType: (*answerer)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Check",
			Handler: func(srv any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				a, ok := srv.(answerer)
				if !ok {
					return nil, fmt.Errorf("answering by %T", srv)
				}
				return a.answer(ctx, read)
			},
		}},
	}
}

// checker answers questions.
type checker struct {
	decide        DecideFunc
	caller        CallerFunc
	record        server.RecordFunc
	timeout       time.Duration
	errorResponse bool
	clock         func() time.Time
	log           *slog.Logger
	tracer        trace.Tracer
	metrics       *server.SurfaceMetrics
	ids           *server.IDs
	turns         chan struct{}
	strangers     *rate.Limiter
}

// question is what is known of a request so far.
type question struct {
	call    server.Call
	policy  string
	gateway *server.Gateway
	remote  string
}

// answer reads a question and answers it. An error is gRPC's own: there was no message.
func (c *checker) answer(ctx context.Context, read func(any) error) (out *outgoing, err error) {
	start := c.clock()
	q := &question{call: server.Call{ID: c.ids.Next()}}
	defer func() {
		if v := recover(); v != nil {
			out, err = c.panicked(ctx, q, v), nil
		}
		if out != nil {
			c.metrics.Count(out.code)
		}
		c.metrics.Observe(c.clock().Sub(start))
	}()
	in := &incoming{}
	if err := read(in); err != nil {
		return nil, err
	}
	return c.respond(ctx, in, q), nil
}

// respond is the answer to a question.
func (c *checker) respond(ctx context.Context, in *incoming, q *question) (out *outgoing) {
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	default:
		return c.refused(ctx, q, server.Overloaded())
	}
	var ok bool
	if q.gateway, q.remote, ok = c.gatewayOf(ctx); !ok { // the user's token is not at fault: no 401
		return c.refused(ctx, q, &token.Undecided{
			Reason: token.ReasonCallerUnknown,
			Message: "This gateway is not one that the platform declared with kind EnvoyGRPC: " +
				"what it proves itself by and the webhook's gateways do not match.",
		})
	}
	if in.unreadable != nil { // only the user's bytes can have made it so
		return c.deny(ctx, q, "The request has bytes that no header may have.")
	}
	attributes := in.GetAttributes()
	if q.call.Policy, ok = policyOf(attributes.GetContextExtensions()); !ok {
		return c.refused(ctx, q, &token.Undecided{
			Reason: token.ReasonNoPolicy,
			Message: "The gateway names no policy: " +
				"set namespace and policy in context_extensions of the route's ext_authz configuration.",
		})
	}
	q.policy = q.call.Policy.String()
	if c.tracer != nil {
		var span trace.Span
		ctx, span = server.StartSpan(ctx, c.tracer, carrierOf(ctx), token.SurfaceExtAuthz, &q.call)
		defer func() { endSpan(span, out) }()
	}
	return c.about(ctx, q, attributes)
}

// about answers a question of a gateway about a policy.
func (c *checker) about(ctx context.Context, q *question, attributes *authv3.AttributeContext) *outgoing {
	if attributes.GetRequest().GetHttp() == nil {
		return c.refused(ctx, q, &token.Undecided{
			Reason:  token.ReasonSurfaceNotConfigured,
			Message: "The gateway asks about no HTTP request: use the HTTP filter ext_authz, not the network filter.",
		})
	}
	original := originalOf(attributes, q.gateway)
	bearer, scheme, problem := server.Presented(original.Headers.Values("authorization"))
	if problem == "" && server.TokenInQuery(original.Target) {
		problem = "The URL has an access_token, where logs keep it. Send tokens in the Authorization header alone."
	}
	if problem != "" {
		return c.deny(ctx, q, problem)
	}
	return c.ask(ctx, q, &token.Request{
		ID: q.call.ID, Surface: token.SurfaceExtAuthz, Policy: q.call.Policy, Token: bearer, Scheme: scheme,
		Gateway: q.gateway.Name, HTTP: original,
	})
}

// ask asks the engine.
func (c *checker) ask(ctx context.Context, q *question, req *token.Request) *outgoing {
	if _, ok := ctx.Deadline(); !ok { // Envoy sets one
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	d, err := c.decide(ctx, *req)
	switch {
	case err != nil:
		return c.undecided(q, server.AsUndecided(err))
	case d.Verdict != token.Allow:
		return denied(q, &d)
	}
	u := sendable(d.Headers)
	if err := ctx.Err(); err != nil {
		u = server.OutOfTime(err)
	}
	if u != nil {
		return c.refused(ctx, q, u)
	}
	return allowed(q, d.Headers)
}

// policyOf is the policy that the gateway's configuration names. A name has no character
// that could make it another one.
func policyOf(extensions map[string]string) (token.Ref, bool) {
	policy := token.Ref{Namespace: extensions[extensionNamespace], Name: extensions[extensionPolicy]}
	if !server.IsName(policy.Namespace) || !server.IsName(policy.Name) {
		return token.Ref{}, false
	}
	return policy, true
}

// originalOf is the request that the user sent.
func originalOf(attributes *authv3.AttributeContext, gateway *server.Gateway) *token.HTTPRequest {
	asked := attributes.GetRequest().GetHttp()
	original := &token.HTTPRequest{
		Method: asked.GetMethod(), Host: server.Authority(asked.GetHost()), Target: asked.GetPath(), Headers: headersOf(asked),
	}
	original.Proofs = original.Headers.Values("dpop")
	declared := gateway.ClientCertificate
	if !declared.Declared() {
		return original
	}
	shown := attributes.GetSource().GetCertificate()
	if declared.Header != "" {
		shown = ""
		if values := original.Headers.Values(declared.Header); len(values) == 1 {
			shown = values[0]
		}
	}
	// One that can't be read is none: a token that is bound to it is refused then.
	original.Certificate, _ = gateway.Certificate(shown)
	return original
}

// refused answers what nobody could tell, and writes it down: the engine did not.
func (c *checker) refused(ctx context.Context, q *question, u *token.Undecided) *outgoing {
	c.write(ctx, q, u.Reason, u.Message)
	return c.undecided(q, u)
}

// deny refuses a request for its form.
func (c *checker) deny(ctx context.Context, q *question, message string) *outgoing {
	c.write(ctx, q, token.ReasonInvalidRequest, message)
	return denied(q, &token.Decision{Reason: token.ReasonInvalidRequest, Message: message})
}

func (c *checker) write(ctx context.Context, q *question, reason token.Reason, message string) {
	r := server.Refusal{Surface: token.SurfaceExtAuthz, Call: q.call, Reason: reason, Message: message, Remote: q.remote}
	if q.gateway != nil {
		r.Gateway = q.gateway.Name
	} else {
		r.Quiet = !c.strangers.AllowN(c.clock(), 1)
	}
	c.record(ctx, r)
}

// panicked turns a panic into "could not tell".
func (c *checker) panicked(ctx context.Context, q *question, v any) *outgoing {
	server.LogPanic(ctx, c.log, &q.call, v)
	return c.undecided(q, server.Internal(nil))
}

// endSpan ends a span with the status of an answer; there is none after a panic.
func endSpan(span trace.Span, out *outgoing) {
	code := 0
	if out != nil {
		code = out.code
	}
	server.EndSpan(span, code)
}
