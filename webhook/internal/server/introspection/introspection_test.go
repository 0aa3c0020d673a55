// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/introspection"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	path     = "/introspect/shop/orders"
	formType = "application/x-www-form-urlencoded"
)

func serve(t *testing.T, e *engine) *fixture {
	t.Helper()
	if e.decision.Verdict == token.Allow {
		e.decision.Body = []byte(`{"active":true,"sub":"alice"}`)
	}
	return start(t, &fixture{engine: e}, server.Route{First: introspection.Path}, func(record server.RecordFunc) server.Surface {
		return introspection.New(introspection.Options{
			Decide: e.Decide, Authenticate: e.Authenticate, ServiceAccount: account,
			Ready: func() bool { return true }, URL: "https://webhook.introspection.svc", Record: record, Clock: time.Now,
		})
	})
}

func basic(id, secret string) http.Header {
	return http.Header{
		"Content-Type":  {formType},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))},
	}
}

func with(h http.Header, name string, values ...string) http.Header {
	h[name] = values
	return h
}

// TestRFC7662Callers: section 2.1 demands that the caller proves who it is, 2.3 a 401.
func TestRFC7662Callers(t *testing.T) {
	good := basic("shop.orders", "s3cret")
	odd := url.QueryEscape("shop odd") + ":" + url.QueryEscape("a+b%:é")
	oddForm := "&client_id=" + url.QueryEscape("shop odd") + "&client_secret=" + url.QueryEscape("a+b%:é")
	form := http.Header{"Content-Type": {formType}}
	cases := map[string]struct {
		reason string
		header http.Header
		body   string
		want   int
	}{
		"basic":                    {"Spring", good, "token=t", 200},
		"basic, scheme lower":      {"schemes have no case", with(basic("", ""), "Authorization", strings.Replace(good.Get("Authorization"), "Basic", "basic", 1)), "token=t", 200},
		"basic form-encoded":       {"RFC 6749 section 2.3.1", with(basic("", ""), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(odd))), "token=t", 200},
		"basic raw":                {"most clients", basic("shop odd", "a+b%:é"), "token=t", 200},
		"body":                     {"RFC 6749 section 2.3.1", form, "token=t&client_id=shop.orders&client_secret=s3cret", 200},
		"both, equal":              {"some clients send both", basic("shop.orders", "s3cret"), "token=t&client_id=shop.orders&client_secret=s3cret", 200},
		"both, equal, encoded":     {"compared decoded", basic("shop odd", "a+b%:é"), "token=t" + oddForm, 200},
		"basic and client_id":      {"equal as far as it goes", good, "token=t&client_id=shop.orders", 200},
		"both, another id":         {"which one is it?", good, "token=t&client_id=shop.other", 401},
		"both, another secret":     {"which one is it?", good, "token=t&client_id=shop.orders&client_secret=x", 401},
		"both, only body good":     {"which one is it?", basic("shop.orders", "x"), "token=t&client_id=shop.orders&client_secret=s3cret", 401},
		"none":                     {"a stranger", form, "token=t", 401},
		"wrong secret":             {"a stranger", basic("shop.orders", "S3cret"), "token=t", 401},
		"empty secret":             {"a stranger", basic("shop.orders", ""), "token=t", 401},
		"unknown id":               {"a stranger", basic("shop.none", "s3cret"), "token=t", 401},
		"id alone":                 {"proves nothing", form, "token=t&client_id=shop.orders", 401},
		"another scheme":           {"a bearer token is no client's secret", with(basic("", ""), "Authorization", "Bearer s3cret"), "token=t", 401},
		"no base64":                {"nothing to read", with(basic("", ""), "Authorization", "Basic !"), "token=t", 401},
		"no colon":                 {"nothing to read", with(basic("", ""), "Authorization", "Basic eA=="), "token=t", 401},
		"two headers":              {"which one is it?", with(basic("", ""), "Authorization", good.Get("Authorization"), good.Get("Authorization")), "token=t", 400},
		"two ids":                  {"RFC 6749 section 3.1: once", good, "token=t&client_id=shop.orders&client_id=shop.orders", 400},
		"two secrets":              {"RFC 6749 section 3.1: once", form, "token=t&client_id=shop.orders&client_secret=s3cret&client_secret=x", 400},
		"stranger without a token": {"strangers are told nothing else", form, "", 401},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}})
			resp, body := f.do(t, http.MethodPost, path, c.body, c.header)
			if resp.StatusCode != c.want {
				t.Errorf("%s: answered %d, want %d: %s", c.reason, resp.StatusCode, c.want, body)
			}
			if asked := len(f.engine.tokens()); (c.want == 200) != (asked == 1) {
				t.Errorf("%s: decided %d times", c.reason, asked)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); (c.want == 401) != strings.HasPrefix(challenge, "Basic realm=") {
				t.Errorf("%s: challenge %q", c.reason, challenge)
			}
			if c.want == 401 && !strings.HasPrefix(body, `{"error":"invalid_client","error_description":"`) {
				t.Errorf("%s: answered %s", c.reason, body)
			}
		})
	}
}

// TestRFC7662Requests: section 2.1, POST of a form with one token; malformed is 400.
func TestRFC7662Requests(t *testing.T) {
	good := func() http.Header { return basic("shop.orders", "s3cret") }
	cases := map[string]struct {
		reason string
		method string
		path   string
		header http.Header
		body   string
		want   int
		token  string
	}{
		"plain":            {"the usual", http.MethodPost, path, good(), "token=t", 200, "t"},
		"charset":          {"some clients send it", http.MethodPost, path, with(good(), "Content-Type", formType+";charset=UTF-8"), "token=t", 200, "t"},
		"type, upper case": {"media types have no case", http.MethodPost, path, with(good(), "Content-Type", strings.ToUpper(formType)), "token=t", 200, "t"},
		"hint":             {"ignored: a wrong one must not change the answer", http.MethodPost, path, good(), "token_type_hint=refresh_token&token=t", 200, "t"},
		"encoded":          {"decoded once", http.MethodPost, path, good(), "token=a%2Bb%252F", 200, "a+b%2F"},
		"long token":       {"what is too long is the policy's to say", http.MethodPost, path, good(), "token=" + strings.Repeat("t", 20<<10), 200, strings.Repeat("t", 20<<10)},
		"empty pairs":      {"harmless", http.MethodPost, path, good(), "&token=t&", 200, "t"},
		"GET":              {"a token in a URL", http.MethodGet, path, good(), "", 405, ""},
		"PUT":              {"POST only", http.MethodPut, path, good(), "token=t", 405, ""},
		"query token":      {"section 4: no token in a URL", http.MethodPost, path + "?token=t", good(), "token=t", 400, ""},
		"query, encoded":   {"section 4: no token in a URL", http.MethodPost, path + "?%74oken=t", good(), "token=t", 400, ""},
		"query secret":     {"no secret in a URL", http.MethodPost, path + "?client_secret=s3cret", good(), "token=t", 400, ""},
		"query, other":     {"ignored", http.MethodPost, path + "?trace=1", good(), "token=t", 200, "t"},
		"JSON":             {"no form", http.MethodPost, path, with(good(), "Content-Type", "application/json"), `{"token":"t"}`, 400, ""},
		"no type":          {"no form", http.MethodPost, path, with(good(), "Content-Type"), "token=t", 400, ""},
		"two types":        {"which one is it?", http.MethodPost, path, with(good(), "Content-Type", formType, "text/plain"), "token=t", 400, ""},
		"compressed":       {"bytes of another form", http.MethodPost, path, with(good(), "Content-Encoding", "gzip"), "token=t", 400, ""},
		"no token":         {"required", http.MethodPost, path, good(), "token_type_hint=access_token", 400, ""},
		"empty token":      {"required", http.MethodPost, path, good(), "token=", 400, ""},
		"two tokens":       {"which one is it?", http.MethodPost, path, good(), "token=t&token=u", 400, ""},
		"two equal tokens": {"once", http.MethodPost, path, good(), "token=t&token=t", 400, ""},
		"bad escape":       {"two parsers may read it differently", http.MethodPost, path, good(), "token=%zz", 400, ""},
		"semicolon":        {"two parsers may read it differently", http.MethodPost, path, good(), "token=t;token=u", 400, ""},
		"CVE-2026-50197":   {"an oversized body is refused, never cut", http.MethodPost, path, good(), "token=t&x=" + strings.Repeat("x", 64<<10), 413, ""},
		"CVE-2026-33494":   {"nothing is cleaned", http.MethodPost, "/introspect/shop/strict/../orders", good(), "token=t", 404, ""},
		"another policy":   {"the engine knows whether it exists", http.MethodPost, "/introspect/shop/none", good(), "token=t", 200, "t"},
		"slash at the end": {"another path", http.MethodPost, path + "/", good(), "token=t", 404, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}})
			resp, body := f.do(t, c.method, c.path, c.body, c.header)
			if resp.StatusCode != c.want {
				t.Errorf("%s: answered %d, want %d: %s", c.reason, resp.StatusCode, c.want, body)
			}
			var want []string
			if c.token != "" {
				want = []string{c.token}
			}
			if diff := cmp.Diff(want, f.engine.tokens()); diff != "" {
				t.Errorf("%s: tokens (-want +got):\n%s", c.reason, diff)
			}
			if c.want == 405 && resp.Header.Get("Allow") != "POST" {
				t.Errorf("%s: Allow %q", c.reason, resp.Header.Get("Allow"))
			}
			if c.want != 200 && c.want != 404 && !strings.HasPrefix(body, `{"error":"invalid_request","error_description":"`) {
				t.Errorf("%s: answered %s", c.reason, body)
			}
		})
	}
}

// TestRFC7662Answers: section 2.2; an outage is 503 and never inactive.
func TestRFC7662Answers(t *testing.T) {
	noPolicy := &token.Undecided{Reason: token.ReasonNoPolicy, Message: "Create TokenPolicy orders in namespace shop.", Err: errors.New("internal cause")}
	cases := map[string]struct {
		reason string
		engine *engine
		status int
		body   string
		retry  string
	}{
		"allow":          {"the policy's claims", &engine{decision: token.Decision{Verdict: token.Allow}}, 200, `{"active":true,"sub":"alice"}`, ""},
		"deny":           {"nothing but inactive", &engine{decision: token.Decision{Reason: token.ReasonInsufficientScope, Message: "why", Challenge: token.Challenge{Scope: "s"}, Body: []byte("x")}}, 200, `{"active":false}`, ""},
		"zero":           {"the zero Decision is a deny", &engine{}, 200, `{"active":false}`, ""},
		"no policy":      {"it says what to create", &engine{err: noPolicy}, 503, `{"error":"temporarily_unavailable","error_description":"Create TokenPolicy orders in namespace shop."}`, "1"},
		"both":           {"an error wins", &engine{decision: token.Decision{Verdict: token.Allow}, err: noPolicy}, 503, `{"error":"temporarily_unavailable","error_description":"Create TokenPolicy orders in namespace shop."}`, "1"},
		"other error":    {"its words are ours alone", &engine{err: errors.New("internal cause")}, 503, `{"error":"temporarily_unavailable","error_description":"A fault of the webhook: its log says more."}`, "1"},
		"panic":          {"no crash, no verdict", &engine{decide: func(context.Context) { panic("x") }}, 503, `{"error":"temporarily_unavailable","error_description":"A fault of the webhook: its log says more."}`, "1"},
		"authorino #649": {"an allow that came too late", &engine{decision: token.Decision{Verdict: token.Allow}, decide: func(ctx context.Context) { <-ctx.Done() }}, 503, `{"error":"temporarily_unavailable","error_description":"There was no answer in time: try again."}`, "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.engine)
			resp, body := f.do(t, http.MethodPost, path, "token=t", basic("shop.orders", "s3cret"))
			if resp.StatusCode != c.status || body != c.body || resp.Header.Get("Retry-After") != c.retry {
				t.Errorf("%s: answered %d, %s, %v", c.reason, resp.StatusCode, body, resp.Header)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("%s: Content-Type %q", c.reason, got)
			}
		})
	}
}

// TestRequest: what the engine is told.
func TestRequest(t *testing.T) {
	f := serve(t, &engine{})
	resp, _ := f.do(t, http.MethodPost, "/introspect/other/policy", "token=t", basic("shop.orders", "s3cret"))
	want := token.Request{
		ID: resp.Header.Get("Introspection-Decision"), Surface: token.SurfaceIntrospection,
		Policy: token.Ref{Namespace: "other", Name: "policy"}, Token: token.New("t"), Client: token.Ref{Namespace: "shop", Name: "orders"},
	}
	if diff := cmp.Diff([]token.Request{want}, f.engine.asked, cmp.AllowUnexported(token.Token{})); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestThrottle: who fails too often gets 429 and no line in the log; whoever is right
// passes, from the same place too.
func TestThrottle(t *testing.T) {
	f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}})
	codes := map[int]int{}
	for range 60 {
		resp, body := f.do(t, http.MethodPost, path, "token=t", basic("shop.orders", "canary-secret"))
		codes[resp.StatusCode]++
		if resp.StatusCode == http.StatusTooManyRequests && (resp.Header.Get("Retry-After") != "1" || !strings.HasPrefix(body, `{"error":"invalid_client"`)) {
			t.Fatalf("answered %s, %v", body, resp.Header)
		}
	}
	if codes[401] < 10 || codes[429] == 0 || codes[401]+codes[429] != 60 {
		t.Errorf("answered %v", codes)
	}
	log := f.log.String()
	if lines := strings.Count(log, "\n"); lines != codes[401] {
		t.Errorf("%d lines for %d answers of 401", lines, codes[401])
	}
	if strings.Contains(log, "canary-secret") {
		t.Error("the secret is in the log")
	}
	if resp, _ := f.do(t, http.MethodPost, path, "token=t", basic("shop.orders", "s3cret")); resp.StatusCode != http.StatusOK {
		t.Errorf("the right secret is answered %d", resp.StatusCode)
	}
}

// TestRefusalsAreRecorded: the id in the answer leads to a line.
func TestRefusalsAreRecorded(t *testing.T) {
	f := serve(t, &engine{})
	resp, _ := f.do(t, http.MethodPost, path, "token=canary-token", http.Header{"Content-Type": {formType}})
	log := f.log.String()
	for _, want := range []string{
		`"id":"` + resp.Header.Get("Introspection-Decision") + `"`, `"policy":"shop/orders"`, `"reason":"caller_unknown"`, `"remote":"127.0.0.1"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, "canary-token") {
		t.Error("the token is in the log")
	}
}
