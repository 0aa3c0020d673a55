// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const audience = "https://webhook.introspection.svc:9443"

// verifying takes tokens of the form namespace/name@audience.
func verifying(_ context.Context, t token.Token, audience string) (token.Ref, error) {
	account, is, _ := strings.Cut(t.Reveal(), "@")
	namespace, name, _ := strings.Cut(account, "/")
	if is != audience {
		return token.Ref{}, errors.New("for another audience")
	}
	return token.Ref{Namespace: namespace, Name: name}, nil
}

// TestServiceAccountCallers: a gateway that proves itself by a token, and who may not
// pass for it.
func TestServiceAccountCallers(t *testing.T) {
	edge := newAuthority(t)
	declared := parsed(t, "gateways:\n"+
		"- {name: mesh, kind: EnvoyHTTP, authenticate: {serviceAccount: mesh/gateway}}\n"+
		"- {name: native, kind: EnvoyGRPC, authenticate: {serviceAccount: mesh/native}}\n"+
		"- {name: inner, kind: Caddy, authenticate: {network: Trusted}}\n"+
		"- name: edge\n  kind: Nginx\n  authenticate:\n    certificateSAN: nginx.edge.svc\n    clientCA: |\n        "+indented(edge.pem())+"\n")
	shown := func(certs ...tls.Certificate) (all []*x509.Certificate) {
		for _, c := range certs {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, leaf)
		}
		return all
	}
	its, foreign := shown(edge.issue(t, "nginx.edge.svc", nil)), shown(edge.issue(t, "api.edge.svc", nil))
	cases := map[string]struct {
		reason string
		kinds  func(server.Kind) bool
		certs  []*x509.Certificate
		tokens []string
		want   string
	}{
		"its token":             {"as declared", server.Kind.OverHTTP, nil, []string{"mesh/gateway@" + audience}, "mesh"},
		"another account":       {"nobody declared it", server.Kind.OverHTTP, nil, []string{"mesh/other@" + audience}, ""},
		"another namespace":     {"nobody declared it", server.Kind.OverHTTP, nil, []string{"shop/gateway@" + audience}, ""},
		"another audience":      {"one of the API server's, or another port's", server.Kind.OverHTTP, nil, []string{"mesh/gateway@" + audience + "4"}, ""},
		"no account":            {"nobody", server.Kind.OverHTTP, nil, []string{"@" + audience}, ""},
		"two tokens":            {"one is the user's", server.Kind.OverHTTP, nil, []string{"mesh/gateway@" + audience, "mesh/gateway@" + audience}, ""},
		"empty":                 {"who shows a token is what it says, and not the trusted one", server.Kind.OverHTTP, nil, []string{""}, ""},
		"bad token, trusted":    {"who shows a token is what it says, and not the trusted one", server.Kind.OverHTTP, nil, []string{"x"}, ""},
		"too long":              {"refused unread", server.Kind.OverHTTP, nil, []string{strings.Repeat("x", token.MaxLength) + "/gateway@" + audience}, ""},
		"nothing":               {"the trusted one", server.Kind.OverHTTP, nil, nil, "inner"},
		"certificate":           {"as declared", server.Kind.OverHTTP, its, nil, "edge"},
		"certificate and token": {"a header may come from the user", server.Kind.OverHTTP, its, []string{"mesh/gateway@" + audience}, "edge"},
		"foreign and token":     {"who shows a certificate is what it says", server.Kind.OverHTTP, foreign, []string{"mesh/gateway@" + audience}, ""},
		"gRPC's at HTTP":        {"a kind is bound to its port", server.Kind.OverHTTP, nil, []string{"mesh/native@" + audience}, ""},
		"gRPC's":                {"its port", server.Kind.OverGRPC, nil, []string{"mesh/native@" + audience}, "native"},
		"HTTP's at gRPC":        {"a kind is bound to its port", server.Kind.OverGRPC, nil, []string{"mesh/gateway@" + audience}, ""},
		"HTTP's cert at gRPC":   {"a kind is bound to its port", server.Kind.OverGRPC, its, nil, ""},
		"trusted at gRPC":       {"a kind is bound to its port", server.Kind.OverGRPC, nil, nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			callers := server.NewCallers(server.CallersOptions{
				Gateways: declared, Kinds: c.kinds, ServiceAccount: verifying, Audience: audience, Clock: time.Now,
			})
			for _, connection := range []*server.Connection{nil, {}} {
				got := ""
				g, until, ok := callers.IdentifyPeer(t.Context(), &server.Peer{Certificates: c.certs, Tokens: c.tokens, Connection: connection})
				if ok {
					got = g.Name
				}
				if got != c.want || ok != (g != nil) {
					t.Errorf("%s: it is %q, want %q", c.reason, got, c.want)
				}
				if until.IsZero() != (c.want != "edge") {
					t.Errorf("%s: valid until %v", c.reason, until)
				}
			}
		})
	}
	t.Run("nobody verifies", func(t *testing.T) {
		callers := server.NewCallers(server.CallersOptions{Gateways: declared, Audience: audience, Clock: time.Now})
		if _, _, ok := callers.IdentifyPeer(t.Context(), &server.Peer{Tokens: []string{"mesh/gateway@" + audience}}); ok {
			t.Error("a token that nobody verified proves something")
		}
	})
}
