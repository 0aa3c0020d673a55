// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// TestOverload: what is beyond the limit is answered at once by "could not tell", counted,
// and the next is served once there is room again.
func TestOverload(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	f := serve(t, surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
		if r.Header.Get("X-Wait") != "" {
			running <- struct{}{}
			<-release
		}
		w.WriteHeader(http.StatusOK)
	}}, func(o *server.Options) { o.MaxConcurrent = 2 })
	codes := make(chan int, 2)
	for range 2 {
		client := f.client(t, false)
		go func() {
			resp, _ := get(t, client, f.url("/authorize/shop/orders"), http.Header{"X-Wait": {"1"}})
			codes <- resp.StatusCode
		}()
		<-running
	}
	client := f.client(t, false)
	for range 3 {
		resp, body := get(t, client, f.url("/authorize/shop/orders"), nil)
		if resp.StatusCode != http.StatusServiceUnavailable || strings.TrimSpace(body) != "overloaded" || resp.Header.Get(server.HeaderDecision) == "" {
			t.Errorf("beyond the limit: answered %d %q, %v", resp.StatusCode, body, resp.Header)
		}
	}
	close(release)
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("within the limit: answered %d", code)
		}
	}
	if resp, _ := get(t, client, f.url("/authorize/shop/orders"), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: answered %d", resp.StatusCode)
	}
	if diff := cmp.Diff(map[string]float64{"200": 3, "503": 3}, f.answers(t)); diff != "" {
		t.Errorf("introspection_webhook_answers_total by code (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{"overloaded": 3}, f.refusals(t)); diff != "" {
		t.Errorf("introspection_webhook_refusals_total by reason (-want +got):\n%s", diff)
	}
}

// TestPanicGivesItsPlaceBack: else the limit would be used up.
func TestPanicGivesItsPlaceBack(t *testing.T) {
	f := serve(t, surface{answer: func(http.ResponseWriter, *http.Request, server.Call) { panic("x") }}, func(o *server.Options) { o.MaxConcurrent = 1 })
	client := f.client(t, false)
	for range 3 {
		if _, body := get(t, client, f.url("/authorize/shop/orders"), nil); strings.TrimSpace(body) != "internal" {
			t.Errorf("answered %q", body)
		}
	}
}

// TestSilenceIsNoAllow: net/http would answer 200.
func TestSilenceIsNoAllow(t *testing.T) {
	f := serve(t, surface{answer: func(w http.ResponseWriter, _ *http.Request, _ server.Call) {
		w.Header().Set("X-Auth-Subject", "root")
	}}, nil)
	resp, body := get(t, f.client(t, false), f.url("/authorize/shop/orders"), nil)
	if resp.StatusCode != http.StatusServiceUnavailable || strings.TrimSpace(body) != "internal" || resp.Header.Get("X-Auth-Subject") != "" {
		t.Errorf("answered %d %q, %v", resp.StatusCode, body, resp.Header)
	}
	if !strings.Contains(f.log.String(), `"msg":"no answer"`) {
		t.Errorf("the log is %s", f.log.String())
	}
}

// TestNotFoundIsRecorded: the id in the answer leads to a line, until there are too many.
func TestNotFoundIsRecorded(t *testing.T) {
	f := serve(t, surface{}, func(o *server.Options) { o.Clock = func() time.Time { return time.Unix(1, 0) } })
	client := f.client(t, false)
	var first string
	for i := range 50 {
		resp, _ := get(t, client, f.url("/authorize/shop"), nil)
		if i == 0 {
			first = resp.Header.Get(server.HeaderDecision)
		}
	}
	log := f.log.String()
	if !strings.Contains(log, `"id":"`+first+`"`) || !strings.Contains(log, `"reason":"invalid_request"`) || !strings.Contains(log, `"remote":"127.0.0.1"`) {
		t.Errorf("the log lacks %s: %s", first, log)
	}
	if lines := strings.Count(log, "\n"); lines != 20 {
		t.Errorf("50 requests wrote %d lines", lines)
	}
	if diff := cmp.Diff(map[string]float64{"invalid_request": 50}, f.refusals(t)); diff != "" {
		t.Errorf("introspection_webhook_refusals_total by reason (-want +got):\n%s", diff)
	}
}

// TestSpans: one a request, under the caller's, that tells nothing of the token.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	f := serve(t, surface{answer: func(w http.ResponseWriter, r *http.Request, call server.Call) {
		switch {
		case !trace.SpanContextFromContext(r.Context()).IsValid():
			w.WriteHeader(http.StatusTeapot)
		case call.Policy.Name == "panics":
			panic("canary-secret")
		default:
			w.WriteHeader(http.StatusOK)
		}
	}}, func(o *server.Options) { o.Tracer = provider.Tracer("test") })
	header := http.Header{
		"Traceparent":   {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"Authorization": {"Bearer canary-token"},
	}
	client := f.client(t, false)
	first, _ := get(t, client, f.url("/authorize/shop/orders?canary-query"), header)
	second, _ := get(t, client, f.url("/authorize/shop/panics"), nil)
	get(t, client, f.url("/authorize/shop"), header) // about no policy
	await(t, "the spans", func() bool { return len(recorder.Ended()) == 2 })
	type span struct {
		Name, Kind, Parent, Trace string
		Attributes                map[string]string
	}
	var got []span
	for _, s := range recorder.Ended() {
		attributes := map[string]string{}
		for _, a := range s.Attributes() {
			attributes[string(a.Key)] = a.Value.String()
		}
		one := span{Name: s.Name(), Kind: s.SpanKind().String(), Attributes: attributes}
		if s.Parent().IsValid() {
			one.Parent, one.Trace = s.Parent().SpanID().String(), s.SpanContext().TraceID().String()
		}
		got = append(got, one)
	}
	attributes := func(policy, id, code string) map[string]string {
		return map[string]string{
			"introspection.surface": "forward-auth", "introspection.policy": policy, "introspection.decision": id, "http.response.status_code": code,
		}
	}
	want := []span{
		{"forward-auth", "server", "b7ad6b7169203331", "0af7651916cd43dd8448eb211c80319c", attributes("shop/orders", first.Header.Get(server.HeaderDecision), "200")},
		{"forward-auth", "server", "", "", attributes("shop/panics", second.Header.Get(server.HeaderDecision), "503")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// TestDeadlineReachesWhatIsBelow: contexts that are derived from a request's end with it.
func TestDeadlineReachesWhatIsBelow(t *testing.T) {
	waits := map[string]func(ctx context.Context) error{
		"Done": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"derived": func(ctx context.Context) error {
			c, cancel := context.WithCancel(ctx)
			defer cancel()
			<-c.Done()
			return c.Err()
		},
		"timeout": func(ctx context.Context) error {
			c, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-c.Done()
			return c.Err()
		},
		"after": func(ctx context.Context) error {
			ended := make(chan struct{})
			context.AfterFunc(ctx, func() { close(ended) })
			<-ended
			return ctx.Err()
		},
		"asked": func(ctx context.Context) error { // by one that never waits
			for ctx.Err() == nil {
				runtime.Gosched()
			}
			return ctx.Err()
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			f := serve(t, surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
				if end, ok := r.Context().Deadline(); !ok || time.Until(end) > time.Second {
					t.Errorf("the deadline is %v", end)
				}
				ended <- wait(r.Context())
				w.WriteHeader(http.StatusOK)
			}}, func(o *server.Options) { o.RequestTimeout = 5 * time.Millisecond })
			get(t, f.client(t, false), f.url("/authorize/shop/orders"), nil)
			if err := <-ended; err != context.DeadlineExceeded { //nolint:errorlint // exactly this
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestContextEndsWithTheRequest: what a request left behind does not run on.
func TestContextEndsWithTheRequest(t *testing.T) {
	left := make(chan context.Context, 1)
	f := serve(t, surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
		ctx, cancel := context.WithCancel(r.Context()) // it is left on purpose
		_ = cancel
		left <- ctx
		w.WriteHeader(http.StatusOK)
	}}, nil)
	get(t, f.client(t, false), f.url("/authorize/shop/orders"), nil)
	select {
	case <-(<-left).Done():
	case <-time.After(5 * time.Second):
		t.Error("it runs on")
	}
}
