// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Kind of a gateway: it decides which headers tell the original request.
type Kind string

const (
	// Nginx tells it in X-Original-URL and X-Original-Method, as its configuration sets them.
	Nginx Kind = "Nginx"
	// Traefik tells it in X-Forwarded-Method, -Proto, -Host and -Uri.
	Traefik Kind = "Traefik"
	// Caddy tells it as Traefik does.
	Caddy Kind = "Caddy"
	// EnvoyHTTP sends the user's method and Host, and appends the user's path and query to ours.
	EnvoyHTTP Kind = "EnvoyHTTP"
	// EnvoyGRPC tells it in a CheckRequest.
	EnvoyGRPC Kind = "EnvoyGRPC"
)

// OverHTTP says that a gateway of this kind asks by forward-auth.
func (k Kind) OverHTTP() bool {
	switch k {
	case Nginx, Traefik, Caddy, EnvoyHTTP:
		return true
	case EnvoyGRPC:
	}
	return false
}

// OverGRPC says that a gateway of this kind asks by ext_authz.
func (k Kind) OverGRPC() bool { return k == EnvoyGRPC }

// Gateway that the platform declared.
type Gateway struct {
	// Name in logs.
	Name string
	// Kind of it.
	Kind Kind
	// ClientCertificate says where the gateway tells the user's certificate; zero if it doesn't.
	ClientCertificate ClientCertificate

	san            string // DNS name or URI in its certificate, exactly
	cas            []*x509.Certificate
	serviceAccount token.Ref
	trusted        bool
}

// pathSegments are those of /authorize/{namespace}/{policy}.
const pathSegments = 3

// Original is the request that the user sent, from the headers that this kind of gateway
// sets, and from no other: a gateway hands the others on as the user sent them
// (CVE-2026-40575). What is told twice is not told. It decides nothing.
func (g *Gateway) Original(r *http.Request) *token.HTTPRequest {
	o := &token.HTTPRequest{Headers: token.HTTPHeaders(r.Header), Proofs: r.Header["Dpop"]}
	switch g.Kind {
	case Nginx:
		o.Method = only(r.Header["X-Original-Method"])
		o.Host, o.Target = splitURL(only(r.Header["X-Original-Url"]))
	case Traefik, Caddy:
		o.Method = only(r.Header["X-Forwarded-Method"])
		o.Host = Authority(only(r.Header["X-Forwarded-Host"]))
		o.Target = only(r.Header["X-Forwarded-Uri"])
	case EnvoyHTTP:
		o.Method, o.Host, o.Target = r.Method, Authority(r.Host), belowPolicy(r.RequestURI)
	case EnvoyGRPC: // tells nothing by HTTP
	}
	if g.ClientCertificate.Header != "" {
		// One that can't be read is none: a token that is bound to it is refused then.
		o.Certificate, _ = g.Certificate(only(r.Header[g.ClientCertificate.Header]))
	}
	return o
}

func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// splitURL splits scheme://host/path?query, or a path and query alone. The host ends at
// the first slash and nowhere else: nginx admits a question mark in a Host header, and
// "orders.example.com?" is not orders.example.com.
func splitURL(raw string) (host, target string) {
	_, rest, ok := strings.Cut(raw, "://")
	if strings.HasPrefix(raw, "/") || !ok {
		return "", raw
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return Authority(rest[:i]), rest[i:]
	}
	return Authority(rest), ""
}

// Authority is s if it is a host, with a port or without, and empty for what is none.
func Authority(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9':
		case strings.IndexByte("-._:[]", c) >= 0:
		default:
			return ""
		}
	}
	return s
}

// belowPolicy is what follows /authorize/{namespace}/{policy}, raw.
func belowPolicy(target string) string {
	path, _, _ := strings.Cut(target, "?")
	at := 0
	for range pathSegments {
		if at >= len(path) {
			return ""
		}
		next := strings.IndexByte(path[at+1:], '/')
		if next < 0 {
			return target[len(path):]
		}
		at += 1 + next
	}
	return target[at:]
}
