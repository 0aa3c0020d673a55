// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

func TestDiscover(t *testing.T) {
	server := fake.New(fake.Options{Hostname: "https://sso.example.com"})
	base := server.Start()
	t.Cleanup(server.Close)
	const issuer = "https://sso.example.com/realms/acme"
	got, err := provider.Discover(t.Context(), http.DefaultClient, issuer, base+"/realms/acme/")
	if err != nil {
		t.Fatal(err)
	}
	at := base + "/realms/acme/protocol/openid-connect"
	want := provider.Metadata{
		Issuer:                issuer,
		TokenEndpoint:         at + "/token",
		IntrospectionEndpoint: at + "/token/introspect",
		RevocationEndpoint:    at + "/revoke",
		JWKSURI:               at + "/certs",
	}
	want.IntrospectionAuthMethods = []string{
		"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt",
	}
	want.TokenAuthMethods = want.IntrospectionAuthMethods
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

// TestDiscoverOther returns the issuer that the server says, for the caller to
// compare: it is no error here.
func TestDiscoverOther(t *testing.T) {
	server := fake.New(fake.Options{})
	base := server.Start()
	t.Cleanup(server.Close)
	got, err := provider.Discover(t.Context(), http.DefaultClient, "https://sso.example.com/realms/acme", base+"/realms/acme")
	if err != nil || got.Issuer != server.Issuer() {
		t.Errorf("issuer %q, error %v", got.Issuer, err)
	}
}

func TestDiscoverErrors(t *testing.T) {
	type answer struct {
		status int
		body   string
	}
	const document = `{"issuer":"ISSUER","token_endpoint":"ISSUER/token"}`
	for name, tc := range map[string]struct {
		reason string
		answer answer
		want   provider.Kind
		words  string
	}{
		"no realm":     {"Keycloak's answer for a realm that does not exist", answer{404, `{"error":"Realm does not exist"}`}, provider.KindNotFound, "404"},
		"HTML":         {"a login page", answer{200, "\n <!DOCTYPE html><html>"}, provider.KindInvalid, "a web page"},
		"broken":       {"JSON that is cut off", answer{200, document[:30]}, provider.KindInvalid, "no JSON"},
		"array":        {"JSON of another shape", answer{200, "[]"}, provider.KindInvalid, "no JSON object"},
		"no issuer":    {"JSON of something else", answer{200, "{}"}, provider.KindInvalid, "no issuer"},
		"large":        {"more than anybody needs", answer{200, `{"issuer":"` + strings.Repeat("x", 1<<20) + `"}`}, provider.KindInvalid, "more than 1 MiB"},
		"redirect":     {"a redirect is not followed", answer{302, ""}, provider.KindInvalid, "redirect"},
		"forbidden":    {"a proxy's login", answer{403, ""}, provider.KindInvalid, "403"},
		"trouble":      {"trouble is not the user's", answer{502, "<html>"}, provider.KindServer, "502"},
		"busy":         {"nor is a limit", answer{429, ""}, provider.KindRateLimited, "429"},
		"bad endpoint": {"an endpoint that can't be called", answer{200, `{"issuer":"ISSUER","token_endpoint":"file:///etc/passwd"}`}, provider.KindInvalid, "no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			var issuer string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/")
				w.WriteHeader(tc.answer.status)
				_, _ = w.Write([]byte(strings.ReplaceAll(tc.answer.body, "ISSUER", issuer)))
			}))
			t.Cleanup(server.Close)
			issuer = server.URL + "/realms/acme"
			client, err := provider.NewHTTPClient(provider.HTTPOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = provider.Discover(t.Context(), client, issuer, issuer)
			if kind, _ := provider.KindOf(err); err == nil || kind != tc.want || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%s: error %v of kind %d, want %d and %q", tc.reason, err, kind, tc.want, tc.words)
			}
		})
	}
}

// TestDiscoverDowngrade: behind a TLS proxy that it does not know of, a server
// names http endpoints; credentials would go out in the clear.
func TestDiscoverDowngrade(t *testing.T) {
	const issuer = "https://sso.example.com/realms/acme"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","token_endpoint":"http://sso.example.com/realms/acme/token"}`))
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := provider.Discover(t.Context(), server.Client(), issuer, server.URL)
	if kind, _ := provider.KindOf(err); err == nil || kind != provider.KindInvalid || !strings.Contains(err.Error(), "not https") {
		t.Errorf("error %v", err)
	}
}

func TestDiscoverUnreachable(t *testing.T) {
	_, err := provider.Discover(t.Context(), http.DefaultClient, "http://127.0.0.1:1/realms/acme", "http://127.0.0.1:1/realms/acme")
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.KindUnreachable || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("error %v", err)
	}
	_, err = provider.Discover(t.Context(), http.DefaultClient, "x", "http://%zz")
	if !errors.As(err, &e) || e.Kind != provider.KindInvalid {
		t.Errorf("error %v", err)
	}
}
