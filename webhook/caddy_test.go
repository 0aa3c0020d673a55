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

// caddy runs the page's configuration in a real one, which asks at webhook; certificate
// is the one that it shows. replace is applied last.
func (f *front) caddy(t *testing.T, webhook, certificate string, replace ...string) (address string) {
	t.Helper()
	port := strconv.Itoa(env.FreePortForTest(t))
	conf := filled(t, block(t, "caddy.md", "Caddyfile"), append([]string{
		"https://orders.example.com:443 {", "https://orders.example.com:" + port + ", https://other.example.com:" + port + " {\n" +
			"\tbind 127.0.0.1\n\ttls " + f.dir + "/user.crt " + f.dir + "/user.key",
		"https://webhook.introspection.svc:9443", "https://" + webhook, "http://orders.shop.svc:8080", f.api.URL,
		"/etc/caddy/gateway/tls", f.dir + "/" + certificate, "/bindings/orders/ca.crt", f.dir + "/ca.crt",
	}, replace...)...)
	// Tests have no port 80, and need no HTTP/3.
	env.CaddyForTest(t, "{\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n"+conf)
	return "127.0.0.1:" + port
}

// TestCaddy: through a real Caddy with the page's configuration.
func TestCaddy(t *testing.T) {
	f := serveFront(t, "caddy.md", "caddy.ingress.svc")
	f.certificate(t, "foreign", f.clients, "api.edge.svc")
	edge := f.caddy(t, f.addresses.ForwardAuth, "gateway")
	foreign := f.caddy(t, f.addresses.ForwardAuth, "foreign")
	nobody := f.caddy(t, "127.0.0.1:"+strconv.Itoa(env.FreePortForTest(t)), "gateway")
	alice := http.Header{"X-Auth-Subject": {"alice"}}
	f.rows(t, func(r *row) bool { return r.status != 200 && r.gateway != nobody }, map[string]row{
		"allow":               {reason: "identity reaches the API", gateway: edge, token: "alice", status: 200, seen: alice, asked: usual},
		"GET":                 {reason: "the user's method is told", gateway: edge, token: "alice", method: "GET", status: 200, seen: alice, asked: "GET orders.example.com /orders?page=2"},
		"missing":             {reason: "401 with its challenge", gateway: edge, status: 401, challenge: missing},
		"inactive":            {reason: "401 with its challenge", gateway: edge, token: "garbage", status: 401, challenge: inactive},
		"scope":               {reason: "403 with its challenge", gateway: edge, token: "narrow", status: 403, challenge: narrow},
		"outage":              {reason: "503 as it is", gateway: edge, token: "outage", status: 503},
		"no webhook":          {reason: "nobody can tell", gateway: nobody, token: "alice", status: 502},
		"unknown gateway":     {reason: "its certificate has another name", gateway: foreign, token: "alice", status: 503, asked: "-"},
		"two headers":         {reason: "which one is it?", gateway: edge, token: "alice", lines: []string{"Authorization: Bearer narrow"}, status: 401, challenge: twoOf, asked: "-"},
		"CVE-2026-40575":      {reason: "Caddy tells what it saw, whatever the client says", gateway: edge, token: "alice", lines: []string{"X-Original-URL: http://h/?access_token=x", "X-Forwarded-Host: h", "X-Forwarded-Uri: /h?access_token=x", "X-Forwarded-Method: HEAD", "X-Forwarded-Proto: http"}, status: 200, seen: alice, asked: usual},
		"spoofed":             {reason: "ours replaces it, and removes it where ours is empty", gateway: edge, token: "alice", lines: []string{"X-Auth-Subject: root", "X-Auth-Tenant: root"}, status: 200, seen: alice},
		"spoofed, lower case": {reason: "ours replaces it", gateway: edge, token: "alice", lines: []string{"x-auth-subject: root"}, status: 200, seen: alice},
		"spoofed, no token":   {reason: "no identity without a token", gateway: edge, lines: []string{"X-Auth-Subject: root"}, status: 401, challenge: missing},
		"CVE-2026-44087":      {reason: "Caddy drops them", gateway: edge, token: "alice", lines: []string{"X_Auth_Subject: root", "X.Auth.Subject: root"}, status: 200, seen: alice},
		"CVE-2026-88011":      {reason: "Caddy would let it through", gateway: edge, token: "alice", lines: []string{"X!Auth!Subject: root"}, status: 401, challenge: spelling},
		"GHSA-w9mr-28mw-j8hg": {reason: "ours is not removed", gateway: edge, token: "alice", lines: []string{"Connection: X-Auth-Subject"}, status: 200, seen: alice},
		"hop-by-hop, upgrade": {reason: "nor beside an upgrade", gateway: edge, token: "alice", lines: []string{"Connection: Upgrade, X-Auth-Subject", "Upgrade: websocket"}, status: 200, seen: alice},
		"CVE-2023-27488":      {reason: "bytes that no token has: denied, no crash", gateway: edge, token: "alice\xff", status: 401, challenge: noToken, asked: "-"},
		"bytes elsewhere":     {reason: "they mean nothing to us", gateway: edge, token: "alice", lines: []string{"X-Note: \xff\xfe"}, status: 200, seen: alice},
		"CVE-2026-33494":      {reason: "the path is told raw, and selects nothing", gateway: edge, token: "alice", target: "/a/..%2f../authorize/shop/lax", status: 200, seen: alice, asked: "POST orders.example.com /a/..%2f../authorize/shop/lax"},
		"dots":                {reason: "the same policy", gateway: edge, token: "alice", target: "/strict/../orders", status: 200, seen: alice, asked: "POST orders.example.com /strict/../orders"},
		"dots, encoded":       {reason: "the same policy", gateway: edge, token: "alice", target: "/strict/%2e%2e/orders", status: 200, seen: alice, asked: "POST orders.example.com /strict/%2e%2e/orders"},
		"dots above the root": {reason: "the same policy", gateway: edge, token: "alice", target: "/../../../lax", status: 200, seen: alice, asked: "POST orders.example.com /../../../lax"},
		"slashes":             {reason: "the same policy", gateway: edge, token: "alice", target: "//lax//orders", status: 200, seen: alice, asked: "POST orders.example.com //lax//orders"},
		"backslash":           {reason: "the same policy; Caddy encodes it", gateway: edge, token: "alice", target: `/a\..\lax`, status: 200, seen: alice, asked: "POST orders.example.com /a%5C..%5Clax"},
		"another host":        {reason: "the one that chose the site is told, not the Host header", gateway: edge, token: "alice", target: "https://other.example.com/orders", status: 403, challenge: notOurs, asked: "POST other.example.com /orders"},
		"preflight":           {reason: "browsers send no token with it, and nobody is whom the client says", gateway: edge, method: "OPTIONS", lines: []string{"Origin: https://shop.example.com", "Access-Control-Request-Method: PUT", "X-Auth-Subject: root"}, status: 200, seen: http.Header{}, asked: "OPTIONS orders.example.com /orders?page=2"},
		"token in the query":  {reason: "no token in a URL", gateway: edge, token: "alice", target: "/orders?access_token=alice", status: 401, challenge: inQuery, asked: "-"},
	})
	f.everywhere(t, alice, edge)
}

// TestCaddyCertificate: RFC 8705 needs the certificate of the user, and of nobody else.
func TestCaddyCertificate(t *testing.T) {
	f := serveFront(t, "caddy.md", "caddy.ingress.svc", "certificate.yaml")
	site, auth := block(t, "caddy.md", "Caddyfile-certificate-site"), block(t, "caddy.md", "Caddyfile-certificate-auth")
	site = filled(t, site, "tls {", "tls "+f.dir+"/user.crt "+f.dir+"/user.key {")
	f.certificates(t, f.caddy(t, f.addresses.ForwardAuth, "gateway",
		"\troute {\n", site+"\troute {\n", "\t\t\turi /authorize/shop/orders\n", "\t\t\turi /authorize/shop/orders\n"+auth,
	), "X-Client-Cert")
}

// TestCaddyServiceAccount: Caddy proves itself by the token of its pod, which neither its
// users can put in its place nor the API sees.
func TestCaddyServiceAccount(t *testing.T) {
	f := serveFront(t, "caddy.md", "caddy.ingress.svc", "account.yaml")
	run := func(raw string) string {
		f.write(t, raw, []byte(raw+"\n"))
		header := filled(t, block(t, "caddy.md", "Caddyfile-token"), "/var/run/introspection/token", f.dir+"/"+raw)
		return f.caddy(t, f.addresses.ForwardAuth, "gateway",
			"\t\t\t\ttls_client_auth "+f.dir+"/gateway.crt "+f.dir+"/gateway.key\n", "",
			"\t\t\turi /authorize/shop/orders\n", "\t\t\turi /authorize/shop/orders\n"+header)
	}
	edge, other := run("caddy-at-https.webhook.introspection.svc.9443"), run("other-at-https.webhook.introspection.svc.9443")
	alice := http.Header{"X-Auth-Subject": {"alice"}}
	f.rows(t, func(r *row) bool { return r.status != 200 }, map[string]row{
		"allow":           {reason: "its account is the declared one", gateway: edge, token: "alice", status: 200, seen: alice, asked: usual},
		"inactive":        {reason: "401 with its challenge", gateway: edge, token: "garbage", status: 401, challenge: inactive},
		"spoofed":         {reason: "Caddy sets its own", gateway: edge, token: "alice", lines: []string{"Introspection-Gateway: nobody"}, status: 200, seen: alice},
		"another account": {reason: "it is nobody, whatever its users send", gateway: other, token: "alice", lines: []string{"Introspection-Gateway: caddy-at-https.webhook.introspection.svc.9443"}, status: 503, asked: "-"},
	})
	if got := f.through(t, &row{gateway: edge, token: "alice"}); strings.Contains(string(got.body), "caddy-at") {
		t.Errorf("the API was sent the gateway's token: %s", got.body)
	}
}
