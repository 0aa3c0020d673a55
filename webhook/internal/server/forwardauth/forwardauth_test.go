// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/forwardauth"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const path = "/authorize/shop/orders"

// serve answers a gateway of a kind; none for a caller that proved nothing.
func serve(t *testing.T, e *engine, kind server.Kind) *fixture {
	t.Helper()
	return start(t, &fixture{engine: e}, server.Route{First: forwardauth.Path, Below: true}, func(record server.RecordFunc) server.Surface {
		return forwardauth.New(forwardauth.Options{Decide: e.Decide, Record: record, Clock: func() time.Time { return time.Unix(1, 0) }, Caller: func(*http.Request) (*server.Gateway, bool) {
			return &server.Gateway{Name: "edge", Kind: kind}, kind != ""
		}})
	})
}

func bearer(raw string) http.Header { return http.Header{"Authorization": {"Bearer " + raw}} }

// TestRFC6750Requests: one transmission method, strictly; on gateways never 400. What a
// header may hold is server.Presented's to say.
func TestRFC6750Requests(t *testing.T) {
	nginx := func(url string) http.Header { return with(bearer("t"), "X-Original-Url", url) }
	cases := map[string]struct {
		reason string
		kind   server.Kind
		header http.Header
		token  string // the engine is asked about it
		scheme token.Scheme
		asked  bool
	}{
		"bearer":                    {"the usual", server.Nginx, bearer("t"), "t", token.SchemeBearer, true},
		"DPoP":                      {"RFC 9449", server.Nginx, http.Header{"Authorization": {"DPoP t"}}, "t", token.SchemeDPoP, true},
		"none":                      {"the policy's answer says so", server.Nginx, nil, "", token.SchemeBearer, true},
		"another scheme":            {"RFC 6750 section 3.1", server.Nginx, http.Header{"Authorization": {"Basic dTpw"}}, "", token.SchemeBearer, true},
		"scheme alone":              {"no token", server.Nginx, http.Header{"Authorization": {"Bearer"}}, "", 0, false},
		"two headers":               {"which one is it?", server.Nginx, http.Header{"Authorization": {"Bearer t", "Bearer u"}}, "", 0, false},
		"merged":                    {"Envoy merges two", server.EnvoyHTTP, bearer("t,Bearer u"), "", 0, false},
		"CVE-2023-27488":            {"bytes that no token has", server.Nginx, bearer("t\xff\xfe"), "", 0, false},
		"query too":                 {"two ways of transmission", server.Nginx, nginx("https://h/x?a=b&access_token=u"), "", 0, false},
		"query alone":               {"no token in a URL", server.Nginx, http.Header{"X-Original-Url": {"https://h/x?access_token=u"}}, "", 0, false},
		"query, encoded":            {"the API decodes it", server.Nginx, nginx("https://h/x?access%5Ftoken=u"), "", 0, false},
		"query, Traefik":            {"its header", server.Traefik, with(bearer("t"), "X-Forwarded-Uri", "/x?access_token=u"), "", 0, false},
		"query, Caddy":              {"its header", server.Caddy, with(bearer("t"), "X-Forwarded-Uri", "/x?access_token=u"), "", 0, false},
		"path":                      {"no query", server.Nginx, nginx("https://h/access_token=u"), "t", token.SchemeBearer, true},
		"CVE-2026-40575 on nginx":   {"only its own headers are read", server.Nginx, with(bearer("t"), "X-Forwarded-Uri", "/x?access_token=u"), "t", token.SchemeBearer, true},
		"CVE-2026-40575 on Traefik": {"only its own headers are read", server.Traefik, with(bearer("t"), "X-Original-Url", "https://h/x?access_token=u"), "t", token.SchemeBearer, true},
		"CVE-2026-40575 on Envoy":   {"only its own path is read", server.EnvoyHTTP, with(nginx("https://h/x?access_token=u"), "X-Forwarded-Uri", "/x?access_token=u"), "t", token.SchemeBearer, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}}, c.kind)
			resp, _ := f.do(t, http.MethodGet, path, c.header)
			if c.asked {
				if diff := cmp.Diff([]string{c.token}, f.engine.tokens()); diff != "" || resp.StatusCode != http.StatusOK || f.engine.asked[0].Scheme != c.scheme {
					t.Errorf("%s: answered %d; tokens (-want +got):\n%s", c.reason, resp.StatusCode, diff)
				}
				return
			}
			challenge := resp.Header.Get("WWW-Authenticate")
			if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(challenge, `Bearer error="invalid_request", error_description="`) {
				t.Errorf("%s: answered %d, %q", c.reason, resp.StatusCode, challenge)
			}
			if asked := f.engine.tokens(); asked != nil {
				t.Errorf("%s: the engine was asked about %q", c.reason, asked)
			}
		})
	}
	t.Run("query, Envoy", func(t *testing.T) {
		f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}}, server.EnvoyHTTP)
		if resp, _ := f.do(t, http.MethodGet, path+"/x?access_token=u", bearer("t")); resp.StatusCode != http.StatusUnauthorized || f.engine.tokens() != nil {
			t.Errorf("answered %d", resp.StatusCode)
		}
	})
}

func with(h http.Header, name string, values ...string) http.Header {
	h[name] = values
	return h
}

// TestRequest: what the engine is told of a request. It judges: aliases of identity
// headers too (CVE-2026-88011), for which it has all headers as they were sent.
func TestRequest(t *testing.T) {
	e := &engine{}
	f := serve(t, e, server.EnvoyHTTP)
	header := http.Header{
		"Authorization": {"DPoP t"}, "Dpop": {"proof"}, "X_auth_subject": {"root"}, "X-Auth-Subject": {"a", "b"},
		"Introspection-Gateway": {"canary-account"}, "User-Agent": {"test"}, "Accept-Encoding": {"identity"},
	}
	resp, _ := f.do(t, http.MethodPut, path+"/v1/..//x%2e?y=z", header)
	delete(header, "Introspection-Gateway")
	header["Content-Length"] = []string{"0"}
	want := token.Request{
		ID: resp.Header.Get(server.HeaderDecision), Surface: token.SurfaceForwardAuth, Policy: token.Ref{Namespace: "shop", Name: "orders"},
		Token: token.New("t"), Scheme: token.SchemeDPoP, Gateway: "edge",
		HTTP: &token.HTTPRequest{
			Method: http.MethodPut, Host: strings.TrimPrefix(f.url, "https://"), Target: "/v1/..//x%2e?y=z",
			Headers: token.HTTPHeaders(header), Proofs: []string{"proof"},
		},
	}
	if diff := cmp.Diff([]token.Request{want}, e.asked, cmp.AllowUnexported(token.Token{})); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestGHSA7r4pAllow: each configured header once, empty if unknown, nothing else, and
// exactly 200.
func TestGHSA7r4pAllow(t *testing.T) {
	e := &engine{decision: token.Decision{Verdict: token.Allow, Headers: []token.Header{
		{Name: "X-Auth-Subject", Value: "alice"}, {Name: "x-auth-issuer", Value: ""}, {Name: "X-Auth-Subject", Value: "alice"},
	}}}
	f := serve(t, e, server.Nginx)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodHead, "PURGE"} {
		resp, body := f.do(t, method, path+"/../other", bearer("t"))
		resp.Header.Del("Date")
		id := resp.Header.Get(server.HeaderDecision)
		want := http.Header{
			"X-Auth-Subject": {"alice"}, "X-Auth-Issuer": {""}, "Cache-Control": {"no-store"}, "Content-Length": {"0"},
			server.HeaderDecision: {id},
		}
		if method == http.MethodHead {
			want.Del("Content-Length")
		}
		if diff := cmp.Diff(want, resp.Header); diff != "" || resp.StatusCode != http.StatusOK || body != "" {
			t.Errorf("%s is answered %d, %q (-want +got):\n%s", method, resp.StatusCode, body, diff)
		}
		if got := e.asked[len(e.asked)-1].Policy; got != (token.Ref{Namespace: "shop", Name: "orders"}) {
			t.Errorf("%s: asked about %s", method, got)
		}
	}
}

// TestRefusal is server.Challenge, with nothing of an allow.
func TestRefusal(t *testing.T) {
	f := serve(t, &engine{decision: token.Decision{
		Reason: token.ReasonInsufficientScope, Message: "why", Challenge: token.Challenge{Scope: "orders.read"},
		Headers: []token.Header{{Name: "X-Auth-Subject", Value: "alice"}},
	}}, server.Nginx)
	resp, body := f.do(t, http.MethodGet, path, bearer("t"))
	want := []string{`Bearer error="insufficient_scope", error_description="why", scope="orders.read"`}
	if diff := cmp.Diff(want, resp.Header["Www-Authenticate"]); diff != "" || resp.StatusCode != http.StatusForbidden || body != "" {
		t.Errorf("answered %d, %q (-want +got):\n%s", resp.StatusCode, body, diff)
	}
	if resp.Header.Get("X-Auth-Subject") != "" {
		t.Error("the refusal has identity headers")
	}
}

// TestCannotTell is 503 in words, with nothing of an allow.
func TestCannotTell(t *testing.T) {
	allow := token.Decision{Verdict: token.Allow, Headers: []token.Header{{Name: "X-Auth-Subject", Value: "alice"}}}
	valued := func(value string) *engine {
		return &engine{decision: token.Decision{Verdict: token.Allow, Headers: []token.Header{{Name: "X-Auth-Subject", Value: value}}}}
	}
	noPolicy := &token.Undecided{Reason: token.ReasonNoPolicy, Message: "Create TokenPolicy orders.", Err: errors.New("internal cause")}
	late := func(ctx context.Context) { <-ctx.Done() }
	cases := map[string]struct {
		reason string
		kind   server.Kind
		engine *engine
		want   string // how the body begins; empty: an allow
	}{
		"unknown caller":        {"the user's token is not at fault", "", &engine{decision: allow}, "caller_unknown: "},
		"no policy":             {"it says what to create", server.Nginx, &engine{err: noPolicy}, "no_policy: Create TokenPolicy orders.\n"},
		"error and allow":       {"an error wins", server.Nginx, &engine{decision: allow, err: noPolicy}, "no_policy: "},
		"other error":           {"its words are ours alone", server.Nginx, &engine{err: errors.New("internal cause")}, "internal: A fault"},
		"panic":                 {"no crash, no allow", server.Nginx, &engine{decide: func(context.Context) { panic("x") }}, "internal: A fault"},
		"authorino #649":        {"an allow that came too late", server.Nginx, &engine{decision: allow, decide: late}, "server_unavailable: "},
		"4 KB on nginx":         {"nginx would answer 500", server.Nginx, valued(strings.Repeat("x", 3888)), "response_too_large: "},
		"just below 4 KB":       {"nginx takes it", server.Nginx, valued(strings.Repeat("x", 3886)), ""},
		"4 KB on Traefik":       {"it takes more", server.Traefik, valued(strings.Repeat("x", 8<<10)), ""},
		"line break in a value": {"it would be another header", server.Nginx, valued("alice\r\nX-Admin: 1"), "internal: A fault"},
		"no ASCII in a value":   {"it would be changed on its way", server.Nginx, valued("al\xffice"), "internal: A fault"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.engine, c.kind)
			resp, body := f.do(t, http.MethodGet, path, bearer("canary-token"))
			if c.want == "" {
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: answered %d, %s", c.reason, resp.StatusCode, body)
				}
				return
			}
			if resp.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(body, c.want) || strings.Contains(body, "internal cause") {
				t.Errorf("%s: answered %d, %q", c.reason, resp.StatusCode, body)
			}
			for _, name := range []string{"X-Auth-Subject", "X-Admin", "Retry-After", "Www-Authenticate"} {
				if resp.Header.Get(name) != "" {
					t.Errorf("%s: the answer has %s", c.reason, name)
				}
			}
			if strings.Contains(f.log.String(), "canary-token") {
				t.Errorf("%s: the token is in the log", c.reason)
			}
		})
	}
}

// TestStrangersDoNotFloodTheLog: whoever proves nothing writes few lines.
func TestStrangersDoNotFloodTheLog(t *testing.T) {
	f := serve(t, &engine{}, "")
	for range 50 {
		if resp, _ := f.do(t, http.MethodGet, path, nil); resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("answered %d", resp.StatusCode)
		}
	}
	if lines := strings.Count(f.log.String(), "caller_unknown"); lines != 20 {
		t.Errorf("50 refusals wrote %d lines", lines)
	}
}

// TestRefusalsAreRecorded: the id in the answer leads to a line.
func TestRefusalsAreRecorded(t *testing.T) {
	f := serve(t, &engine{}, server.Nginx)
	resp, _ := f.do(t, http.MethodGet, path, http.Header{"Authorization": {"Bearer t,Bearer Y2FuYXJ5"}})
	log := f.log.String()
	for _, want := range []string{
		`"id":"` + resp.Header.Get(server.HeaderDecision) + `"`, `"policy":"shop/orders"`, `"reason":"invalid_request"`, `"gateway":"edge"`, `"remote":"127.0.0.1"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, "Y2FuYXJ5") {
		t.Error("the credential is in the log")
	}
}
