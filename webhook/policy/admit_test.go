// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestAdmitHTTP(t *testing.T) {
	const goOn = "go on"
	onHost := func(host string) *token.HTTPRequest {
		return &token.HTTPRequest{Method: "GET", Host: host, Target: "/"}
	}
	cors := http.Header{"Origin": {"https://shop.example.com"}, "Access-Control-Request-Method": {"PUT"}}
	subject := headers(map[string]string{"X-Auth-Subject": "sub"})
	cases := map[string]struct {
		reason string
		spec   specs
		http   *token.HTTPRequest
		want   string
	}{
		"any":                {"nothing is restricted", nil, request("GET", "/", nil), goOn},
		"gateway":            {"listed", specs{gateways("nginx", "traefik")}, request("GET", "/", nil), goOn},
		"other gateway":      {"the user's token is not at fault", specs{gateways("nginx")}, request("GET", "/", nil), "gateway_not_allowed"},
		"request not read":   {"a fault of ours is no refusal", nil, nil, "internal"},
		"host":               {"without port, without case", specs{hosts("x", "ORDERS.example.com")}, request("GET", "/", nil), goOn},
		"other host":         {"equal, not alike", specs{hosts("orders.example.com")}, onHost("orders.example.com.evil.example"), "host_not_allowed"},
		"no host":            {"unknown is not good", specs{hosts("orders.example.com")}, onHost(""), "host_not_allowed"},
		"port only":          {"no host", specs{hosts("orders.example.com")}, onHost(":443"), "host_not_allowed"},
		"two ports":          {"no authority", specs{hosts("orders.example.com")}, onHost("orders.example.com:1:2"), "host_not_allowed"},
		"user in the host":   {"another host", specs{hosts("orders.example.com")}, onHost("orders.example.com:x@evil.example"), "host_not_allowed"},
		"IPv6":               {"no port is in it", specs{hosts("1.2.3.4")}, onHost("[::1]"), "host_not_allowed"},
		"Kelvin sign":        {"is no k", specs{hosts("k.example")}, onHost("\u212a.example"), "host_not_allowed"},
		"exact header":       {"every gateway replaces it", specs{subject}, request("GET", "/", http.Header{"X-Auth-Subject": {"a"}}), goOn},
		"CVE-2026-44087":     {"another spelling goes through to the API", specs{subject}, request("GET", "/", http.Header{"X_auth_subject": {"a"}}), "invalid_request"},
		"CVE-2026-88011":     {"another spelling goes through to the API", specs{subject}, request("GET", "/", http.Header{"X.Auth.Subject": {"a"}}), "invalid_request"},
		"GHSA-w9mr":          {"a proxy would remove ours", specs{subject}, request("GET", "/", http.Header{"Connection": {"close, x-auth-subject"}}), "invalid_request"},
		"preflight":          {"without a token only where it is asked for", nil, request("OPTIONS", "/", cors), goOn},
		"preflight allowed":  {"browsers send no token", specs{preflight, subject}, request("OPTIONS", "/", cors), "Allow"},
		"no preflight":       {"another method", specs{preflight}, request("GET", "/", cors), goOn},
		"lower-case method":  {"methods have case", specs{preflight}, request("options", "/", cors), goOn},
		"no origin":          {"not of a browser", specs{preflight}, request("OPTIONS", "/", http.Header{"Access-Control-Request-Method": {"PUT"}}), goOn},
		"no request method":  {"an OPTIONS request of its own", specs{preflight}, request("OPTIONS", "/", http.Header{"Origin": {"x"}}), goOn},
		"preflight of other": {"hosts come first", specs{preflight, hosts("x")}, request("OPTIONS", "/", cors), "host_not_allowed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, c.spec...)
			for _, surface := range token.Surfaces() {
				d, u := p.AdmitHTTP(&token.Request{Surface: surface, Gateway: "traefik", HTTP: c.http})
				got := goOn
				switch {
				case d != nil && u != nil:
					t.Fatal("both")
				case u != nil:
					got = string(u.Reason)
				case d != nil && d.Verdict == token.Allow:
					got = "Allow"
					want := []token.Header{}
					for _, name := range p.HeaderNames() {
						want = append(want, token.Header{Name: name}) // GHSA-7r4p-vjf4-gxv4
					}
					if diff := cmp.Diff(&token.Decision{Verdict: token.Allow, Headers: want}, d); diff != "" {
						t.Errorf("%s (-want +got):\n%s", c.reason, diff)
					}
				case d != nil:
					got = string(d.Reason)
					fit(t, *d)
				}
				want := c.want
				if !surface.OnGateway() {
					want = goOn
				}
				if got != want {
					t.Errorf("%s: %s: %s, want %s", surface, c.reason, got, want)
				}
			}
		})
	}
}
