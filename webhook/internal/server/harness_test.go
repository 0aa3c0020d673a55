// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const hostname = "webhook.test"

// surface is a protocol that says 200 and the policy, or what the test wants.
type surface struct {
	answer func(w http.ResponseWriter, r *http.Request, call server.Call)
}

func (s surface) Answer(w http.ResponseWriter, r *http.Request, call server.Call) {
	if s.answer != nil {
		s.answer(w, r, call)
		return
	}
	w.Header().Set("X-Policy", call.Policy.String())
	w.WriteHeader(http.StatusOK)
}

func (surface) Undecided(w http.ResponseWriter, _ *http.Request, u *token.Undecided) {
	http.Error(w, string(u.Reason), http.StatusServiceUnavailable)
}

// fixture is a Server that runs until the test ends, and what its clients need.
type fixture struct {
	ca       *authority
	options  server.Options
	server   *server.Server
	registry *prometheus.Registry
	log      *harness.Log
	stop     context.CancelFunc
	done     chan error
}

// serve runs a Server; change adapts its options, and may be nil.
func serve(t *testing.T, s surface, change func(*server.Options)) *fixture {
	t.Helper()
	f := &fixture{ca: newAuthority(t), registry: prometheus.NewRegistry(), log: &harness.Log{}, done: make(chan error, 1)}
	metrics, err := server.NewMetrics(f.registry)
	if err != nil {
		t.Fatal(err)
	}
	certificate := f.certificate(t)
	f.options = server.Options{
		Addr: "127.0.0.1:0", Surface: token.SurfaceForwardAuth, Route: server.Route{First: "authorize", Below: true}, Handler: s,
		Certificates: func() (*tls.Certificate, error) { return certificate, nil },
		Clock:        time.Now, Logger: slog.New(slog.NewJSONHandler(f.log, nil)), Metrics: metrics,
		DrainTimeout: 8 * time.Second, Record: server.NewRecord(slog.New(slog.NewJSONHandler(f.log, nil)), metrics),
	}
	if change != nil {
		change(&f.options)
	}
	if f.server, err = server.New(f.options); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	go func() { f.done <- f.server.Run(ctx) }()
	t.Cleanup(func() {
		f.stop()
		select {
		case err := <-f.done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	return f
}

// certificate is the server's: each call makes another.
func (f *fixture) certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	cert := f.ca.issue(t, hostname, serverAuth)
	return &cert
}

// clientTLS trusts the server, and shows certificates if there are any.
func (f *fixture) clientTLS(show ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: f.ca.pool(), ServerName: hostname, Certificates: show, MinVersion: tls.VersionTLS12}
}

// client has connections of its own, over HTTP/1.1 or HTTP/2.
func (f *fixture) client(t *testing.T, http2 bool, show ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: f.clientTLS(show...), ForceAttemptHTTP2: http2}
	if !http2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (f *fixture) url(path string) string { return "https://" + f.server.Address() + path }

// answer is a response that was read to its end.
type answer struct {
	StatusCode int
	ProtoMajor int
	Header     http.Header
	// Serial is that of the server's certificate.
	Serial string
}

// get is the answer to a GET, and its body.
func get(t *testing.T, c *http.Client, url string, header http.Header) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{
		StatusCode: resp.StatusCode, ProtoMajor: resp.ProtoMajor, Header: resp.Header,
		Serial: resp.TLS.PeerCertificates[0].SerialNumber.String(),
	}, body.String()
}

// answers are those that were counted, by status.
func (f *fixture) answers(t *testing.T) map[string]float64 {
	t.Helper()
	return harness.Counted(t, f.registry, "introspection_webhook_answers_total", "code")
}

// refusals are those that were counted, by reason.
func (f *fixture) refusals(t *testing.T) map[string]float64 {
	t.Helper()
	return harness.Counted(t, f.registry, "introspection_webhook_refusals_total", "reason")
}
