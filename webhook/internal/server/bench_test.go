// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/forwardauth"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// BenchmarkHandler is a forward-auth allow without network, HTTP and decision.
func BenchmarkHandler(b *testing.B) {
	ask := forwardAuth(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// TestHandlerAllocations: what a request costs beside net/http and the decision. Most of
// what memory costs is paid later, by the collector.
func TestHandlerAllocations(t *testing.T) {
	const most = 5
	if got := testing.AllocsPerRun(100, forwardAuth(t)); got > most {
		t.Errorf("a request makes %v allocations, want at most %d", got, most)
	}
}

// forwardAuth answers a request.
func forwardAuth(tb testing.TB) func() {
	tb.Helper()
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	gateways, err := server.ParseConfig([]byte("gateways: [{name: edge, kind: Nginx, authenticate: {network: Trusted}}]"))
	if err != nil {
		tb.Fatal(err)
	}
	decision := token.Decision{Verdict: token.Allow, Headers: []token.Header{
		{Name: "X-Auth-Subject", Value: "alice"}, {Name: "X-Auth-Scope", Value: "orders.read profile"}, {Name: "X-Auth-Client", Value: "web"},
	}}
	record := server.NewRecord(slog.New(slog.DiscardHandler), metrics)
	s, err := server.New(server.Options{
		Addr: "127.0.0.1:0", Surface: token.SurfaceForwardAuth, Route: server.Route{First: forwardauth.Path, Below: true},
		Handler: forwardauth.New(forwardauth.Options{
			Decide: func(context.Context, token.Request) (token.Decision, error) { return decision, nil },
			Caller: server.NewCallers(server.CallersOptions{Gateways: gateways.Gateways, Clock: time.Now}).Identify,
			Record: record, Clock: time.Now,
		}),
		Certificates: func() (*tls.Certificate, error) { return &tls.Certificate{}, nil },
		Clock:        time.Now, Logger: slog.New(slog.DiscardHandler), Metrics: metrics, Record: record,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	r := (&http.Request{
		Method: http.MethodGet, RequestURI: "/authorize/shop/orders", TLS: &tls.ConnectionState{}, Header: http.Header{
			"Authorization": {"Bearer " + strings.Repeat("abcdefgh.ABCDEFGH", 55)}, "X-Original-Url": {"https://orders.example.com/v1/orders?page=2"},
			"X-Original-Method": {http.MethodGet}, "User-Agent": {"Mozilla/5.0"}, "Accept": {"application/json"}, "Cookie": {"session=0123456789abcdef"},
		},
	}).WithContext(ctx)
	w := &kept{header: http.Header{}}
	handler := s.Handler()
	return func() { handler.ServeHTTP(w, r) }
}

// kept is an answer that is thrown away.
type kept struct{ header http.Header }

func (k *kept) Header() http.Header       { return k.header }
func (*kept) Write(b []byte) (int, error) { return len(b), nil }
func (*kept) WriteHeader(int)             {}
