// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	issuer      = "https://sso.example.com/realms/acme"
	connections = 16
	burst       = 4000 // requests of a pair's half
	pairs       = 9
)

// BenchmarkForwardAuth compares forward-auth on a warm cache with a bare net/http
// handler that sets the same headers for the same request, over TLS, in
// interleaved pairs. ratio is of their rates; cpu-us/op is what a request costs more.
func BenchmarkForwardAuth(b *testing.B) {
	certificate := serving(b)
	ours, bare := startWebhook(b, certificate), startBare(b, certificate)
	request := original()
	warm := newLoad(b, ours, request)
	plain := newLoad(b, bare, request)
	for range 2 { // connections, cache, compiler
		warm.run(b)
		plain.run(b)
	}
	for b.Loop() {
		var ratios, more, rates []float64
		for range pairs {
			p, o := plain.run(b), warm.run(b)
			ratios = append(ratios, p.wall.Seconds()/o.wall.Seconds())
			more = append(more, float64((o.cpu-p.cpu).Microseconds())/burst)
			rates = append(rates, burst/o.wall.Seconds())
		}
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(median(more), "cpu-us/op-more")
		b.ReportMetric(median(rates), "req/s")
	}
}

// original is what nginx sends, with a token of a usual size.
func original() []byte {
	var b bytes.Buffer
	b.WriteString("GET /authorize/shop/orders HTTP/1.1\r\nHost: webhook.introspection.svc\r\n")
	b.WriteString("X-Original-URL: https://orders.example.com/v1/orders?page=2\r\nX-Original-Method: GET\r\n")
	b.WriteString("User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: application/json\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n")
	fmt.Fprintf(&b, "Authorization: Bearer %s\r\n\r\n", accessToken())
	return b.Bytes()
}

func accessToken() string {
	part := func(v any) string {
		encoded, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings
		}
		return base64.RawURLEncoding.EncodeToString(encoded)
	}
	return part(map[string]any{"alg": "RS256", "kid": "k"}) + "." +
		part(map[string]any{"iss": issuer, "aud": "shop.orders", "pad": strings.Repeat("x", 400)}) + "." +
		base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("s"), 256))
}

// startWebhook is the whole data plane, with an authorization server that answers at once.
func startWebhook(b *testing.B, certificate *tls.Certificate) string {
	b.Helper()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	registry := prometheus.NewRegistry()
	e, err := engine.New(engine.Options{
		Clock: time.Now, Registerer: registry, Logger: log,
		Dial: func(engine.ServerState) (engine.Asker, error) { return answering{}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	e.Load(state(b))
	config, err := webhook.ParseConfig([]byte("gateways: [{name: edge, kind: Nginx, authenticate: {network: Trusted}}]"))
	if err != nil {
		b.Fatal(err)
	}
	w, err := webhook.New(webhook.Options{
		Engine: e, Config: config, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: "127.0.0.1:0",
		Certificates: func() (*tls.Certificate, error) { return certificate, nil }, Registerer: registry, Logger: log,
		DrainTimeout: time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	return w.Addresses().ForwardAuth
}

type answering struct{}

func (answering) Introspect(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
	claims := map[string]json.RawMessage{"sub": json.RawMessage(`"alice"`), "scope": json.RawMessage(`"orders.read profile"`), "client_id": json.RawMessage(`"web"`)}
	return &token.Facts{
		Active: true, Issuer: issuer, Subject: "alice", ClientID: "web", TokenType: "Bearer", Type: "Bearer",
		Audience: []string{"shop.orders"}, Scope: []string{"orders.read", "profile"},
		ExpiresAt: time.Now().Add(time.Hour), IssuedAt: time.Now(), Claims: claims, Size: 1024,
	}, nil
}

func state(b *testing.B) engine.State {
	b.Helper()
	hour := metav1.Duration{Duration: time.Hour}
	compiled, err := policy.Compile(&v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"},
		Spec: v1alpha1.TokenPolicySpec{
			Accept:    []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}},
			Require:   v1alpha1.TokenRequirements{Scopes: &v1alpha1.ScopeRequirement{AllOf: []string{"orders.read"}}},
			Freshness: v1alpha1.Freshness{MaxAge: &hour},
			Respond: v1alpha1.Response{Headers: []v1alpha1.ResponseHeader{
				{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Scope", Claim: "scope"}, {Name: "X-Auth-Client", Claim: "client_id"},
			}},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ref := token.Ref{Namespace: "shop", Name: "orders"}
	return engine.State{
		TakenAt:  time.Now(),
		Policies: []engine.PolicyState{{Ref: ref, UID: "p", Generation: 1, Compiled: compiled}},
		Clients: []engine.ClientState{{
			Ref: ref, UID: "c", Server: "s", ClientID: "shop.orders", Verified: true,
			Credentials: []introspect.Credential{{ClientID: "shop.orders", Secret: "s"}},
		}},
		Servers: []engine.ServerState{{
			UID: "s", Name: "corporate", Issuer: issuer, IntrospectionEndpoint: issuer + "/introspect", Namespaces: map[string]struct{}{"shop": {}},
		}},
	}
}

// startBare is net/http with the same headers, and nothing else.
func startBare(b *testing.B, certificate *tls.Certificate) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["X-Auth-Subject"], h["X-Auth-Scope"], h["X-Auth-Client"] = []string{"alice"}, []string{"orders.read profile"}, []string{"web"}
		h["Introspection-Decision"], h["Cache-Control"] = []string{"0123456789abcdef"}, []string{"no-store"}
		w.WriteHeader(http.StatusOK)
	})}
	go func() {
		_ = s.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS13}))
	}()
	b.Cleanup(func() { _ = s.Close() })
	return listener.Addr().String()
}

func serving(b *testing.B) *tls.Certificate {
	b.Helper()
	ca, err := env.NewCA()
	if err != nil {
		b.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(env.Names{DNS: []string{"localhost"}})
	if err != nil {
		b.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		b.Fatal(err)
	}
	return &pair
}

// load writes the same request over kept connections and reads the answers: as
// little of a client as can be, since it runs on the same cores.
type load struct {
	request []byte
	conns   []*tls.Conn
	readers []*bufio.Reader
}

type measured struct{ wall, cpu time.Duration }

func newLoad(b *testing.B, address string, request []byte) *load {
	b.Helper()
	l := &load{request: request}
	for range connections {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		c, err := dialer.DialContext(context.Background(), "tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		l.conns = append(l.conns, c.(*tls.Conn))
		l.readers = append(l.readers, bufio.NewReader(c))
	}
	return l
}

func (l *load) run(b *testing.B) measured {
	b.Helper()
	start, cpu := time.Now(), cpuTime(b)
	var group sync.WaitGroup
	for i := range l.conns {
		group.Go(func() {
			for range burst / len(l.conns) {
				if err := l.ask(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return measured{wall: time.Since(start), cpu: cpuTime(b) - cpu}
}

func (l *load) ask(i int) error {
	if _, err := l.conns[i].Write(l.request); err != nil {
		return err
	}
	status, err := l.readers[i].ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %s", status)
	}
	for {
		line, err := l.readers[i].ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			return nil
		}
	}
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
