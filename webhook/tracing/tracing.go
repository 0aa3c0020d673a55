// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing sends spans to an OpenTelemetry collector.
package tracing

import (
	"context"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// service is service.name of every span.
const service = "introspection-webhook"

// Options of New.
type Options struct {
	// Endpoint is the collector's URL, http or https: spans are sent to it by OTLP over HTTP, at
	// /v1/traces if it has no path.
	Endpoint string
	// SampleRatio is which part of the traces that begin here is sent, 0 to 1. One that began
	// elsewhere is sent if its beginning was.
	SampleRatio float64
	// Instance tells replicas apart.
	Instance string
}

// New starts sending. shutdown sends what is left and ends it; it gives up when its context
// ends. What can't be sent is dropped: nothing that is answered waits for a collector.
func New(ctx context.Context, opts Options) (provider trace.TracerProvider, shutdown func(context.Context) error, err error) {
	u, err := url.Parse(opts.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, nil, fmt.Errorf("the collector's address must be an http or https URL, not %q", opts.Endpoint)
	}
	if !(opts.SampleRatio >= 0 && opts.SampleRatio <= 1) {
		return nil, nil, fmt.Errorf("the part of the traces that is sent must be from 0 to 1, not %v", opts.SampleRatio)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, nil, fmt.Errorf("making an exporter of traces to %s: %w", u.Host, err)
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(opts.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service), attribute.String("service.instance.id", opts.Instance),
		)),
	)
	return p, p.Shutdown, nil
}
