// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestRequest: RFC 7662 section 2.1, and RFC 6749 section 2.3.1 for the credential.
func TestRequest(t *testing.T) {
	as := introspect.Credential{ClientID: "shop:orders%", Secret: "s %+:é"}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		id, idErr := url.QueryUnescape(id)
		secret, secretErr := url.QueryUnescape(secret)
		if idErr != nil || secretErr != nil || id != as.ClientID || secret != as.Secret.Reveal() {
			t.Errorf("Basic %q %q", id, secret)
		}
		_ = r.ParseForm()
		if diff := cmp.Diff(url.Values{"token": {"a+b c"}}, r.PostForm); diff != "" {
			t.Errorf("form, which must have no token_type_hint (-want +got):\n%s", diff)
		}
		r.Header.Del("Authorization")
		want := http.Header{
			"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"},
			"Content-Length": {"13"}, "User-Agent": {"Go-http-client/1.1"},
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
		if r.Method != http.MethodPost || r.RequestURI != "/introspect" || r.Host != "sso.example.com" {
			t.Errorf("%s %s at %s", r.Method, r.RequestURI, r.Host)
		}
		answer(http.StatusOK, "application/json", `{"active":true,"sub":"alice"}`)(w, r)
	}, func(o *introspect.Options) { o.HostHeader = "sso.example.com" })
	facts, err := client.Introspect(t.Context(), as, token.New("a+b c"))
	if err != nil || !facts.Active || facts.Subject != "alice" {
		t.Errorf("facts %+v, error %v", facts, err)
	}
}

func TestOutcomes(t *testing.T) {
	const verdict, refused, unsupported, cannotTell = "verdict", "credentials refused", "form not supported", "cannot tell"
	cases := map[string]struct {
		reason      string
		status      int
		contentType string
		body        string
		want        string
	}{
		"active":              {reason: "RFC 7662", status: 200, contentType: "application/json", body: `{"active":true}`, want: verdict},
		"inactive":            {reason: "RFC 7662", status: 200, contentType: "application/json", body: `{"active":false}`, want: verdict},
		"other content type":  {reason: "the body tells, not its label", status: 200, contentType: "text/plain", body: `{"active":false}`, want: verdict},
		"HTML 200":            {reason: "a captive portal", status: 200, contentType: "text/html", body: `<html>canary</html>`, want: cannotTell},
		"duplicate":           {reason: "odd JSON is no verdict", status: 200, contentType: "application/json", body: `{"active":false,"active":true}`, want: cannotTell},
		"201":                 {reason: "only 200 is a verdict", status: 201, contentType: "application/json", body: `{"active":true}`, want: cannotTell},
		"204":                 {reason: "only 200 is a verdict", status: 204, want: cannotTell},
		"401":                 {reason: "Keycloak, wrong secret", status: 401, contentType: "application/json", body: `{"error":"invalid_client"}`, want: refused},
		"401 HTML":            {reason: "401 is 401", status: 401, contentType: "text/html", body: `<html>`, want: refused},
		"400 invalid_client":  {reason: "Keycloak, signed JWT", status: 400, contentType: "application/json", body: `{"error":"invalid_client"}`, want: refused},
		"400 invalid_request": {reason: "Keycloak without its database", status: 400, contentType: "application/json", body: `{"error":"invalid_request"}`, want: cannotTell},
		"400 unauthorized":    {reason: "Keycloak without its database", status: 400, contentType: "application/json", body: `{"error":"unauthorized_client"}`, want: cannotTell},
		"400 in words":        {reason: "the member error counts, not the words", status: 400, contentType: "application/json", body: `{"error":"x","error_description":"invalid_client"}`, want: cannotTell},
		"400 assertion again": {reason: "Keycloak, as recorded", status: 400, contentType: "application/json", body: `{"error":"invalid_client","error_description":"Token reuse detected"}`, want: refused},
		"401 empty":           {reason: "Duende, as recorded, to an assertion of another key", status: 401, want: refused},
		"400 token type":      {reason: "node-oidc-provider, to every JWT", status: 400, contentType: "application/json", body: `{"error":"unsupported_token_type","error_description":"canary"}`, want: unsupported},
		"403 token type":      {reason: "no answer of RFC 7662", status: 403, contentType: "application/json", body: `{"error":"unsupported_token_type"}`, want: cannotTell},
		"400 missing_token":   {reason: "Duende, as recorded, to no token", status: 400, contentType: "application/json", body: `{"error":"missing_token"}`, want: cannotTell},
		"400 HTML":            {reason: "no OAuth error", status: 400, contentType: "text/html", body: `invalid_client`, want: cannotTell},
		"403":                 {reason: "Keycloak, public client", status: 403, contentType: "application/json", body: `{"error":"invalid_client"}`, want: cannotTell},
		"404":                 {reason: "unknown realm", status: 404, contentType: "application/json", body: `{"error":"Realm does not exist"}`, want: cannotTell},
		"500":                 {reason: "out of order", status: 500, contentType: "application/json", body: `{"active":false}`, want: cannotTell},
		"503":                 {reason: "out of order", status: 503, contentType: "text/html", body: `canary`, want: cannotTell},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := serve(t, answer(c.status, c.contentType, c.body))
			facts, err := client.Introspect(t.Context(), credential, token.New(canaryToken))
			got := verdict
			var unavailable *introspect.Unavailable
			switch {
			case errors.Is(err, introspect.ErrCredentialsRefused):
				got = refused
			case errors.Is(err, introspect.ErrUnsupportedToken):
				got = unsupported
			case errors.As(err, &unavailable):
				got = cannotTell
				if unavailable.Status != c.status || unavailable.Issuer != issuer {
					t.Errorf("unavailable with %+v", unavailable)
				}
			}
			if got != c.want || (err == nil) != (facts != nil) {
				t.Fatalf("%s: %s with facts %v, error %v", c.reason, got, facts, err)
			}
			noCanary(t, err)
		})
	}
}

// TestHydraClientGo8: a server with a dead database must not make tokens inactive.
func TestHydraClientGo8(t *testing.T) {
	client := serve(t, answer(http.StatusBadRequest, "application/json", `{"error":"invalid_request","error_description":"Failed to introspect token."}`))
	facts, err := client.Introspect(t.Context(), credential, token.New(canaryToken))
	if facts != nil || errors.Is(err, introspect.ErrCredentialsRefused) || err == nil {
		t.Errorf("facts %v, error %v", facts, err)
	}
}

// TestCVE202650197Oversized: an answer over the limit is an error, never truncated.
func TestCVE202650197Oversized(t *testing.T) {
	for name, c := range map[string]struct {
		reason  string
		size    int
		verdict bool
	}{
		"at the limit": {"all of it is read", 1 << 20, true},
		"over it":      {"a truncated answer could still look whole", 1<<20 + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"active":true}`
			body += strings.Repeat(" ", c.size-len(body))
			facts, err := serve(t, answer(200, "application/json", body)).Introspect(t.Context(), credential, token.New(canaryToken))
			if (facts != nil) != c.verdict || (err == nil) != c.verdict {
				t.Errorf("%s: facts %v, error %v", c.reason, facts, err)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for name, change := range map[string]func(*introspect.Options){
		"own client": func(*introspect.Options) {},
		"client of the caller": func(o *introspect.Options) {
			built := serveClient(t, o)
			built.CheckRedirect = nil
			o.HTTPClient = built
		},
	} {
		t.Run(name, func(t *testing.T) {
			var elsewhere atomic.Int32
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					elsewhere.Add(1)
				}
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}, change)
			_, err := client.Introspect(t.Context(), credential, token.New(canaryToken))
			var unavailable *introspect.Unavailable
			if !errors.As(err, &unavailable) || unavailable.Status != http.StatusTemporaryRedirect || elsewhere.Load() != 0 {
				t.Errorf("asked elsewhere %d times, error %v", elsewhere.Load(), err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Tue, 24 Nov 2026 10:00:00 GMT"
	cases := map[string]struct {
		reason, value string
		want          time.Duration
	}{
		"none":      {"not asked for", "", 0},
		"seconds":   {"RFC 9110", "7", 7 * time.Second},
		"date":      {"against the server's own clock", "Tue, 24 Nov 2026 10:00:30 GMT", 30 * time.Second},
		"past":      {"now", "Tue, 24 Nov 2026 09:00:00 GMT", 0},
		"too long":  {"a server must not stop us for a day", "86400", 5 * time.Minute},
		"huge":      {"no overflow", "99999999999999999999", 0},
		"negative":  {"nonsense", "-5", 0},
		"nonsense":  {"nonsense", "soon", 0},
		"far ahead": {"a server must not stop us for a day", "Wed, 24 Nov 2027 10:00:00 GMT", 5 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", date)
				w.Header().Set("Retry-After", c.value)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			_, err := client.Introspect(t.Context(), credential, token.New(canaryToken))
			var unavailable *introspect.Unavailable
			if !errors.As(err, &unavailable) || unavailable.RetryAfter != c.want {
				t.Errorf("%s: %+v", c.reason, unavailable)
			}
		})
	}
}
