// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const issuer = "https://sso.example.com/realms/acme"

// ref is an object of namespace shop.
func ref(name string) token.Ref { return token.Ref{Namespace: "shop", Name: name} }

// unsigned is a JWT without a signature: the engine only reads what it says of itself.
func unsigned(claims map[string]any) token.Token {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding
	return token.New(enc.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc.EncodeToString(payload) + "." + enc.EncodeToString([]byte("signature")))
}

func good() token.Token {
	return unsigned(map[string]any{"iss": issuer, "aud": "shop.orders", "jti": "1"})
}

// clock is a fake one, with a monotonic reading.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// call is a question that an idp was asked.
type call struct{ id, secret, assertion, token string }

// idp is an authorization server over HTTPS that answers as a script says.
type idp struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	script func(call) (status int, claims map[string]any)
	keys   keys
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	s := &idp{script: func(call) (int, map[string]any) { return http.StatusOK, claims() }}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

// claims are those of a good token.
func claims() map[string]any {
	return map[string]any{
		"active": true, "iss": issuer, "sub": "alice", "aud": "shop.orders", "scope": "orders.read",
		"client_id": "web", "typ": "Bearer", "token_type": "Bearer",
		"exp": time.Now().Add(24 * time.Hour).Unix(), "iat": time.Now().Add(-time.Minute).Unix(),
	}
}

// ServeHTTP is RFC 7662.
func (s *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/keys" {
		s.keys.ServeHTTP(w, r)
		return
	}
	id, secret, _ := r.BasicAuth()
	c := call{id, secret, r.PostFormValue("client_assertion"), r.PostFormValue("token")}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	script := s.script
	s.mu.Unlock()
	status, body := script(c)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

// answers sets the script.
func (s *idp) answers(script func(call) (int, map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// inactive makes the server call every token inactive.
func (s *idp) inactive() {
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, map[string]any{"active": false} })
}

func (s *idp) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *idp) state(uid string) ServerState {
	return ServerState{
		UID: uid, Name: "corporate-" + uid, Issuer: issuer, IntrospectionEndpoint: s.URL + "/introspect",
		CAPEM:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
		Timeout: 5 * time.Second, Namespaces: map[string]struct{}{"shop": {}},
	}
}

// clientState is a verified client of a server.
func clientState(name, server string, secrets ...string) ClientState {
	c := ClientState{Ref: ref(name), UID: "uid-" + name, Server: server, ClientID: "shop.orders", Verified: true}
	for _, s := range secrets {
		c.Credentials = append(c.Credentials, introspect.Credential{ClientID: c.ClientID, Secret: introspect.Secret(s)})
	}
	return c
}

// policyState is a policy of a client; scopes are required.
func policyState(tb testing.TB, name, client string, maxAge time.Duration, scopes ...string) PolicyState {
	tb.Helper()
	return policyWith(tb, name, client, func(spec *v1alpha1.TokenPolicySpec) {
		spec.Freshness.MaxAge = &metav1.Duration{Duration: maxAge}
		spec.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}}
		if len(scopes) > 0 {
			spec.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: scopes}
		}
	})
}

// policyWith is a policy of a client, changed.
func policyWith(tb testing.TB, name, client string, change func(*v1alpha1.TokenPolicySpec)) PolicyState {
	tb.Helper()
	p := &v1alpha1.TokenPolicy{}
	p.Namespace, p.Name, p.Generation = "shop", name, 7
	p.Spec.Accept = []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: client}}}
	change(&p.Spec)
	compiled, err := policy.Compile(p)
	if err != nil {
		tb.Fatal(err)
	}
	return PolicyState{Ref: ref(name), UID: "uid-" + name, Generation: 7, Compiled: compiled}
}

// newEngine fills in what a test does not care for.
func newEngine(tb testing.TB, opts Options, state State) *Engine {
	tb.Helper()
	if opts.Clock == nil {
		opts.Clock = newClock().Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
	}
	if opts.Registerer == nil {
		opts.Registerer = prometheus.NewRegistry()
	}
	e, err := New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	e.Load(state)
	return e
}

// askerFunc is an Asker.
type askerFunc func(ctx context.Context, c introspect.Credential, t token.Token) (*token.Facts, error)

// Introspect calls f.
func (f askerFunc) Introspect(ctx context.Context, c introspect.Credential, t token.Token) (*token.Facts, error) {
	return f(ctx, c, t)
}

// scripted is a state of one client whose server answers by f.
func scripted(f askerFunc, policies ...PolicyState) (DialFunc, State) {
	return func(ServerState) (Asker, error) { return f, nil }, State{
		Policies: policies,
		Clients:  []ClientState{clientState("orders", "s1", "secret")},
		Servers:  []ServerState{{UID: "s1", Name: "corporate", Issuer: issuer, Namespaces: map[string]struct{}{"shop": {}}}},
	}
}

// facts are those of a good token.
func facts() *token.Facts {
	return &token.Facts{
		Active: true, Issuer: issuer, Subject: "alice", ClientID: "web", Audience: []string{"shop.orders"},
		Scope: []string{"orders.read"}, ExpiresAt: time.Now().Add(time.Hour), IssuedAt: time.Now(), Size: 1000,
		Claims: map[string]json.RawMessage{"sub": json.RawMessage(`"alice"`)},
	}
}

// original is the request that a gateway asks about.
func original() *token.HTTPRequest {
	return &token.HTTPRequest{
		Method: http.MethodGet, Host: "orders.example.com", Target: "/orders/1?page=2", Headers: token.HTTPHeaders{"Accept": {"*/*"}},
	}
}

// outcome is what Decide said, in a word.
func outcome(d token.Decision, err error) string {
	var u *token.Undecided
	if err != nil {
		if !errors.As(err, &u) || u == nil {
			return "not an Undecided: " + err.Error()
		}
		return string(u.Reason)
	}
	if d.Verdict == token.Allow {
		return "Allow"
	}
	return string(d.Reason)
}

// decide asks a policy as a gateway.
func decide(tb testing.TB, e *Engine, policy string, tok token.Token) string {
	tb.Helper()
	return outcome(e.Decide(tb.Context(), token.Request{
		ID: "d1", Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref(policy), Token: tok, Gateway: "edge",
	}))
}
