// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// envoyHTTP is the page's configuration that asks over HTTP.
func envoyHTTP(t *testing.T) string {
	t.Helper()
	conf := block(t, "envoy.md", "envoy.yaml")
	conf = between(t, conf, "          - name: envoy.filters.http.ext_authz\n", "          - name: envoy.filters.http.router\n", block(t, "envoy.md", "envoy-http.yaml"))
	conf = between(t, conf, "                # Which policy: said here", "  clusters:\n", "")
	conf = strings.TrimSuffix(conf, "\n") + "\n"
	conf = between(t, conf, "    typed_extension_protocol_options:\n", "    transport_socket:\n      name: tls\n      typed_config:\n        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n", "")
	return filled(t, conf, "port_value: 9444", "port_value: 9443")
}

// TestEnvoyHTTP: through a real Envoy that asks over HTTP, with the page's configuration.
func TestEnvoyHTTP(t *testing.T) {
	f := serveFront(t, "envoy.md", "envoy.ingress.svc", "EnvoyHTTP")
	f.certificate(t, "foreign", f.clients, "api.edge.svc")
	conf, at := envoyHTTP(t), f.addresses.ForwardAuth
	edge := f.envoy(t, conf, at, "gateway")
	loose := f.envoy(t, conf, at, "gateway", rawEnvoy()...)
	foreign := f.envoy(t, conf, at, "foreign")
	nobody := f.envoy(t, conf, "127.0.0.1:"+strconv.Itoa(env.FreePortForTest(t)), "gateway")
	alice := http.Header{"X-Auth-Subject": {"alice"}, "X-Auth-Tenant": {""}}
	f.rows(t, func(r *row) bool { return r.status != 503 }, map[string]row{
		"allow":               {reason: "identity reaches the API, and what is unknown as empty", gateway: edge, token: "alice", status: 200, seen: alice, asked: usual},
		"GET":                 {reason: "the user's method is told", gateway: edge, token: "alice", method: "GET", status: 200, seen: alice, asked: "GET orders.example.com /orders?page=2"},
		"missing":             {reason: "401 with its challenge", gateway: edge, status: 401, challenge: missing},
		"inactive":            {reason: "401 with its challenge", gateway: edge, token: "garbage", status: 401, challenge: inactive},
		"scope":               {reason: "403 with its challenge", gateway: edge, token: "narrow", status: 403, challenge: narrow},
		"outage":              {reason: "status_on_error", gateway: edge, token: "outage", status: 503},
		"no webhook":          {reason: "nobody can tell", gateway: nobody, token: "alice", status: 503},
		"unknown gateway":     {reason: "its certificate has another name", gateway: foreign, token: "alice", status: 503, asked: "-"},
		"two headers":         {reason: "Envoy joins them; which one is it?", gateway: edge, token: "alice", lines: []string{"Authorization: Bearer narrow"}, status: 401, challenge: noToken, asked: "-"},
		"CVE-2026-40575":      {reason: "Envoy tells what it saw, whatever the client says", gateway: edge, token: "alice", lines: []string{"X-Original-URL: http://h/?access_token=x", "X-Forwarded-Host: h", "X-Forwarded-Uri: /h?access_token=x", "X-Envoy-Original-Path: /h"}, status: 200, seen: alice, asked: usual},
		"spoofed":             {reason: "ours replaces it", gateway: edge, token: "alice", lines: []string{"X-Auth-Subject: root", "X-Auth-Tenant: root"}, status: 200, seen: alice},
		"spoofed, twice":      {reason: "ours replaces both", gateway: edge, token: "alice", lines: []string{"x-auth-subject: root", "X-Auth-Subject: admin"}, status: 200, seen: alice},
		"spoofed, no token":   {reason: "no identity without a token", gateway: edge, lines: []string{"X-Auth-Subject: root"}, status: 401, challenge: missing},
		"CVE-2026-44087":      {reason: "Envoy drops it", gateway: edge, token: "alice", lines: []string{"X_Auth_Subject: root"}, status: 200, seen: alice},
		"CVE-2026-88011":      {reason: "nor where Envoy lets it through", gateway: loose, token: "alice", lines: []string{"X_Auth_Subject: root"}, status: 401, challenge: spelling},
		"alias, mixed":        {reason: "no spelling gets through", gateway: loose, token: "alice", lines: []string{"x-auth_subject: root"}, status: 401, challenge: spelling},
		"alias, dots":         {reason: "no spelling gets through", gateway: edge, token: "alice", lines: []string{"X.Auth.Subject: root"}, status: 401, challenge: spelling},
		"GHSA-w9mr-28mw-j8hg": {reason: "ours is not removed", gateway: edge, token: "alice", lines: []string{"Connection: X-Auth-Subject"}, status: 200, seen: alice},
		"CVE-2023-27488":      {reason: "bytes that no token has: denied, no crash", gateway: edge, token: "alice\xff", status: 401, challenge: noToken, asked: "-"},
		"bytes elsewhere":     {reason: "they mean nothing to us", gateway: edge, token: "alice", lines: []string{"X-Note: \xff\xfe"}, status: 200, seen: alice},
		"CVE-2026-33494":      {reason: "envoy #36122: the client's path is appended to ours", gateway: loose, token: "alice", target: "/../../shop/lax", status: 200, seen: alice, asked: "POST orders.example.com /../../shop/lax"},
		"dots":                {reason: "the same policy", gateway: edge, token: "alice", target: "/strict/../orders", status: 200, seen: alice, asked: "POST orders.example.com /orders"},
		"dots, raw":           {reason: "the same policy", gateway: loose, token: "alice", target: "/strict/../orders", status: 200, seen: alice, asked: "POST orders.example.com /strict/../orders"},
		"dots, encoded":       {reason: "the same policy", gateway: loose, token: "alice", target: "/%2e%2e/lax", status: 200, seen: alice, asked: "POST orders.example.com /%2e%2e/lax"},
		"encoded slash":       {reason: "the same policy", gateway: loose, token: "alice", target: "/..%2flax", status: 200, seen: alice, asked: "POST orders.example.com /..%2flax"},
		"slashes":             {reason: "the same policy", gateway: loose, token: "alice", target: "//lax//orders", status: 200, seen: alice, asked: "POST orders.example.com //lax//orders"},
		"backslash":           {reason: "the same policy", gateway: loose, token: "alice", target: `/..\lax`, status: 200, seen: alice, asked: `POST orders.example.com /..\lax`},
		"semicolon":           {reason: "the same policy", gateway: loose, token: "alice", target: "/;/../lax", status: 200, seen: alice, asked: "POST orders.example.com /;/../lax"},
		"another host":        {reason: "the one that chose the route is told, not the Host header", gateway: edge, token: "alice", target: "http://other.example.com/orders", status: 403, challenge: notOurs, asked: "POST other.example.com /orders"},
		"preflight":           {reason: "browsers send no token with it, and nobody is whom the client says", gateway: edge, method: "OPTIONS", lines: []string{"Origin: https://shop.example.com", "Access-Control-Request-Method: PUT", "X-Auth-Subject: root"}, status: 200, seen: http.Header{"X-Auth-Subject": {""}, "X-Auth-Tenant": {""}}, asked: "OPTIONS orders.example.com /orders?page=2"},
		"token in the query":  {reason: "no token in a URL", gateway: edge, token: "alice", target: "/orders?access_token=alice", status: 401, challenge: inQuery, asked: "-"},
	})
	f.everywhere(t, alice, edge, loose)
}

// TestEnvoyHTTPCertificate: RFC 8705 needs the certificate of the user, and of nobody else.
func TestEnvoyHTTPCertificate(t *testing.T) {
	f := serveFront(t, "envoy.md", "envoy.ingress.svc", "EnvoyHTTP", "certificate-http.yaml")
	f.certificates(t, f.envoy(t, envoyHTTP(t), f.addresses.ForwardAuth, "gateway",
		"              private_key: {filename: /etc/envoy/tls/tls.key}\n",
		"              private_key: {filename: /etc/envoy/tls/tls.key}\n"+block(t, "envoy.md", "envoy-certificate-listener.yaml"),
		"          stat_prefix: orders\n", "          stat_prefix: orders\n"+block(t, "envoy.md", "envoy-certificate-xfcc.yaml"),
		"                - {exact: dpop}\n", "                - {exact: dpop}\n                - {exact: x-forwarded-client-cert}\n",
	), "X-Forwarded-Client-Cert")
}
