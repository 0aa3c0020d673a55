// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// tlsServer serves over TLS, and says whom it was asked as.
func tlsServer(t *testing.T, change func(*tls.Config)) (*httptest.Server, []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// get is the status that a URL answers with.
func get(t *testing.T, o provider.HTTPOptions, url string) (int, error) {
	t.Helper()
	client, err := provider.NewHTTPClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestTLS(t *testing.T) {
	server, ca := tlsServer(t, nil)
	old, oldCA := tlsServer(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, tc := range map[string]struct {
		reason string
		url    string
		ca     []byte
		want   string
	}{
		"trusted":    {"the CA bundle vouches for it", server.URL, ca, ""},
		"untrusted":  {"the system's roots don't", server.URL, nil, "spec.connection.caBundle"},
		"other name": {"the certificate is for another name", strings.Replace(server.URL, "127.0.0.1", "localhost", 1), ca, "another name"},
		"TLS 1.1":    {"nothing below 1.2", old.URL, oldCA, "protocol version"},
		"no TLS":     {"https to a port of http", strings.Replace(plain.URL, "http:", "https:", 1), ca, "does not speak TLS"},
		"no name":    {"a host that DNS does not know", "https://keycloak.invalid/", ca, "keycloak.invalid"},
		"nobody":     {"a port that nobody listens on", "http://127.0.0.1:1/", ca, "nothing listens there"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, provider.HTTPOptions{CAPEM: tc.ca}, tc.url)
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("%s: no error", tc.reason)
			}
			if got := provider.Unreachable("ask", err); got.Kind != provider.KindUnreachable || !strings.Contains(got.Error(), tc.want) {
				t.Errorf("%s: %v does not say %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestBadCABundle(t *testing.T) {
	if _, err := provider.NewHTTPClient(provider.HTTPOptions{CAPEM: []byte("none")}); err == nil {
		t.Error("no error: the system's roots would be trusted in its place")
	}
}

func TestHostHeader(t *testing.T) {
	var asked string
	named := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Host })
	server, other := httptest.NewServer(named), httptest.NewServer(named)
	t.Cleanup(server.Close)
	t.Cleanup(other.Close)
	own, othersOwn := strings.TrimPrefix(server.URL, "http://"), strings.TrimPrefix(other.URL, "http://")
	localhost := strings.Replace(server.URL, "127.0.0.1", "LOCALHOST", 1)
	for name, tc := range map[string]struct {
		reason, host, only, url string
		want                    string
	}{
		"server":     {"the server derives its issuer from it", "sso.example.com", server.URL + "/realms/a", server.URL, "sso.example.com"},
		"case":       {"a host has no case", "sso.example.com", strings.ToLower(localhost), localhost, "sso.example.com"},
		"none":       {"the URL's own", "", "", server.URL, own},
		"other port": {"another server must not be told a name that is not its own", "sso.example.com", server.URL, other.URL, othersOwn},
		"other host": {"nor the same by another name", "sso.example.com", localhost, server.URL, own},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := get(t, provider.HTTPOptions{HostHeader: tc.host, HostFor: tc.only}, tc.url); err != nil {
				t.Fatal(err)
			}
			if asked != tc.want {
				t.Errorf("%s: asked as %q, want %q", tc.reason, asked, tc.want)
			}
		})
	}
}

// TestHostHeaderPorts: https and http have ports of their own.
func TestHostHeaderPorts(t *testing.T) {
	var asked []string
	client, err := provider.NewHTTPClient(provider.HTTPOptions{
		HostHeader: "sso.example.com", HostFor: "https://keycloak.svc/realms/a",
		Wrap: func(http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.Host)
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"https://keycloak.svc/", "https://keycloak.svc:443/", "http://keycloak.svc/", "https://keycloak.svc:8443/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if diff := cmp.Diff([]string{"sso.example.com", "sso.example.com", "keycloak.svc", "keycloak.svc:8443"}, asked); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestHostHeaderForNobody(t *testing.T) {
	for _, server := range []string{"", "sso.example.com"} {
		if _, err := provider.NewHTTPClient(provider.HTTPOptions{HostHeader: "sso.example.com", HostFor: server}); err == nil {
			t.Errorf("for %q: no error, and the header would go to everybody or to nobody", server)
		}
	}
}

func TestNoRedirect(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	status, err := get(t, provider.HTTPOptions{}, server.URL)
	if err != nil || status != http.StatusTemporaryRedirect {
		t.Errorf("status %d, error %v", status, err)
	}
}

// TestQuotedWords: net/http's errors repeat what a server sent, which may be our request.
func TestQuotedWords(t *testing.T) {
	for name, answer := range map[string]string{
		"status line": "canary\r\n\r\n",
		"status":      "HTTP/1.1 canary\r\n\r\n",
		"header":      "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
		"location":    "HTTP/1.1 302 Found\r\nLocation: http://%zzcanary\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write([]byte(answer))
				_ = conn.Close()
			}))
			t.Cleanup(server.Close)
			_, err := get(t, provider.HTTPOptions{}, server.URL)
			if err == nil {
				t.Fatal("no error")
			}
			if got := provider.Unreachable("ask", err); strings.Contains(got.Error(), "canary") || !strings.Contains(got.Error(), "not HTTP") {
				t.Errorf("error %v", got)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	_, err := get(t, provider.HTTPOptions{Timeout: 50 * time.Millisecond}, server.URL)
	if err == nil {
		t.Fatal("no error")
	}
	if got := provider.Unreachable("ask", err); !strings.Contains(got.Error(), "no answer in time") || strings.Contains(got.Error(), server.URL) {
		t.Errorf("error %v", got)
	}
}

func TestWrap(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	seen := ""
	wrap := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			seen = r.Host
			return next.RoundTrip(r)
		})
	}
	if _, err := get(t, provider.HTTPOptions{Wrap: wrap, HostHeader: "sso.example.com", HostFor: server.URL}, server.URL); err != nil {
		t.Fatal(err)
	}
	if seen != "sso.example.com" {
		t.Errorf("the wrapper saw host %q, and not what leaves", seen)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reason, value string
		want          time.Duration
	}{
		"seconds":  {"delay-seconds", "7", 7 * time.Second},
		"date":     {"HTTP-date", "Tue, 24 Nov 2026 12:00:20 GMT", 20 * time.Second},
		"past":     {"a date that has passed asks for nothing", "Tue, 24 Nov 2026 11:00:00 GMT", 0},
		"far":      {"nobody makes us wait longer than five minutes", "86400", provider.MaxRetryAfter},
		"huge":     {"nor by overflow", "9223372036854775807", provider.MaxRetryAfter},
		"far date": {"nor by a date", "Tue, 24 Nov 2099 12:00:00 GMT", provider.MaxRetryAfter},
		"negative": {"nonsense asks for nothing", "-5", 0},
		"words":    {"nonsense asks for nothing", "soon", 0},
		"none":     {"no header", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := provider.RetryAfter(http.Header{"Retry-After": {tc.value}}, now); got != tc.want {
				t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}
