// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

// quoted is what a server sends back, and no error may hold.
const quoted = "s3cr3t-canary"

func TestFetchKeys(t *testing.T) {
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
		"404":      {"no keys here", respond(http.StatusNotFound, quoted), ""},
		"500":      {"an outage", respond(http.StatusInternalServerError, quoted), ""},
		"redirect": {"keys from wherever it leads", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+quoted, http.StatusFound) }, ""},
		"odd redirect": {"its words are quoted by net/http", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://%zz"+quoted)
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
			got, err := introspect.FetchKeys(s.Client(), s.URL+"/jwks", "sso.example.com")(t.Context())
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s: %d bytes, %v", c.reason, len(got), err)
			}
			if err != nil && strings.Contains(err.Error(), quoted) {
				t.Errorf("the error quotes the server: %v", err)
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

func TestFetchKeysLeavesTheClientAlone(t *testing.T) {
	client := &http.Client{}
	introspect.FetchKeys(client, "https://sso", "")
	if client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

// TestFetchKeysOfNoHTTP: net/http's error quotes what came.
func TestFetchKeysOfNoHTTP(t *testing.T) {
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
			_, _ = conn.Write([]byte(quoted + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	_, err = introspect.FetchKeys(&http.Client{}, "http://"+listener.Addr().String(), "")(t.Context())
	if err == nil || strings.Contains(err.Error(), quoted) {
		t.Errorf("an answer that is no HTTP: %v", err)
	}
}

func TestFetchKeysErrors(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := introspect.FetchKeys(&http.Client{}, "http://127.0.0.1:1", "")(ended)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := introspect.FetchKeys(&http.Client{}, "://"+quoted, "")(t.Context()); err == nil || strings.Contains(err.Error(), quoted) {
		t.Errorf("an address that is none: %v", err)
	}
}
