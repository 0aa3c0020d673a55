// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
)

const canary = "s3cr3t-canary"

func TestHTTPKeys(t *testing.T) {
	respond := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const document = `{"keys":[]}`
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		want    string // the document, or empty for an error
	}{
		"200":      {"the document", respond(http.StatusOK, document), document},
		"1 MiB":    {"the most that fits", respond(http.StatusOK, strings.Repeat("x", 1<<20)), strings.Repeat("x", 1<<20)},
		"larger":   {"never truncated", respond(http.StatusOK, strings.Repeat("x", 1<<20+1)), ""},
		"203":      {"a proxy's words", respond(http.StatusNonAuthoritativeInfo, document), ""},
		"204":      {"no document", respond(http.StatusNoContent, ""), ""},
		"404":      {"no keys here", respond(http.StatusNotFound, canary), ""},
		"500":      {"an outage", respond(http.StatusInternalServerError, canary), ""},
		"redirect": {"keys from wherever it leads", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+canary, http.StatusFound) }, ""},
		"odd redirect": {"its words are quoted by net/http", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://%zz"+canary)
			w.WriteHeader(http.StatusFound)
		}, ""},
		"cut": {"half of a document is none", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(document))
		}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			requests := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if got := fmt.Sprint(r.Method, r.URL.Path, r.Host, r.Header.Get("Accept")); got != "GET/jwkssso.example.comapplication/json" {
					t.Errorf("the request is %s", got)
				}
				c.handler(w, r)
			}))
			defer s.Close()
			got, err := jwt.HTTPKeys(s.Client(), s.URL+"/jwks", "sso.example.com")(t.Context())
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s: %d bytes, %v", c.reason, len(got), err)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the error quotes the server: %v", err)
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

func TestHTTPKeysLeavesTheClientAlone(t *testing.T) {
	client := &http.Client{}
	jwt.HTTPKeys(client, "https://sso", "")
	if client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

// TestHTTPKeysOfNoHTTP: net/http's error quotes what came.
func TestHTTPKeysOfNoHTTP(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(canary + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	_, err = jwt.HTTPKeys(&http.Client{}, "http://"+listener.Addr().String(), "")(t.Context())
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("an answer that is no HTTP: %v", err)
	}
}

func TestHTTPKeysErrors(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := jwt.HTTPKeys(&http.Client{}, "http://127.0.0.1:1", "")(ended)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := jwt.HTTPKeys(&http.Client{}, "://"+canary, "")(t.Context()); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("an address that is none: %v", err)
	}
}
