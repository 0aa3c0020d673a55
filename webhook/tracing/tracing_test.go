// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/introspection-dev/introspection-operator/webhook/tracing"
)

// collector is one of OTLP over HTTP that keeps what it is sent.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]byte
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{bodies: map[string][]byte{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies[r.URL.Path] = append(c.bodies[r.URL.Path], body...)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) has(path, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.bodies[path], []byte(text))
}

func TestTraces(t *testing.T) {
	parent := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, Remote: true})
	}
	none := trace.SpanContext{}
	for name, tc := range map[string]struct {
		reason string
		ratio  float64
		parent trace.SpanContext
		path   string
		want   bool
	}{
		"all":               {"each trace that begins here", 1, none, "", true},
		"none":              {"no trace that begins here", 0, none, "", false},
		"a sampled parent":  {"a trace is whole, or there is none", 0, parent(trace.FlagsSampled), "", true},
		"an unsampled one":  {"the same", 1, parent(0), "", false},
		"a path of its own": {"collectors behind a proxy have one", 1, none, "/otlp/v1/traces", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t)
			provider, shutdown, err := tracing.New(t.Context(), tracing.Options{Endpoint: c.URL + tc.path, SampleRatio: tc.ratio, Instance: "webhook-1"})
			if err != nil {
				t.Fatal(err)
			}
			_, span := provider.Tracer("test").Start(trace.ContextWithRemoteSpanContext(t.Context(), tc.parent), "forward-auth")
			span.End()
			if err := shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			path := tc.path
			if path == "" {
				path = "/v1/traces"
			}
			for _, text := range []string{"forward-auth", "introspection-webhook", "webhook-1"} {
				if got := c.has(path, text); got != tc.want {
					t.Errorf("%s: the collector was sent %q: %t, want %t", tc.reason, text, got, tc.want)
				}
			}
		})
	}
}

func TestOptionsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		opts   tracing.Options
	}{
		"no address":      {"nobody would be sent anything", tracing.Options{}},
		"no URL":          {"host:port is what gRPC has", tracing.Options{Endpoint: "collector:4317"}},
		"another scheme":  {"gRPC is not spoken", tracing.Options{Endpoint: "grpc://collector:4317"}},
		"less than none":  {"a ratio", tracing.Options{Endpoint: "http://collector:4318", SampleRatio: -0.1}},
		"more than all":   {"percent, perhaps", tracing.Options{Endpoint: "http://collector:4318", SampleRatio: 10}},
		"not even number": {"0/0", tracing.Options{Endpoint: "http://collector:4318", SampleRatio: nan()}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := tracing.New(t.Context(), tc.opts); err == nil {
				t.Errorf("%s: accepted", tc.reason)
			}
		})
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}
