// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
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
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
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
	issuer   = "https://sso.example.com/realms/acme"
	gateway  = "gateway.edge.svc"
	meshed   = "gateway.mesh.svc"
	facadeID = "shop.orders"
	// facadeSecret is the workload's.
	facadeSecret = "the-workloads-own-secret"
)

// setup is a data plane under test, with an authorization server that answers at once.
type setup struct {
	// policies is how many there are; the first is asked. Default 1.
	policies int
	// change changes the policies' specs.
	change func(*v1alpha1.TokenPolicySpec)
	facts  func() *token.Facts
	tracer trace.Tracer
	// server is asked, if it is set.
	server *engine.ServerState
	// allows logs one in so many.
	allows uint64
}

// plane is a running data plane.
type plane struct {
	ca        *env.CA
	serving   *tls.Certificate
	client    *tls.Certificate
	mesh      *tls.Certificate
	addresses webhook.Addresses
}

// certificates are the webhook's and the gateway's.
func certificates(b *testing.B) *plane {
	b.Helper()
	ca := env.CAForTest(b)
	issue := func(name string) *tls.Certificate {
		cert := ca.CertificateForTest(b, env.Names{DNS: []string{name}})
		return &cert
	}
	return &plane{ca: ca, serving: issue("localhost"), client: issue(gateway), mesh: issue(meshed)}
}

func (s setup) start(b *testing.B) *plane {
	b.Helper()
	return s.startWith(b, certificates(b))
}

func (s setup) startWith(b *testing.B, p *plane) *plane {
	b.Helper()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	registry := prometheus.NewRegistry()
	if s.facts == nil {
		s.facts = goodFacts
	}
	options := engine.Options{Clock: time.Now, Registerer: registry, Logger: log, SampleAllows: s.allows, Tracer: s.tracer}
	if s.server == nil {
		options.Dial = func(engine.ServerState) (engine.Asker, error) { return answering(s.facts), nil }
	}
	e, err := engine.New(options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	e.Load(s.state(b))
	var config strings.Builder
	config.WriteString("gateways:\n")
	for kind, san := range map[string]string{"Nginx": gateway, "EnvoyGRPC": meshed} {
		fmt.Fprintf(&config, "- name: %s\n  kind: %s\n  authenticate:\n    certificateSAN: %s\n    clientCA: |\n      %s\n",
			strings.ToLower(kind), kind, san, strings.ReplaceAll(string(p.ca.PEM()), "\n", "\n      "))
	}
	parsed, err := webhook.ParseConfig([]byte(config.String()))
	if err != nil {
		b.Fatal(err)
	}
	w, err := webhook.New(webhook.Options{
		Engine: e, Config: parsed, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: "127.0.0.1:0", ExtAuthzAddr: "127.0.0.1:0",
		Certificates: func() (*tls.Certificate, error) { return p.serving, nil }, Registerer: registry, Logger: log,
		DrainTimeout: time.Second, Tracer: s.tracer,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	p.addresses = w.Addresses()
	return p
}

type answering func() *token.Facts

// Introspect answers at once.
func (a answering) Introspect(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
	return a(), nil
}

// goodFacts are those of a usual token.
func goodFacts() *token.Facts {
	claims := map[string]json.RawMessage{
		"active": json.RawMessage(`true`), "iss": json.RawMessage(`"` + issuer + `"`), "sub": json.RawMessage(`"alice"`),
		"scope": json.RawMessage(`"orders.read profile"`), "client_id": json.RawMessage(`"web"`), "aud": json.RawMessage(`"` + facadeID + `"`),
		"token_type": json.RawMessage(`"Bearer"`), "typ": json.RawMessage(`"Bearer"`),
		"exp": json.RawMessage(fmt.Sprint(time.Now().Add(time.Hour).Unix())), "iat": json.RawMessage(fmt.Sprint(time.Now().Unix())),
	}
	facts, err := token.NewFacts(claims)
	if err != nil {
		panic(err) // they are written above
	}
	return facts
}

func (s setup) state(b *testing.B) engine.State {
	b.Helper()
	state := engine.State{
		TakenAt: time.Now(),
		Clients: []engine.ClientState{{
			Ref: token.Ref{Namespace: "shop", Name: "orders"}, UID: "c", Server: "s", ClientID: facadeID, Verified: true,
			Credentials:   []introspect.Credential{{ClientID: facadeID, Secret: "s"}},
			FacadeSecrets: []engine.FacadeSecret{{SHA256: sha256Of(facadeSecret)}},
		}},
		Servers: []engine.ServerState{{
			UID: "s", Name: "corporate", Issuer: issuer, IntrospectionEndpoint: issuer + "/introspect", Namespaces: map[string]struct{}{"shop": {}},
		}},
	}
	if s.server != nil {
		state.Servers[0] = *s.server
	}
	for i := range max(1, s.policies) {
		name := "orders"
		if i > 0 {
			name = fmt.Sprintf("orders-%d", i)
		}
		state.Policies = append(state.Policies, s.policy(b, name))
	}
	return state
}

func (s setup) policy(b *testing.B, name string) engine.PolicyState {
	b.Helper()
	hour := metav1.Duration{Duration: time.Hour}
	object := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: v1alpha1.TokenPolicySpec{
			Accept:    []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}},
			Require:   v1alpha1.TokenRequirements{Scopes: &v1alpha1.ScopeRequirement{AllOf: []string{"orders.read"}}},
			Freshness: v1alpha1.Freshness{MaxAge: &hour},
			Respond: v1alpha1.Response{Headers: []v1alpha1.ResponseHeader{
				{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Scope", Claim: "scope"}, {Name: "X-Auth-Client", Claim: "client_id"},
			}},
		},
	}
	if s.change != nil {
		s.change(&object.Spec)
	}
	compiled, err := policy.Compile(object)
	if err != nil {
		b.Fatal(err)
	}
	return engine.PolicyState{Ref: token.Ref{Namespace: "shop", Name: name}, UID: "p-" + name, Generation: 1, Compiled: compiled}
}

// accessToken is one of a usual size.
func accessToken(id string) string {
	part := func(v any) string {
		encoded, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings
		}
		return base64.RawURLEncoding.EncodeToString(encoded)
	}
	return part(map[string]any{"alg": "RS256", "kid": "k"}) + "." +
		part(map[string]any{"iss": issuer, "aud": facadeID, "jti": id, "pad": strings.Repeat("x", 400)}) + "." +
		base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("s"), 256))
}

// startBare serves a handler over TLS, and nothing else. It asks for the client's
// certificate as we do.
func (p *plane) startBare(b *testing.B, handler http.HandlerFunc) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: handler}
	go func() { _ = s.Serve(tls.NewListener(listener, p.tlsConfig())) }()
	b.Cleanup(func() { _ = s.Close() })
	return listener.Addr().String()
}

func (p *plane) tlsConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{*p.serving}, MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert,
	}
}
