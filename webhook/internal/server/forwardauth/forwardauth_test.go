// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth_test

import (
	"context"
	"errors"
	"maps"
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
		return forwardauth.New(forwardauth.Options{Decider: e, Record: record, Clock: func() time.Time { return time.Unix(1, 0) }, Caller: func(*http.Request) (*server.Gateway, bool) {
			return &server.Gateway{Name: "edge", Kind: kind}, kind != ""
		}})
	})
}

func bearer(raw string) http.Header { return http.Header{"Authorization": {"Bearer " + raw}} }

// TestRFC6750Requests: one transmission method, strictly; on gateways never 400.
func TestRFC6750Requests(t *testing.T) {
	cases := map[string]struct {
		reason string
		kind   server.Kind
		header http.Header
		token  string // the engine is asked about it
		asked  bool
	}{
		"bearer":                    {"the usual", server.Nginx, bearer("t"), "t", true},
		"scheme, lower case":        {"schemes have no case", server.Nginx, http.Header{"Authorization": {"bearer t"}}, "t", true},
		"scheme, upper case":        {"schemes have no case", server.Nginx, http.Header{"Authorization": {"BEARER t"}}, "t", true},
		"two blanks":                {"RFC 9110: 1*SP", server.Nginx, http.Header{"Authorization": {"Bearer  t"}}, "t", true},
		"all characters":            {"RFC 6750 section 2.1", server.Nginx, bearer("aZ09-._~+/=="), "aZ09-._~+/==", true},
		"long":                      {"what is too long is the policy's to say", server.Nginx, bearer(strings.Repeat("t", 17<<10)), strings.Repeat("t", 17<<10), true},
		"thousands of dots":         {"the policy refuses them", server.Nginx, bearer(strings.Repeat(".", 8<<10)), strings.Repeat(".", 8<<10), true},
		"none":                      {"the policy's answer says so", server.Nginx, nil, "", true},
		"empty":                     {"no token", server.Nginx, http.Header{"Authorization": {""}}, "", true},
		"scheme alone":              {"no token", server.Nginx, http.Header{"Authorization": {"Bearer"}}, "", false},
		"padding alone":             {"no token", server.Nginx, bearer("=="), "", false},
		"another scheme":            {"no bearer token: RFC 6750 section 3.1", server.Nginx, http.Header{"Authorization": {"Basic dTpw"}}, "", true},
		"DPoP":                      {"no bearer token either", server.Nginx, http.Header{"Authorization": {"DPoP t"}}, "", true},
		"tab":                       {"no blank", server.Nginx, http.Header{"Authorization": {"Bearer\tt"}}, "", true},
		"two headers":               {"which one is it?", server.Nginx, http.Header{"Authorization": {"Bearer t", "Bearer u"}}, "", false},
		"merged":                    {"Envoy merges two", server.Nginx, bearer("t,Bearer u"), "", false},
		"CVE-2023-27488":            {"bytes that no token has", server.Nginx, bearer("t\xff\xfe"), "", false},
		"quote":                     {"bytes that no token has", server.Nginx, bearer(`t"u`), "", false},
		"padding inside":            {"bytes that no token has", server.Nginx, bearer("t=u"), "", false},
		"query too":                 {"two ways of transmission", server.Nginx, with(bearer("t"), "X-Original-Url", "https://h/x?a=b&access_token=u"), "", false},
		"query alone":               {"no token in a URL", server.Nginx, http.Header{"X-Original-Url": {"https://h/x?access_token=u"}}, "", false},
		"query, encoded":            {"the API decodes it", server.Nginx, with(bearer("t"), "X-Original-Url", "https://h/x?access%5Ftoken=u"), "", false},
		"query, Traefik":            {"its header", server.Traefik, with(bearer("t"), "X-Forwarded-Uri", "/x?access_token=u"), "", false},
		"path":                      {"no query", server.Nginx, with(bearer("t"), "X-Original-Url", "https://h/access_token=u"), "t", true},
		"another name":              {"another parameter", server.Nginx, with(bearer("t"), "X-Original-Url", "https://h/x?my_access_token=u"), "t", true},
		"CVE-2026-40575 on nginx":   {"only its own headers are read", server.Nginx, with(bearer("t"), "X-Forwarded-Uri", "/x?access_token=u"), "t", true},
		"CVE-2026-40575 on Traefik": {"only its own headers are read", server.Traefik, with(bearer("t"), "X-Original-Url", "https://h/x?access_token=u"), "t", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}}, c.kind)
			resp, _ := f.do(t, http.MethodGet, path, c.header)
			if c.asked {
				if diff := cmp.Diff([]string{c.token}, f.engine.tokens()); diff != "" || resp.StatusCode != http.StatusOK {
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
}

func with(h http.Header, name string, values ...string) http.Header {
	h[name] = values
	return h
}

// TestCVE202688011Aliases: a request that carries another spelling of a header that we
// set is refused (CVE-2026-44087, Traefik's alias family), and so is one that would have
// it removed on the way (GHSA-w9mr-28mw-j8hg).
func TestCVE202688011Aliases(t *testing.T) {
	cases := map[string]struct {
		reason string
		header http.Header
		want   int
	}{
		"none":              {"the usual", http.Header{"X-Auth": {"x"}, "Connection": {"keep-alive"}}, 200},
		"exact":             {"the gateway overwrites it", http.Header{"X-Auth-Subject": {"root"}}, 200},
		"exact, lower case": {"the same name", http.Header{"x-auth-subject": {"root"}}, 200},
		"underscores":       {"CGI reads it as ours", http.Header{"X_Auth_Subject": {"root"}}, 401},
		"lower, mixed":      {"CGI reads it as ours", http.Header{"x-auth_subject": {"root"}}, 401},
		"dots":              {"PHP reads it as ours", http.Header{"X.Auth.Subject": {"root"}}, 401},
		"second header":     {"each is guarded", http.Header{"X_Auth_Issuer": {"root"}}, 401},
		"hop-by-hop":        {"it would be removed", http.Header{"Connection": {"keep-alive, x-auth-subject"}}, 401},
		"hop-by-hop alias":  {"it might be removed", http.Header{"Connection": {"close,X_Auth_Subject"}}, 401},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := &engine{decision: token.Decision{Verdict: token.Allow}, names: []string{"X-Auth-Subject", "X-Auth-Issuer"}}
			f := serve(t, e, server.Nginx)
			header := bearer("t")
			maps.Copy(header, c.header)
			resp, _ := f.do(t, http.MethodGet, path, header)
			if resp.StatusCode != c.want {
				t.Errorf("%s: answered %d, want %d", c.reason, resp.StatusCode, c.want)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); (c.want == 401) != strings.Contains(challenge, `error="invalid_request"`) {
				t.Errorf("%s: challenge %q", c.reason, challenge)
			}
		})
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
		asked := token.Request{
			ID: id, Surface: token.SurfaceForwardAuth, Policy: token.Ref{Namespace: "shop", Name: "orders"}, Token: token.New("t"), Gateway: "edge",
		}
		if got := e.asked[len(e.asked)-1]; got != asked {
			t.Errorf("%s: asked %+v, want %+v", method, got, asked)
		}
	}
}

// TestChallenges of RFC 6750 section 3 and RFC 9470 section 3.
func TestChallenges(t *testing.T) {
	refused := func(reason token.Reason, message string) *engine {
		return &engine{decision: token.Decision{
			Reason: reason, Message: message, RequiredScope: "orders.read orders.write", MaxAuthAge: time.Hour,
			Headers: []token.Header{{Name: "X-Auth-Subject", Value: "alice"}},
		}}
	}
	const invalid = `Bearer error="invalid_token", error_description="why"`
	cases := map[string]struct {
		reason    string
		engine    *engine
		status    int
		challenge string
	}{
		"missing":   {"who sent nothing is told nothing", refused(token.ReasonMissingToken, "why"), 401, `Bearer realm="introspection"`},
		"inactive":  {"a bad token", refused(token.ReasonInactive, "why"), 401, invalid},
		"audience":  {"a bad token", refused(token.ReasonInvalidAudience, "why"), 401, invalid},
		"bound":     {"bound as Bearer (RFC 9449, RFC 8705)", refused(token.ReasonBoundToken, "why"), 401, invalid},
		"zero":      {"the zero Decision is a deny", refused(token.ReasonNone, "why"), 401, invalid},
		"unknown":   {"a reason of later", refused("later", "why"), 401, invalid},
		"scope":     {"what is missing", refused(token.ReasonInsufficientScope, "why"), 403, `Bearer error="insufficient_scope", error_description="why", scope="orders.read orders.write"`},
		"client":    {"another token won't help", refused(token.ReasonClientNotAllowed, "why"), 403, `Bearer error="access_denied", error_description="why"`},
		"tenant":    {"another token won't help", refused(token.ReasonTenantNotAllowed, "why"), 403, `Bearer error="access_denied", error_description="why"`},
		"step-up":   {"RFC 9470", refused(token.ReasonInsufficientAuthentication, "why"), 401, `Bearer error="insufficient_user_authentication", error_description="why", max_age="3600"`},
		"request":   {"never 400 on gateways", refused(token.ReasonInvalidRequest, "why"), 401, `Bearer error="invalid_request", error_description="why"`},
		"quotes":    {"forbidden characters are replaced, not escaped", refused(token.ReasonInactive, "a \"b\" \\c\r\nX: é\x7f"), 401, `Bearer error="invalid_token", error_description="a 'b' /c??X: ??"`},
		"very long": {"a challenge is bounded", refused(token.ReasonInactive, strings.Repeat("x", 9999)), 401, `Bearer error="invalid_token", error_description="` + strings.Repeat("x", 512) + `"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, body := serve(t, c.engine, server.Nginx).do(t, http.MethodGet, path, bearer("t"))
			if resp.StatusCode != c.status || body != "" {
				t.Errorf("%s: answered %d, %q", c.reason, resp.StatusCode, body)
			}
			if diff := cmp.Diff([]string{c.challenge}, resp.Header["Www-Authenticate"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if resp.Header.Get("X-Auth-Subject") != "" {
				t.Errorf("%s: the refusal has identity headers", c.reason)
			}
		})
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

// TestAliasOfAHeaderThatIsNew: the policy got a header between the look at its names
// and the decision; what is sent decides.
func TestAliasOfAHeaderThatIsNew(t *testing.T) {
	for _, names := range [][]string{nil, {"X-Auth-Tenant"}} {
		f := serve(t, &engine{names: names, decision: token.Decision{
			Verdict: token.Allow, Headers: []token.Header{{Name: "X-Auth-Subject", Value: "alice"}},
		}}, server.Nginx)
		resp, _ := f.do(t, http.MethodGet, path, with(bearer("t"), "X_Auth_Subject", "root"))
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("X-Auth-Subject") != "" {
			t.Errorf("with names %v: answered %d", names, resp.StatusCode)
		}
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
