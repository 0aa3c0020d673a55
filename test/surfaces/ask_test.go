// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The outcomes that there are on each surface.
const (
	allow      = "allow"
	deny       = "deny"
	cannotTell = "cannot tell"
	malformed  = "malformed" // 400, of the facade only
)

// question is what a user, or a workload, asks about.
type question struct {
	// namespace default shop; policy default orders; caller default the policy's name.
	namespace, policy, caller string
	token                     string
	// dpop makes proofs and the scheme DPoP; nil for Bearer.
	dpop *signer
	// certificate of the user; nil for none.
	certificate *tls.Certificate
	// headers of the user's, as sent.
	headers map[string][]string
	// target that the user called; default /v1/orders?page=2.
	target string
	// body replaces the whole request of the facade and TokenReview.
	body string
}

func (q *question) defaults() *question {
	own := *q
	if own.namespace == "" {
		own.namespace = "shop"
	}
	if own.policy == "" {
		own.policy = "orders"
	}
	if own.caller == "" {
		own.caller = own.policy
	}
	if own.target == "" {
		own.target = "/v1/orders?page=2"
	}
	return &own
}

// answer is what came.
type answer struct {
	// verdict is one of the four outcomes, or says what else came.
	verdict string
	status  int
	// id of the decision.
	id string
	// headers that the API is sent, or the caller.
	headers http.Header
	body    string
	// text is all of it.
	text string
}

// surface is a way to ask.
type surface struct {
	name string
	// kind is the Surface in audit lines.
	kind string
	ask  func(ctx context.Context, t *testing.T, q *question) (answer, error)
}

// must is an answer that has to come.
func (s *surface) must(t *testing.T, q question) answer {
	t.Helper()
	a, err := s.ask(t.Context(), t, q.defaults())
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return a
}

const (
	facade      = "Introspection"
	tokenReview = "TokenReview"
)

// gatewayKind is how a gateway asks.
type gatewayKind struct {
	kind, format, certificateHeader string
}

func (g gatewayKind) san() string { return strings.ToLower(g.kind) + ".edge.svc" }

func gateways() []gatewayKind {
	return []gatewayKind{
		{"Nginx", "PEM", "X-Client-Cert"},
		{"Traefik", "DER", "X-Forwarded-Tls-Client-Cert"},
		{"Caddy", "RFC9440", "Client-Cert"},
		{"EnvoyHTTP", "XFCC", "X-Forwarded-Client-Cert"},
		{"EnvoyGRPC", "PEM", ""},
	}
}

func kinds() []string {
	var all []string
	for _, g := range gateways() {
		all = append(all, g.kind)
	}
	return all
}

// all ways to ask: the facade, each kind of gateway, the API server.
func (p *plane) all(t *testing.T) []*surface {
	t.Helper()
	workload := p.client(t, p.addresses.Introspection, "")
	all := []*surface{{name: facade, kind: "introspection", ask: func(ctx context.Context, t *testing.T, q *question) (answer, error) {
		t.Helper()
		return askFacade(ctx, t, workload, q)
	}}}
	for _, g := range gateways() {
		if g.kind == "EnvoyGRPC" {
			all = append(all, p.extAuthz(t, g))
			continue
		}
		client := p.client(t, p.addresses.ForwardAuth, g.san())
		all = append(all, &surface{name: g.kind, kind: "forward-auth", ask: func(ctx context.Context, t *testing.T, q *question) (answer, error) {
			t.Helper()
			return askForwardAuth(ctx, t, client, g, q)
		}})
	}
	reviewer := p.client(t, p.addresses.TokenReview, apiServer)
	return append(all, &surface{name: tokenReview, kind: "token-review", ask: func(ctx context.Context, t *testing.T, q *question) (answer, error) {
		t.Helper()
		return askTokenReview(ctx, t, reviewer, q)
	}})
}

// read is an answer over HTTP.
func read(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, headers: resp.Header, body: string(body)}
	if ids := resp.Header["Introspection-Decision"]; len(ids) == 1 {
		a.id = ids[0]
	}
	a.text = fmt.Sprint(resp.Status, resp.Header, a.body)
	a.verdict = fmt.Sprintf("%d %q", a.status, a.body)
	return a, err
}

func newRequest(ctx context.Context, t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// askFacade is RFC 7662.
func askFacade(ctx context.Context, t *testing.T, client *http.Client, q *question) (answer, error) {
	t.Helper()
	body := q.body
	if body == "" {
		body = url.Values{"token": {q.token}}.Encode()
	}
	req := newRequest(ctx, t, http.MethodPost, "https://"+hostname+"/introspect/"+q.namespace+"/"+q.policy, body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(q.caller, workloadSecret)
	a, err := read(client, req)
	if err != nil {
		return a, err
	}
	var said struct {
		Active    any    `json:"active"`
		TokenType string `json:"token_type"`
		Error     string `json:"error"`
	}
	if ok := json.Unmarshal([]byte(a.body), &said) == nil; !ok || a.headers.Get("Content-Type") != "application/json" || a.headers.Get("Cache-Control") != "no-store" {
		return a, nil
	}
	switch {
	case a.status == http.StatusOK && said.Active == true && said.TokenType != "":
		a.verdict = allow
	case a.status == http.StatusOK && a.body == `{"active":false}`:
		a.verdict = deny
	case a.status == http.StatusServiceUnavailable && said.Error == "temporarily_unavailable" && a.headers.Get("Retry-After") != "":
		a.verdict = cannotTell
	case (a.status == http.StatusBadRequest || a.status == http.StatusRequestEntityTooLarge) && said.Error == "invalid_request":
		a.verdict = malformed
	}
	return a, nil
}

// askTokenReview is what an API server sends.
func askTokenReview(ctx context.Context, t *testing.T, client *http.Client, q *question) (answer, error) {
	t.Helper()
	body := q.body
	if body == "" {
		body = string(marshal(t, object{
			"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": object{"token": q.token, "audiences": []string{apiAudience}},
		}))
	}
	req := newRequest(ctx, t, http.MethodPost, "https://"+hostname+"/tokenreview/"+q.namespace+"/"+q.policy, body)
	req.Header.Set("Content-Type", "application/json")
	a, err := read(client, req)
	if err != nil {
		return a, err
	}
	var review struct {
		Kind   string `json:"kind"`
		Status struct {
			Authenticated bool `json:"authenticated"`
			User          struct {
				Username string   `json:"username"`
				Groups   []string `json:"groups"`
			} `json:"user"`
			Audiences []string `json:"audiences"`
			Error     string   `json:"error"`
		} `json:"status"`
	}
	decoder := json.NewDecoder(strings.NewReader(a.body))
	if ok := decoder.Decode(&review) == nil; !ok || a.status != http.StatusOK || review.Kind != "TokenReview" || a.headers.Get("Retry-After") != "" {
		return a, nil
	}
	s := &review.Status
	nobody := s.User.Username == "" && len(s.User.Groups) == 0 && len(s.Audiences) == 0 && !s.Authenticated
	switch {
	case s.Authenticated && s.Error == "" && strings.HasPrefix(s.User.Username, "oidc:") && len(s.Audiences) == 1 && s.Audiences[0] == apiAudience:
		a.verdict = allow
	case nobody && s.Error == "":
		a.verdict = deny
	case nobody && strings.Contains(s.Error, a.id):
		a.verdict = cannotTell
	}
	return a, nil
}
