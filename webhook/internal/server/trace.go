// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// StartSpan begins the span of a request about a policy, under the caller's if carrier
// holds a traceparent (W3C Trace Context). It holds which decision it was, and nothing of
// the token or of who called.
func StartSpan(ctx context.Context, tracer trace.Tracer, carrier propagation.TextMapCarrier, surface token.Surface, call *Call) (context.Context, trace.Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	return tracer.Start(ctx, string(surface), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("introspection.surface", string(surface)),
		attribute.String("introspection.policy", call.Policy.String()),
		attribute.String("introspection.decision", call.ID),
	))
}

func (h *handler) traced(r *http.Request, call *Call) (context.Context, trace.Span) {
	return StartSpan(r.Context(), h.tracer, propagation.HeaderCarrier(r.Header), h.name, call)
}

// EndSpan ends a span with the status of the answer; 0 is none yet: a panic.
func EndSpan(span trace.Span, status int) {
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
