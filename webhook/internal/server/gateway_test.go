// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestCVE202640575Original: of each kind its own headers are read, and no others: those
// come from the user. What is told twice, or is no host, is not told.
func TestCVE202640575Original(t *testing.T) {
	der := newAuthority(t).cert.Raw
	sum := sha256.Sum256(der)
	encoded := base64.StdEncoding.EncodeToString(der)
	// with adds what a user may send through any gateway.
	with := func(h http.Header) http.Header {
		others := http.Header{
			"X-Original-Url": {"https://evil.example.com/evil"}, "X-Original-Method": {"EVIL"}, "X-Forwarded-Method": {"EVIL"},
			"X-Forwarded-Proto": {"evil"}, "X-Forwarded-Host": {"evil.example.com"}, "X-Forwarded-Uri": {"/evil"},
			"X-Envoy-Original-Path": {"/evil"}, "X-Forwarded-Client-Cert": {"Hash=00"}, "Client-Cert": {":AAAA:"},
		}
		for name, values := range others {
			if _, ok := h[name]; !ok {
				h[name] = values
			}
		}
		return h
	}
	forwarded := func(method, host, uri string) http.Header {
		return http.Header{"X-Forwarded-Method": {method}, "X-Forwarded-Host": {host}, "X-Forwarded-Uri": {uri}, "X-Forwarded-Proto": {"https"}}
	}
	nginx := func(url ...string) http.Header {
		return http.Header{"X-Original-Url": url, "X-Original-Method": {"POST"}}
	}
	cert := func(h http.Header, values ...string) http.Header { h["X-User-Cert"] = values; return h }
	cases := map[string]struct {
		reason string
		kind   server.Kind
		header http.Header
		target string // of the gateway's own request
		want   token.HTTPRequest
	}{
		"nginx":              {"as its page configures it", server.Nginx, nginx("https://orders.example.com:8443/v1/a%2fb?x=y"), "", token.HTTPRequest{Method: "POST", Host: "orders.example.com:8443", Target: "/v1/a%2fb?x=y"}},
		"nginx, path":        {"no host is told", server.Nginx, nginx("/v1?u=https://evil.example.com/"), "", token.HTTPRequest{Method: "POST", Target: "/v1?u=https://evil.example.com/"}},
		"nginx, odd host":    {"nginx admits it: it is no host", server.Nginx, nginx("https://orders.example.com?x=/v1"), "", token.HTTPRequest{Method: "POST", Target: "/v1"}},
		"nginx, user":        {"it is no host", server.Nginx, nginx("https://orders.example.com@evil/v1"), "", token.HTTPRequest{Method: "POST", Target: "/v1"}},
		"nginx, fragment":    {"it is no host", server.Nginx, nginx("https://orders.example.com#/v1"), "", token.HTTPRequest{Method: "POST", Target: "/v1"}},
		"nginx, no path":     {"none is told", server.Nginx, nginx("https://orders.example.com"), "", token.HTTPRequest{Method: "POST", Host: "orders.example.com"}},
		"nginx, twice":       {"which one is it?", server.Nginx, nginx("https://a/1", "https://b/2"), "", token.HTTPRequest{Method: "POST"}},
		"nginx, IPv6":        {"a host", server.Nginx, nginx("http://[2001:db8::1]:80/"), "", token.HTTPRequest{Method: "POST", Host: "[2001:db8::1]:80", Target: "/"}},
		"Traefik":            {"as documented", server.Traefik, forwarded("PUT", "orders.example.com", "/v1/../x?y"), "", token.HTTPRequest{Method: "PUT", Host: "orders.example.com", Target: "/v1/../x?y"}},
		"Caddy":              {"as measured", server.Caddy, forwarded("PUT", "orders.example.com", "/v1//x"), "", token.HTTPRequest{Method: "PUT", Host: "orders.example.com", Target: "/v1//x"}},
		"Caddy, odd host":    {"it is no host", server.Caddy, forwarded("PUT", "a, b", "/"), "", token.HTTPRequest{Method: "PUT", Target: "/"}},
		"Envoy":              {"it appends the path", server.EnvoyHTTP, http.Header{}, "/authorize/shop/orders/v1/%2e%2e/x?y=/z", token.HTTPRequest{Method: "DELETE", Host: "gateway.test", Target: "/v1/%2e%2e/x?y=/z"}},
		"Envoy, root":        {"it appends the path", server.EnvoyHTTP, http.Header{}, "/authorize/shop/orders/", token.HTTPRequest{Method: "DELETE", Host: "gateway.test", Target: "/"}},
		"Envoy, dots":        {"nothing is cleaned", server.EnvoyHTTP, http.Header{}, "/authorize/shop/strict/../../shop/lax", token.HTTPRequest{Method: "DELETE", Host: "gateway.test", Target: "/../../shop/lax"}},
		"Envoy, query":       {"the query alone", server.EnvoyHTTP, http.Header{}, "/authorize/shop/orders?a=/b", token.HTTPRequest{Method: "DELETE", Host: "gateway.test", Target: "?a=/b"}},
		"Envoy, nothing":     {"none is told", server.EnvoyHTTP, http.Header{}, "/authorize/shop/orders", token.HTTPRequest{Method: "DELETE", Host: "gateway.test"}},
		"gRPC":               {"it does not ask by HTTP", server.EnvoyGRPC, http.Header{}, "/authorize/shop/orders/v1", token.HTTPRequest{}},
		"proof":              {"RFC 9449", server.Traefik, http.Header{"Dpop": {"p"}, "X-Forwarded-Method": nil, "X-Forwarded-Host": nil, "X-Forwarded-Uri": nil}, "", token.HTTPRequest{Proofs: []string{"p"}}},
		"proofs":             {"the engine refuses two", server.Traefik, http.Header{"Dpop": {"p", "q"}, "X-Forwarded-Method": nil, "X-Forwarded-Host": nil, "X-Forwarded-Uri": nil}, "", token.HTTPRequest{Proofs: []string{"p", "q"}}},
		"certificate":        {"in the declared header", server.Nginx, cert(nginx("/"), encoded), "", token.HTTPRequest{Method: "POST", Target: "/", Certificate: &sum}},
		"certificate, twice": {"which one is it?", server.Nginx, cert(nginx("/"), encoded, encoded), "", token.HTTPRequest{Method: "POST", Target: "/"}},
		"certificate, bad":   {"as if there were none", server.Nginx, cert(nginx("/"), "!"), "", token.HTTPRequest{Method: "POST", Target: "/"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := server.Gateway{Kind: c.kind, ClientCertificate: server.ClientCertificate{Header: "X-User-Cert", Format: server.FormatDER}}
			r := &http.Request{Method: http.MethodDelete, Host: "gateway.test", RequestURI: c.target, Header: with(c.header)}
			c.want.Headers = token.HTTPHeaders(r.Header)
			if diff := cmp.Diff(&c.want, g.Original(r)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
	t.Run("certificate, not declared", func(t *testing.T) {
		g := server.Gateway{Kind: server.Nginx}
		if got := g.Original(&http.Request{Header: with(cert(nginx("/"), encoded))}); got.Certificate != nil {
			t.Errorf("a header that nobody declared is believed: %x", got.Certificate)
		}
	})
}
