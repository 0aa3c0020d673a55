// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// front is the webhook behind gateways, as the pages of docs/gateways declare them, and
// an API behind those that tells what it was sent.
type front struct {
	*fixture

	engine *watched
	api    *httptest.Server
	dir    string // ca.crt; user.crt and .key for orders.example.com; gateway.crt and .key
}

// watched asks a policy what it says of the request itself, and remembers what it was asked.
type watched struct {
	engine

	policy *policy.Policy
	mu     sync.Mutex
	asked  []token.Request
}

func (w *watched) Decide(ctx context.Context, req token.Request) (token.Decision, error) {
	w.mu.Lock()
	w.asked = append(w.asked, req)
	w.mu.Unlock()
	switch d, u := w.policy.AdmitHTTP(&req); {
	case u != nil:
		return token.Decision{}, u
	case d != nil:
		return *d, nil
	}
	return w.engine.Decide(ctx, req)
}

// ServiceAccount takes "name-at-audience".
func (*watched) ServiceAccount(_ context.Context, t token.Token, audience string) (token.Ref, error) {
	name, at, _ := strings.Cut(t.Reveal(), "-at-")
	if at != strings.NewReplacer("://", ".", ":", ".").Replace(audience) {
		return token.Ref{}, errors.New("no account's token")
	}
	return token.Ref{Namespace: "ingress", Name: name}, nil
}

func (w *watched) take() []token.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// serveFront runs the webhook with the gateway that a page declares; san is the name in
// that declaration, and in the certificate in dir.
func serveFront(t *testing.T, file, san string, more ...string) *front {
	t.Helper()
	p, err := policy.Compile(&v1alpha1.TokenPolicy{Spec: v1alpha1.TokenPolicySpec{
		Accept:   []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}},
		Surfaces: v1alpha1.Surfaces{Gateways: v1alpha1.GatewaysSurface{Hosts: []string{"orders.example.com"}, Preflight: v1alpha1.PreflightAllow}},
		Respond:  v1alpha1.Response{Headers: []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Tenant", Claim: "tenant"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f := &front{fixture: &fixture{ca: env.CAForTest(t), clients: env.CAForTest(t), log: &harness.Log{}}, engine: &watched{policy: p}, dir: t.TempDir()}
	config, err := webhook.ParseConfig([]byte(declaration(t, f.clients, file, more...)))
	if err != nil {
		t.Fatal(err)
	}
	certificate := f.ca.CertificateForTest(t, env.Names{DNS: []string{"webhook.introspection.svc"}})
	s, err := webhook.New(webhook.Options{
		Engine: f.engine, Config: config, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: "127.0.0.1:0", ExtAuthzAddr: "127.0.0.1:0",
		AuthorizeURL: "https://webhook.introspection.svc:9443", ExtAuthzURL: "https://webhook.introspection.svc:9444",
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Registerer:   prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(f.log, nil)), DrainTimeout: 8 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.addresses = s.Addresses()
	harness.Run(t, s.Run)
	f.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Reached", r.Method+" "+r.RequestURI)
		if err := json.NewEncoder(w).Encode(r.Header); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(f.api.Close)
	f.write(t, "ca.crt", f.ca.PEM())
	f.certificate(t, "user", f.ca, "orders.example.com")
	f.certificate(t, "gateway", f.clients, san)
	return f
}

// declaration is the one of a page with the CA in it, changed as the page says: by the
// other kind of Envoy, by more blocks below.
func declaration(t *testing.T, ca *env.CA, file string, changes ...string) string {
	t.Helper()
	text := block(t, file, "gateways.yaml")
	for _, change := range changes {
		switch change {
		case "EnvoyHTTP":
			text = filled(t, text, "kind: EnvoyGRPC", "kind: EnvoyHTTP")
		case "account.yaml":
			return block(t, file, change)
		default:
			text += block(t, file, change)
		}
	}
	pem := strings.ReplaceAll(strings.TrimSuffix(string(ca.PEM()), "\n"), "\n", "\n      ")
	return filled(t, text, "      -----BEGIN CERTIFICATE-----\n      …\n", "      "+pem+"\n")
}

func (f *front) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *front) certificate(t *testing.T, name string, ca *env.CA, dns string) {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(env.Names{DNS: []string{dns}})
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, name+".crt", certPEM)
	f.write(t, name+".key", keyPEM)
}

// block is a code block of a page: the one below `<!-- tested: name -->`.
func block(t *testing.T, file, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../docs/gateways", file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(content), "<!-- tested: "+name+" -->\n```")
	_, rest, ok2 := strings.Cut(rest, "\n")
	text, _, ok3 := strings.Cut(rest, "```\n")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("%s has no block %q", file, name)
	}
	return text
}

// filled replaces what a page has as an example; a test must not pass because the page
// changed its words.
func filled(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the page has no %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}
