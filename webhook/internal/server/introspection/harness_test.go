// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// engine decides as scripted, and remembers what it was asked.
type engine struct {
	decision token.Decision
	err      error
	decide   func(context.Context)

	mu    sync.Mutex
	asked []token.Request
}

func (e *engine) Decide(ctx context.Context, req token.Request) (token.Decision, error) {
	e.mu.Lock()
	e.asked = append(e.asked, req)
	e.mu.Unlock()
	if e.decide != nil {
		e.decide(ctx)
	}
	return e.decision, e.err
}

func (e *engine) tokens() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, req := range e.asked {
		all = append(all, req.Token.Reveal())
	}
	return all
}

// Authenticate knows two clients; the second's secret has characters that encoding changes.
func (*engine) Authenticate(_ context.Context, _ token.Ref, id, secret string) (token.Ref, bool) {
	switch {
	case id == "shop.orders" && secret == "s3cret":
		return token.Ref{Namespace: "shop", Name: "orders"}, true
	case id == "shop odd" && secret == "a+b%:é":
		return token.Ref{Namespace: "shop", Name: "odd"}, true
	}
	return token.Ref{}, false
}

// fixture is a running surface.
type fixture struct {
	url    string
	client *http.Client
	log    *harness.Log
	engine *engine
}

// start runs a surface until the test ends.
func start(t *testing.T, f *fixture, route server.Route, handler func(server.RecordFunc) server.Surface) *fixture {
	t.Helper()
	// It has a certificate for tests, good for example.com.
	authority := httptest.NewTLSServer(nil)
	defer authority.Close()
	certificate := authority.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	f.log = &harness.Log{}
	log := slog.New(slog.NewJSONHandler(f.log, nil))
	s, err := server.New(server.Options{
		Addr: "127.0.0.1:0", Surface: "test", Route: route, Handler: handler(server.NewRecord(log, metrics)),
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Clock:        time.Now, Logger: log, Metrics: metrics, RequestTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS13}}
	f.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	f.url = "https://" + s.Address()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// answer is a response that was read to its end.
type answer struct {
	StatusCode int
	Header     http.Header
}

// do is the answer to a request, and its body.
func (f *fixture) do(t *testing.T, method, path, body string, header http.Header) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if len(resp.Header[server.HeaderDecision]) != 1 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s is answered with %v", method, path, resp.Header)
	}
	return answer{StatusCode: resp.StatusCode, Header: resp.Header}, b.String()
}
