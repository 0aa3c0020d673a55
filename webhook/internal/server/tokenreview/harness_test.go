// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/tokenreview"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	hostname  = "webhook.test"
	apiServer = "kube-apiserver"
	reviews   = "/tokenreview/shop/cluster"
)

// engine decides as scripted, and remembers what it was asked.
type engine struct {
	decide func(ctx context.Context, req token.Request) (token.Decision, error)

	mu    sync.Mutex
	asked []token.Request
}

func (e *engine) Decide(ctx context.Context, req token.Request) (token.Decision, error) {
	e.mu.Lock()
	e.asked = append(e.asked, req)
	e.mu.Unlock()
	return e.decide(ctx, req)
}

func (e *engine) requests() []token.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]token.Request(nil), e.asked...)
}

func always(d token.Decision, err error) *engine {
	return &engine{decide: func(context.Context, token.Request) (token.Decision, error) { return d, err }}
}

// allow is an allow of a user, for the audience "api" unless it has others.
func allow(u token.User) *engine {
	if u.Audiences == nil {
		u.Audiences = []string{"api"}
	}
	return always(token.Decision{Verdict: token.Allow, User: &u}, nil)
}

// fixture is a running surface.
type fixture struct {
	ca, clients *env.CA
	url         string
	log         *harness.Log
	stop        context.CancelFunc
}

// serve runs a surface until the test ends; change adapts its options, and may be nil.
func serve(tb testing.TB, e *engine, change func(*server.Options)) *fixture {
	tb.Helper()
	f := &fixture{ca: env.CAForTest(tb), clients: env.CAForTest(tb), log: &harness.Log{}}
	config, err := server.ParseConfig([]byte("tokenReview:\n  usernamePrefix: 'oidc:'\n  groupsPrefix: 'oidc-group:'\n" +
		"  policies: [shop/cluster]\n  extraKeys: [example.com/tenant]\n  certificateSAN: " + apiServer + "\n  clientCA: |\n    " +
		strings.ReplaceAll(string(f.clients.PEM()), "\n", "\n    ")))
	if err != nil {
		tb.Fatal(err)
	}
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	certificate := f.ca.CertificateForTest(tb, env.Names{DNS: []string{hostname}})
	log := slog.New(slog.NewJSONHandler(f.log, nil))
	record := server.NewRecord(log, metrics)
	options := server.Options{
		Addr: "127.0.0.1:0", Surface: token.SurfaceTokenReview, Route: server.Route{First: tokenreview.Path}, ClientCertificates: true,
		Handler: tokenreview.New(tokenreview.Options{
			Decide: e.Decide, Config: config.TokenReview, Record: record, Clock: time.Now, Logger: log,
		}),
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Clock:        time.Now, Logger: log, Metrics: metrics, Record: record, DrainTimeout: 8 * time.Second,
	}
	if change != nil {
		change(&options)
	}
	s, err := server.New(options)
	if err != nil {
		tb.Fatal(err)
	}
	f.url = "https://" + s.Address()
	f.stop = harness.Run(tb, s.Run)
	return f
}

// client shows a certificate of that name, if there is one.
func (f *fixture) client(tb testing.TB, name string) *http.Client {
	tb.Helper()
	config := &tls.Config{RootCAs: f.ca.Pool(), ServerName: hostname, MinVersion: tls.VersionTLS13}
	if name != "" {
		config.Certificates = []tls.Certificate{f.clients.CertificateForTest(tb, env.Names{DNS: []string{name}})}
	}
	transport := &http.Transport{TLSClientConfig: config}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// answer is a response that was read to its end.
type answer struct {
	StatusCode int
	Header     http.Header
	Body       string
}

// post is the answer to a body.
func (f *fixture) post(tb testing.TB, client *http.Client, path, contentType, body string) answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, f.url+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		tb.Fatal(err)
	}
	if resp.Header.Get("Retry-After") != "" || resp.StatusCode >= http.StatusInternalServerError {
		tb.Errorf("the API server would ask again: %d %v", resp.StatusCode, resp.Header)
	}
	return answer{StatusCode: resp.StatusCode, Header: resp.Header, Body: b.String()}
}

// review asks as the API server about a token, for the audience "api".
func (f *fixture) review(tb testing.TB, version, raw string) authenticationv1.TokenReview {
	tb.Helper()
	return f.asked(tb, f.post(tb, f.client(tb, apiServer), reviews, "application/json", body(tb, version, raw, "api")), version)
}

// asked is the TokenReview of an answer.
func (f *fixture) asked(tb testing.TB, got answer, version string) authenticationv1.TokenReview {
	tb.Helper()
	var review authenticationv1.TokenReview
	if err := json.Unmarshal([]byte(got.Body), &review); err != nil || got.StatusCode != http.StatusOK {
		tb.Fatalf("answered %d %q: %v", got.StatusCode, got.Body, err)
	}
	if review.Kind != "TokenReview" || review.APIVersion != version || got.Header.Get("Content-Type") != "application/json" ||
		len(got.Header.Get("Introspection-Decision")) != 16 {
		tb.Errorf("answered %v %q", got.Header, got.Body)
	}
	if review.Spec.Token != "" || strings.Contains(f.log.String(), "s3cret") {
		tb.Errorf("the token went somewhere: %q\n%s", got.Body, f.log)
	}
	if id := got.Header.Get("Introspection-Decision"); review.Status.Error != "" && !strings.Contains(review.Status.Error, id) {
		tb.Errorf("the error does not name decision %s: %q", id, review.Status.Error)
	}
	return review
}

// body is a TokenReview.
func body(tb testing.TB, version, raw string, audiences ...string) string {
	tb.Helper()
	encoded, err := json.Marshal(map[string]any{
		"apiVersion": version, "kind": "TokenReview", "metadata": map[string]any{"creationTimestamp": nil},
		"spec": map[string]any{"token": raw, "audiences": audiences},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return string(encoded)
}
