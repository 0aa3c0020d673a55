// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// engine allows and refuses by the token's own words.
type engine struct{ long atomic.Bool }

func (e *engine) Decide(_ context.Context, req token.Request) (token.Decision, error) {
	switch req.Token.Reveal() {
	case "alice":
		subject := "alice"
		if e.long.Load() {
			// With the other, as long as is let through.
			subject = strings.Repeat("x", 4096-192-len("X-Auth-Subject: \r\n")-len("X-Auth-Tenant: \r\n"))
		}
		return token.Decision{
			Verdict: token.Allow, Body: []byte(`{"active":true,"sub":"alice"}`),
			Headers: []token.Header{{Name: "X-Auth-Subject", Value: subject}, {Name: "X-Auth-Tenant", Value: ""}},
		}, nil
	case "narrow":
		return token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks the scope orders.read.", Challenge: token.Challenge{Scope: "orders.read"},
		}, nil
	case "":
		return token.Decision{Reason: token.ReasonMissingToken, Message: "The request carries no token."}, nil
	case "outage":
		return token.Decision{}, &token.Undecided{Reason: token.ReasonServerUnavailable, Message: "Try again."}
	}
	return token.Decision{Reason: token.ReasonInactive, Message: "The token is not active."}, nil
}

func (*engine) Authenticate(_ context.Context, _ token.Ref, id, secret string) (token.Ref, bool) {
	return token.Ref{Namespace: "shop", Name: "orders"}, id == "shop.orders" && secret == "s3cret"
}

func (*engine) Ready() bool { return true }

// ServiceAccount takes what account makes.
func (*engine) ServiceAccount(_ context.Context, t token.Token, audience string) (token.Ref, error) {
	if t.Reveal() != account(audience) {
		return token.Ref{}, errors.New("no account's token")
	}
	return token.Ref{Namespace: "mesh", Name: "gateway"}, nil
}

const facadeURL = "https://webhook.introspection.svc"

// account is a token that the engine takes for an audience.
func account(audience string) string {
	return "account-for-" + base64.RawURLEncoding.EncodeToString([]byte(audience))
}

type fixture struct {
	engine    *engine
	ca        *env.CA
	clients   *env.CA
	addresses webhook.Addresses
	log       *harness.Log
}

// serve runs the data plane, with one gateway: nginx.edge.svc under the CA of clients.
func serve(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{engine: &engine{}, ca: env.CAForTest(t), clients: env.CAForTest(t), log: &harness.Log{}}
	config, err := webhook.ParseConfig([]byte("gateways:\n- {name: mesh, kind: EnvoyHTTP, authenticate: {serviceAccount: mesh/gateway}}\n" +
		"- name: edge\n  kind: Nginx\n  authenticate:\n" +
		"    certificateSAN: nginx.edge.svc\n    clientCA: |\n      " + strings.ReplaceAll(string(f.clients.PEM()), "\n", "\n      ")))
	if err != nil {
		t.Fatal(err)
	}
	certificate := f.ca.CertificateForTest(t, env.Names{DNS: []string{"webhook.introspection.svc"}})
	s, err := webhook.New(webhook.Options{
		Engine: f.engine, Config: config, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: "127.0.0.1:0",
		IntrospectionURL: facadeURL, AuthorizeURL: facadeURL + ":9443",
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Registerer:   prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(f.log, nil)), DrainTimeout: 8 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.addresses = s.Addresses()
	harness.Run(t, s.Run)
	return f
}

// client trusts the webhook, and shows certificates if there are any.
func (f *fixture) client(t *testing.T, show ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: f.ca.Pool(), ServerName: "webhook.introspection.svc", Certificates: show, MinVersion: tls.VersionTLS13,
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// answer is a response that was read to its end.
type answer struct {
	StatusCode int
	Header     http.Header
}

func do(t *testing.T, c *http.Client, req *http.Request) (answer, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{StatusCode: resp.StatusCode, Header: resp.Header}, b.String()
}

func request(t *testing.T, method, target, body string, header http.Header) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	return req
}

// TestSurfaces: each port speaks its protocol, and only that.
func TestSurfaces(t *testing.T) {
	f := serve(t)
	gateway, stranger := f.client(t, f.clients.CertificateForTest(t, env.Names{DNS: []string{"nginx.edge.svc"}})), f.client(t)
	facade, forward := "https://"+f.addresses.Introspection, "https://"+f.addresses.ForwardAuth
	bearer := http.Header{"Authorization": {"Bearer alice"}}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	credentials := url.Values{"token": {"alice"}, "client_id": {"shop.orders"}, "client_secret": {"s3cret"}}.Encode()
	cases := map[string]struct {
		reason string
		client *http.Client
		req    *http.Request
		want   int
	}{
		"introspection":            {"the facade", stranger, request(t, http.MethodPost, facade+"/introspect/shop/orders", credentials, form), 200},
		"introspection, gateway":   {"a certificate is no credential there", gateway, request(t, http.MethodPost, facade+"/introspect/shop/orders", "token=alice", form), 401},
		"forward-auth":             {"the gateway", gateway, request(t, http.MethodGet, forward+"/authorize/shop/orders/x", "", bearer), 200},
		"introspection, account":   {"a ServiceAccount token for this URL", stranger, request(t, http.MethodPost, facade+"/introspect/shop/orders", "token=alice", with(form, "Authorization", "Bearer "+account(facadeURL+"/introspect/shop/orders"))), 200},
		"introspection, another":   {"a ServiceAccount token for another", stranger, request(t, http.MethodPost, facade+"/introspect/shop/orders", "token=alice", with(form, "Authorization", "Bearer "+account(facadeURL+"/introspect/shop/other"))), 401},
		"forward-auth, account":    {"a ServiceAccount token for this port", stranger, request(t, http.MethodGet, forward+"/authorize/shop/orders/x", "", with(bearer, "Introspection-Gateway", account(facadeURL+":9443"))), 200},
		"forward-auth, another":    {"a ServiceAccount token for another", stranger, request(t, http.MethodGet, forward+"/authorize/shop/orders/x", "", with(bearer, "Introspection-Gateway", account(facadeURL+"/introspect/shop/orders"))), 503},
		"CVE-2026-40575":           {"a direct caller is nobody", stranger, request(t, http.MethodGet, forward+"/authorize/shop/orders", "", bearer), 503},
		"introspection, elsewhere": {"one port a trust zone", stranger, request(t, http.MethodPost, forward+"/introspect/shop/orders", credentials, form), 404},
		"forward-auth, elsewhere":  {"one port a trust zone", gateway, request(t, http.MethodGet, facade+"/authorize/shop/orders", "", bearer), 404},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if resp, body := do(t, c.client, c.req); resp.StatusCode != c.want {
				t.Errorf("%s: answered %d, want %d: %s", c.reason, resp.StatusCode, c.want, body)
			}
		})
	}
}

func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Set(name, value)
	return h
}

// TestAddresses: what is not wanted does not listen.
func TestAddresses(t *testing.T) {
	f := serve(t)
	if got := f.addresses; got.Introspection == "" || got.ForwardAuth == "" || got.ExtAuthz != "" || got.TokenReview != "" {
		t.Errorf("it listens at %+v", got)
	}
	const review = "tokenReview:\n  policies: [shop/orders]\n  usernamePrefix: 'o:'\n  groupsPrefix: 'o:'\n  clientCA: |\n    "
	for config, want := range map[string]bool{"": false, review + strings.ReplaceAll(string(f.clients.PEM()), "\n", "\n    "): true} {
		parsed, err := webhook.ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		const anywhere = "127.0.0.1:0"
		s, err := webhook.New(webhook.Options{
			Engine: f.engine, Config: parsed, IntrospectionAddr: anywhere, ForwardAuthAddr: anywhere, ExtAuthzAddr: anywhere, TokenReviewAddr: anywhere,
			Certificates: func() (*tls.Certificate, error) { return &tls.Certificate{}, nil },
			Registerer:   prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), DrainTimeout: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Addresses(); got.ExtAuthz == "" || (got.TokenReview != "") != want {
			t.Errorf("it listens at %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestNew: what is missing is said, and no address is kept.
func TestNew(t *testing.T) {
	if _, err := webhook.New(webhook.Options{}); err == nil {
		t.Error("New takes nothing")
	}
	f := serve(t)
	options := webhook.Options{
		Engine: f.engine, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: f.addresses.ForwardAuth,
		Certificates: func() (*tls.Certificate, error) { return &tls.Certificate{}, nil },
		Registerer:   prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	}
	if _, err := webhook.New(options); err == nil || !strings.Contains(err.Error(), "listening for forward-auth") {
		t.Errorf("New: %v", err)
	}
}
