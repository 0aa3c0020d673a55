// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
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
	hostname = "webhook.introspection.svc"
	clientID = "shop.orders"
	resource = "https://orders.example.com"
	metadata = "https://orders.example.com/.well-known/oauth-protected-resource"
	// workloadSecret and serverSecret are what a workload shows us, and we show the server.
	workloadSecret = "canary-workload-secret"
	serverSecret   = "canary-server-secret"
	apiAudience    = "https://kubernetes.default.svc"
	apiServer      = "kube-apiserver"
)

// settings of a plane.
type settings struct {
	state          engine.State
	maxSnapshotAge time.Duration
	requestTimeout time.Duration
	maxConcurrent  int
	// started is whether objects were read.
	unstarted bool
	// around the engine is what a test puts there.
	around func(webhook.Engine) webhook.Engine
	// reviews are the policies that the API server may ask; default all of the state.
	reviews []string
}

// plane is a running data plane, and all that it says.
type plane struct {
	ca, clients *env.CA
	engine      *engine.Engine
	addresses   webhook.Addresses
	log         *lines
	registry    *prometheus.Registry
	spans       *tracetest.SpanRecorder
	surfaces    []*surface
}

// start runs the whole data plane, over TLS, with a gateway of each kind.
func start(t *testing.T, s settings) *plane {
	t.Helper()
	p := &plane{
		ca: env.CAForTest(t), clients: env.CAForTest(t), log: &lines{}, registry: prometheus.NewRegistry(), spans: tracetest.NewSpanRecorder(),
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p.spans)).Tracer("test")
	log := slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	p.engine, err = engine.New(engine.Options{
		Clock: time.Now, Registerer: p.registry, Logger: log, MaxSnapshotAge: s.maxSnapshotAge, Tracer: tracer,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.engine.Close)
	if !s.unstarted {
		p.engine.Load(s.state)
	}
	if s.reviews == nil {
		for i := range s.state.Policies {
			s.reviews = append(s.reviews, s.state.Policies[i].Ref.String())
		}
	}
	p.serve(t, &s, webhook.Options{Registerer: p.registry, Logger: log, Tracer: tracer})
	p.surfaces = p.all(t)
	return p
}

func (p *plane) serve(t *testing.T, s *settings, opts webhook.Options) {
	t.Helper()
	config, err := webhook.ParseConfig([]byte(p.config(s.reviews)))
	if err != nil {
		t.Fatal(err)
	}
	certificate := p.ca.CertificateForTest(t, env.Names{DNS: []string{hostname}})
	opts.Engine, opts.Config = p.engine, config
	if s.around != nil {
		opts.Engine = s.around(p.engine)
	}
	opts.IntrospectionAddr, opts.ForwardAuthAddr, opts.ExtAuthzAddr, opts.TokenReviewAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	opts.IntrospectionURL = "https://" + hostname
	opts.Certificates = func() (*tls.Certificate, error) { return &certificate, nil }
	opts.RequestTimeout, opts.MaxConcurrent, opts.DrainTimeout = s.requestTimeout, s.maxConcurrent, time.Second
	w, err := webhook.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	p.addresses = w.Addresses()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// config declares a gateway of each kind, and the API server.
func (p *plane) config(reviews []string) string {
	ca := strings.ReplaceAll(string(p.clients.PEM()), "\n", "\n      ")
	var b strings.Builder
	b.WriteString("gateways:\n")
	for _, g := range gateways() {
		fmt.Fprintf(&b, "- name: %s\n  kind: %s\n  authenticate:\n    certificateSAN: %s\n    clientCA: |\n      %s\n", strings.ToLower(g.kind), g.kind, g.san(), ca)
		fmt.Fprintf(&b, "  clientCertificate: {format: %s", g.format)
		if g.certificateHeader != "" {
			fmt.Fprintf(&b, ", header: %s", g.certificateHeader)
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, "tokenReview:\n  certificateSAN: %s\n  clientCA: |\n      %s\n  usernamePrefix: 'oidc:'\n  groupsPrefix: 'oidc:'\n", apiServer, ca)
	if len(reviews) == 0 {
		reviews = []string{"shop/none"}
	}
	fmt.Fprintf(&b, "  policies: [%s]\n", strings.Join(reviews, ", "))
	return b.String()
}

// tlsOf trusts the webhook, and shows a certificate of that name, if there is one.
func (p *plane) tlsOf(t *testing.T, name string) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: p.ca.Pool(), ServerName: hostname, MinVersion: tls.VersionTLS13}
	if name != "" {
		c.Certificates = []tls.Certificate{p.clients.CertificateForTest(t, env.Names{DNS: []string{name}})}
	}
	return c
}

// client calls the webhook at an address, whatever host a request names.
func (p *plane) client(t *testing.T, address, name string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: p.tlsOf(t, name),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// spec is a policy's, which a good token meets.
func spec(client string) v1alpha1.TokenPolicySpec {
	half := metav1.Duration{Duration: 30 * time.Second}
	return v1alpha1.TokenPolicySpec{
		Accept:    []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: client}}},
		Require:   v1alpha1.TokenRequirements{Scopes: &v1alpha1.ScopeRequirement{AllOf: []string{"orders.read"}}},
		Freshness: v1alpha1.Freshness{MaxAge: &half},
		Resource:  &v1alpha1.Resource{Identifier: resource, MetadataURL: metadata},
		Surfaces: v1alpha1.Surfaces{TokenReview: &v1alpha1.TokenReviewSurface{
			Username: "claims.iss + '#' + claims.sub", Groups: "['viewers']", Audiences: []string{apiAudience},
		}},
		Respond: v1alpha1.Response{Headers: []v1alpha1.ResponseHeader{
			{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Issuer", Claim: "iss"}, {Name: "X-Auth-Tenant", Claim: "tenant"},
		}},
	}
}

// configured are the headers of spec.
func configured() []string { return []string{"X-Auth-Subject", "X-Auth-Issuer", "X-Auth-Tenant"} }

// policyState is a policy of namespace shop.
func policyState(t *testing.T, name, client string, change func(*v1alpha1.TokenPolicySpec)) engine.PolicyState {
	t.Helper()
	return policyIn(t, token.Ref{Namespace: "shop", Name: name}, client, change)
}

func policyIn(t *testing.T, ref token.Ref, client string, change func(*v1alpha1.TokenPolicySpec)) engine.PolicyState {
	t.Helper()
	o := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}, Spec: spec(client)}
	if change != nil {
		change(&o.Spec)
	}
	compiled, err := policy.Compile(o)
	if err == nil {
		err = compiled.Prepare()
	}
	if err != nil {
		t.Fatal(err)
	}
	return engine.PolicyState{Ref: ref, UID: "p-" + ref.String(), Generation: 1, Compiled: compiled}
}

// clientState is a verified client of namespace shop. Its workload calls itself as the object is called.
func clientState(name, server string) engine.ClientState { return clientIn("shop", name, server) }

func clientIn(namespace, name, server string) engine.ClientState {
	return engine.ClientState{
		Ref: token.Ref{Namespace: namespace, Name: name}, UID: "c-" + namespace + "-" + name, Server: server, ClientID: clientID, CallerID: name, Verified: true,
		Credentials:   []introspect.Credential{{ClientID: clientID, Secret: serverSecret}},
		FacadeSecrets: []engine.FacadeSecret{{SHA256: sha256.Sum256([]byte(workloadSecret))}},
	}
}

// good are the claims of a good token.
func good(id string) object {
	now := time.Now()
	return object{
		"iss": issuer, "sub": "canary-subject", "aud": []string{clientID}, "scope": "orders.read profile", "client_id": "web", "jti": id,
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// slug is a name as objects have it.
func slug(name string) string {
	var b []byte
	for _, c := range []byte(strings.ToLower(name)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b = append(b, c)
		} else if len(b) > 0 && b[len(b)-1] != '-' {
			b = append(b, '-')
		}
	}
	return strings.Trim(string(b), "-")
}

// simple is a plane of one policy and client, orders, that a good token passes.
func simple(t *testing.T, p *provider, path string, more ...func(*settings)) *plane {
	t.Helper()
	s := settings{state: engine.State{
		TakenAt:  time.Now(),
		Policies: []engine.PolicyState{policyState(t, "orders", "orders", nil)},
		Clients:  []engine.ClientState{clientState("orders", "s")},
		Servers:  []engine.ServerState{p.state("s", issuer, path)},
	}}
	for _, change := range more {
		change(&s)
	}
	return start(t, s)
}

// mint is a good token, changed, which the server knows.
func (p *provider) mint(tb testing.TB, id string, changes object) string {
	tb.Helper()
	claims := changed(good(id), changes)
	minted := p.signer.sign(tb, object{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, claims)
	p.says(minted, changed(claims, object{"active": true, "token_type": "Bearer"}))
	return minted
}
