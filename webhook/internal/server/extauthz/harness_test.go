// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/extauthz"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const hostname = "webhook.test"

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

// alice is an allow with a header whose claim is unknown.
func alice() token.Decision {
	return token.Decision{Verdict: token.Allow, Headers: []token.Header{
		{Name: "X-Auth-Subject", Value: "alice"}, {Name: "X-Auth-Tenant", Value: ""},
	}}
}

// fixture is a running server, and what its clients need.
type fixture struct {
	ca, clients *env.CA
	options     extauthz.Options
	server      *extauthz.Server
	registry    *prometheus.Registry
	log         *harness.Log
	stop        context.CancelFunc
	done        chan error
}

// accounts are the ServiceAccounts whose tokens the tests know: the token is the name.
func accounts(_ context.Context, t token.Token, audience string) (token.Ref, error) {
	namespace, name, _ := strings.Cut(t.Reveal(), ".")
	if audience != "https://webhook.test:9444" {
		return token.Ref{}, context.Canceled
	}
	return token.Ref{Namespace: namespace, Name: name}, nil
}

// with runs another server of the same authorities.
func (f *fixture) with(tb testing.TB, e *engine) *fixture {
	tb.Helper()
	other := &fixture{ca: f.ca, clients: f.clients}
	other.run(tb, e, nil)
	return other
}

// serve runs a server with the gateways edge (by certificate), mesh (by ServiceAccount),
// and web, which asks by HTTP; change adapts its options, and may be nil.
func serve(tb testing.TB, e *engine, change func(*extauthz.Options)) *fixture {
	tb.Helper()
	f := &fixture{ca: env.CAForTest(tb), clients: env.CAForTest(tb)}
	f.run(tb, e, change)
	return f
}

func (f *fixture) run(tb testing.TB, e *engine, change func(*extauthz.Options)) {
	tb.Helper()
	f.registry, f.log, f.done = prometheus.NewRegistry(), &harness.Log{}, make(chan error, 1)
	metrics, err := server.NewMetrics(f.registry)
	if err != nil {
		tb.Fatal(err)
	}
	config := f.config(tb)
	callers := server.NewCallers(server.CallersOptions{
		Gateways: config.Gateways, Kinds: server.Kind.OverGRPC, ServiceAccount: accounts, Audience: "https://webhook.test:9444", Clock: time.Now,
	})
	certificate := f.ca.CertificateForTest(tb, env.Names{DNS: []string{hostname}})
	log := slog.New(slog.NewJSONHandler(f.log, nil))
	f.options = extauthz.Options{
		Addr: "127.0.0.1:0", Decide: e.Decide, Caller: callers.IdentifyPeer, Record: server.NewRecord(log, metrics),
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Clock:        time.Now, Logger: log, Metrics: metrics, DrainTimeout: 8 * time.Second,
	}
	if change != nil {
		change(&f.options)
	}
	if f.server, err = extauthz.New(f.options); err != nil {
		tb.Fatal(err)
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	go func() { f.done <- f.server.Run(ctx) }()
	tb.Cleanup(func() {
		f.stop()
		select {
		case err, ok := <-f.done:
			if ok && err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			tb.Error("Run does not end")
		}
	})
}

// config declares the gateways.
func (f *fixture) config(tb testing.TB) server.Config {
	tb.Helper()
	ca := "|\n        " + strings.ReplaceAll(string(f.clients.PEM()), "\n", "\n        ")
	config, err := server.ParseConfig([]byte("gateways:\n" +
		"- name: edge\n  kind: EnvoyGRPC\n  clientCertificate: {format: PEM}\n" +
		"  authenticate:\n    certificateSAN: envoy.edge.svc\n    clientCA: " + ca + "\n" +
		"- name: mesh\n  kind: EnvoyGRPC\n  clientCertificate: {header: X-Forwarded-Client-Cert, format: XFCC}\n" +
		"  authenticate: {serviceAccount: istio-system/ingress}\n" +
		"- name: plain\n  kind: EnvoyGRPC\n" +
		"  authenticate:\n    certificateSAN: plain.edge.svc\n    clientCA: " + ca + "\n" +
		"- name: web\n  kind: EnvoyHTTP\n" +
		"  authenticate:\n    certificateSAN: web.edge.svc\n    clientCA: " + ca + "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return config
}

// clientTLS trusts the server, and shows a certificate of that name, if there is one.
func (f *fixture) clientTLS(tb testing.TB, name string) *tls.Config {
	tb.Helper()
	config := &tls.Config{RootCAs: f.ca.Pool(), ServerName: hostname, MinVersion: tls.VersionTLS13}
	if name != "" {
		config.Certificates = []tls.Certificate{f.clients.CertificateForTest(tb, env.Names{DNS: []string{name}})}
	}
	return config
}

// dial has a connection of its own.
func (f *fixture) dial(tb testing.TB, name string) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient(f.server.Address(), grpc.WithTransportCredentials(credentials.NewTLS(f.clientTLS(tb, name))))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// check is the answer to a question of the gateway edge.
func (f *fixture) check(tb testing.TB, req *authv3.CheckRequest) *authv3.CheckResponse {
	tb.Helper()
	response, err := authv3.NewAuthorizationClient(f.dial(tb, "envoy.edge.svc")).Check(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	return response
}

// question is what Envoy asks about GET /orders?page=2 with headers, in pairs.
func question(headers ...string) *authv3.CheckRequest {
	all := map[string]string{":method": "GET", ":path": "/orders?page=2", ":authority": "orders.example.com", "user-agent": "curl/8"}
	for i := 0; i < len(headers); i += 2 {
		all[headers[i]] = headers[i+1]
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: "/orders?page=2", Host: "orders.example.com", Scheme: "https", Headers: all,
		}},
		ContextExtensions: map[string]string{"namespace": "shop", "policy": "orders"},
	}}
}

// headersOf are headers by name; what is set twice, or may be left to the client, fails.
func headersOf(tb testing.TB, options []*corev3.HeaderValueOption) map[string]string {
	tb.Helper()
	headers := map[string]string{}
	for _, option := range options {
		name := option.GetHeader().GetKey()
		if _, twice := headers[name]; twice {
			tb.Errorf("%s is set twice", name)
		}
		if option.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			tb.Errorf("%s is not overwritten: %s", name, option.GetAppendAction())
		}
		headers[name] = option.GetHeader().GetValue()
	}
	return headers
}

// answers are those that were counted, by status.
func (f *fixture) answers(tb testing.TB) map[string]float64 {
	tb.Helper()
	return harness.Counted(tb, f.registry, "introspection_webhook_answers_total", "code")
}
