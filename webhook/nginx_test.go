// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// nginx runs the page's configuration in a real one, which asks at webhook; certificate
// is the one that it shows. replace is applied first.
func (f *front) nginx(t *testing.T, webhook, certificate string, replace ...string) (address string) {
	t.Helper()
	address = "127.0.0.1:" + strconv.Itoa(env.FreePortForTest(t))
	conf := filled(t, block(t, "nginx.md", "nginx.conf"), append(replace,
		"http {", "http {\n  access_log off;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n"+
			"  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n",
		"listen 443 ssl;", "listen "+address+" ssl;",
		"https://webhook.introspection.svc:9443", "https://"+webhook, "http://orders.shop.svc:8080", f.api.URL,
		"/etc/nginx/tls/tls", f.dir+"/user", "/etc/nginx/gateway/tls", f.dir+"/"+certificate, "/bindings/orders/ca.crt", f.dir+"/ca.crt")...)
	env.NginxForTest(t, conf)
	return address
}

const (
	missing  = `Bearer realm="introspection"`
	inactive = `Bearer error="invalid_token", error_description="The token is not active."`
	narrow   = `Bearer error="insufficient_scope", error_description="The token lacks the scope orders.read.", scope="orders.read"`
	spelling = `Bearer error="invalid_request", error_description="The request has another spelling of the header X-Auth-Subject, which the gateway sets, or names it in Connection: do not send it."`
	noToken  = `Bearer error="invalid_request", error_description="The Authorization header does not hold one token."`
	twoOf    = `Bearer error="invalid_request", error_description="There are two Authorization headers: send one."`
	inQuery  = `Bearer error="invalid_request", error_description="The URL has an access_token, where logs keep it. Send tokens in the Authorization header alone."`
	notOurs  = `Bearer error="access_denied", error_description="The host that was called is not one of this API, or the gateway does not tell it."`
	usual    = "POST orders.example.com /orders?page=2"
)

// TestNginx: through a real nginx with the page's configuration.
func TestNginx(t *testing.T) {
	f := serveFront(t, "nginx.md", "nginx.ingress.svc")
	f.certificate(t, "foreign", f.clients, "api.edge.svc")
	edge := f.nginx(t, f.addresses.ForwardAuth, "gateway")
	loose := f.nginx(t, f.addresses.ForwardAuth, "gateway", "underscores_in_headers off;", "underscores_in_headers on;")
	foreign := f.nginx(t, f.addresses.ForwardAuth, "foreign")
	nobody := f.nginx(t, "127.0.0.1:"+strconv.Itoa(env.FreePortForTest(t)), "gateway")
	alice := http.Header{"X-Auth-Subject": {"alice"}}
	f.rows(t, func(r *row) bool { return r.status != 400 && r.status != 404 && r.gateway != nobody }, map[string]row{
		"allow":                {reason: "identity reaches the API", gateway: edge, token: "alice", status: 200, seen: alice, asked: usual},
		"GET":                  {reason: "the user's method is told", gateway: edge, token: "alice", method: "GET", status: 200, seen: alice, asked: "GET orders.example.com /orders?page=2"},
		"missing":              {reason: "401 with its challenge", gateway: edge, status: 401, challenge: missing},
		"inactive":             {reason: "401 with its challenge", gateway: edge, token: "garbage", status: 401, challenge: inactive},
		"scope":                {reason: "403 with its challenge", gateway: edge, token: "narrow", status: 403, challenge: narrow},
		"outage":               {reason: "nginx makes a 500 of 503", gateway: edge, token: "outage", status: 500},
		"no webhook":           {reason: "nobody can tell", gateway: nobody, token: "alice", status: 500},
		"unknown gateway":      {reason: "its certificate has another name", gateway: foreign, token: "alice", status: 500, asked: "-"},
		"two headers":          {reason: "nginx refuses them itself", gateway: edge, token: "alice", lines: []string{"Authorization: Bearer narrow"}, status: 400, asked: "-"},
		"CVE-2026-40575":       {reason: "nginx tells what it saw, whatever the client says", gateway: edge, token: "alice", lines: []string{"X-Original-URL: http://h/?access_token=x", "X-Original-Method: HEAD", "X-Forwarded-Host: h", "X-Forwarded-Uri: /h"}, status: 200, seen: alice, asked: usual},
		"spoofed":              {reason: "ours replaces it, and removes it where ours is empty", gateway: edge, token: "alice", lines: []string{"X-Auth-Subject: root", "X-Auth-Tenant: root"}, status: 200, seen: alice},
		"spoofed, lower case":  {reason: "ours replaces it", gateway: edge, token: "alice", lines: []string{"x-auth-subject: root"}, status: 200, seen: alice},
		"spoofed, no token":    {reason: "no identity without a token", gateway: edge, lines: []string{"X-Auth-Subject: root"}, status: 401, challenge: missing},
		"CVE-2026-44087":       {reason: "an alias does not reach the API", gateway: edge, token: "alice", lines: []string{"X_Auth_Subject: root", "X.Auth.Tenant: root"}, status: 200, seen: alice},
		"CVE-2026-88011":       {reason: "nor where nginx lets it through", gateway: loose, token: "alice", lines: []string{"X_Auth_Subject: root"}, status: 401, challenge: spelling},
		"GHSA-w9mr-28mw-j8hg":  {reason: "ours is not removed", gateway: edge, token: "alice", lines: []string{"Connection: X-Auth-Subject"}, status: 200, seen: alice},
		"CVE-2023-27488":       {reason: "bytes that no token has: denied, no crash", gateway: edge, token: "alice\xff", status: 401, challenge: noToken, asked: "-"},
		"bytes elsewhere":      {reason: "they mean nothing to us", gateway: edge, token: "alice", lines: []string{"X-Note: \xff\xfe"}, status: 200, seen: alice},
		"CVE-2026-33494":       {reason: "the path is told raw, and selects nothing", gateway: edge, token: "alice", target: "/a/b/..%2f../authorize/shop/lax", status: 200, seen: alice, asked: "POST orders.example.com /a/b/..%2f../authorize/shop/lax"},
		"dots":                 {reason: "the same policy", gateway: edge, token: "alice", target: "/strict/../orders", status: 200, seen: alice, asked: "POST orders.example.com /strict/../orders"},
		"dots, encoded":        {reason: "the same policy", gateway: edge, token: "alice", target: "/strict/%2e%2e/orders", status: 200, seen: alice, asked: "POST orders.example.com /strict/%2e%2e/orders"},
		"dots above the root":  {reason: "nginx refuses them itself", gateway: edge, token: "alice", target: "/../../orders", status: 400, asked: "-"},
		"slashes":              {reason: "the same policy", gateway: edge, token: "alice", target: "//lax//orders", status: 200, seen: alice, asked: "POST orders.example.com //lax//orders"},
		"backslash":            {reason: "the same policy", gateway: edge, token: "alice", target: `/a\..\lax`, status: 200, seen: alice, asked: `POST orders.example.com /a\..\lax`},
		"another host":         {reason: "the one that chose the server is told, not the Host header", gateway: edge, token: "alice", target: "http://other.example.com/orders", status: 403, challenge: notOurs, asked: "POST other.example.com /orders"},
		"preflight":            {reason: "browsers send no token with it, and nobody is whom the client says", gateway: edge, method: "OPTIONS", lines: []string{"Origin: https://shop.example.com", "Access-Control-Request-Method: PUT", "X-Auth-Subject: root"}, status: 200, seen: http.Header{}, asked: "OPTIONS orders.example.com /orders?page=2"},
		"token in the query":   {reason: "no token in a URL", gateway: edge, token: "alice", target: "/orders?access_token=alice", status: 401, challenge: inQuery, asked: "-"},
		"location of the page": {reason: "the question's own location is no way in", gateway: edge, token: "alice", target: "/_introspection", status: 404, asked: "-"},
	})
	f.everywhere(t, alice, edge, loose)
	t.Run("headers as long as nginx takes", func(t *testing.T) {
		f.engine.long.Store(true)
		got := f.through(t, &row{gateway: edge, token: "alice"})
		if got.status != http.StatusOK || len(identity(t, got).Get("X-Auth-Subject")) < 3000 {
			t.Errorf("answered %d", got.status)
		}
	})
}

// TestNginxCertificate: RFC 8705 needs the certificate of the user, and of nobody else.
func TestNginxCertificate(t *testing.T) {
	f := serveFront(t, "nginx.md", "nginx.ingress.svc", "certificate.yaml")
	f.certificates(t, f.nginx(t, f.addresses.ForwardAuth, "gateway",
		"    location / {\n", block(t, "nginx.md", "nginx-certificate-server.conf")+"    location / {\n",
		"      internal;\n", "      internal;\n"+block(t, "nginx.md", "nginx-certificate-location.conf"),
	), "X-Client-Cert")
}
