// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// registry stands for a server: a token endpoint, and something to register with at /clients.
type registry struct {
	url     string
	tokens  *provider.Tokens
	limiter *provider.Limiter
	api     *provider.API

	mu      sync.Mutex
	asked   []string // method and path
	signIns []url.Values
	basics  []string
	valid   []string // tokens that are
	life    int
	// token and client answer in place of what they do, if they are set.
	token, client http.HandlerFunc
}

func newRegistry(t *testing.T, change ...func(*provider.Config)) *registry {
	t.Helper()
	r := &registry{life: 600}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	httpClient, err := provider.NewHTTPClient(provider.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := provider.Config{
		Metadata:   provider.Metadata{TokenEndpoint: r.url + "/token"},
		SignIn:     provider.SignIn{ClientID: "oper ator", Secret: "s3cr%t"},
		HTTPClient: httpClient, Clock: time.Now,
	}
	for _, f := range change {
		f(&config)
	}
	r.limiter = provider.NewLimiter(config.Limits, config.Clock)
	if r.tokens, err = provider.NewTokens(config, r.limiter, "register"); err != nil {
		t.Fatal(err)
	}
	r.api = &provider.API{HTTP: httpClient, Limiter: r.limiter, Tokens: r.tokens}
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.asked = append(r.asked, req.Method+" "+req.URL.RequestURI())
	instead := r.client
	if req.URL.Path == "/token" {
		instead = r.token
		form, _ := url.ParseQuery(string(body))
		r.signIns, r.basics = append(r.signIns, form), append(r.basics, req.Header.Get("Authorization"))
	}
	r.mu.Unlock()
	switch {
	case instead != nil:
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		instead(w, req)
	case req.URL.Path == "/token":
		r.mu.Lock()
		defer r.mu.Unlock()
		token := fmt.Sprintf("token-%d", len(r.signIns))
		r.valid = append(r.valid, token)
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d}`, token, r.life)
	default:
		r.mu.Lock()
		known := slices.Contains(r.valid, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
		r.mu.Unlock()
		if !known {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"client_id":"x"}`))
	}
}

func (r *registry) get() provider.Call {
	return provider.Call{Op: "read", Method: http.MethodGet, URL: r.url + "/clients", Done: []int{200}}
}

// count is how often a path was asked.
func (r *registry) count(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, a := range r.asked {
		if strings.Contains(a, path) {
			n++
		}
	}
	return n
}

// signOut makes all tokens unknown.
func (r *registry) signOut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.valid = nil
}

func kindOf(t *testing.T, err error, want provider.Kind) *provider.Error {
	t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != want {
		t.Fatalf("error %v, want kind %d", err, want)
	}
	return e
}

func wantKind(t *testing.T, err error, want provider.Kind) {
	t.Helper()
	_ = kindOf(t, err, want)
}

func TestCall(t *testing.T) {
	r := newRegistry(t)
	var got struct {
		Accept, ContentType, Auth, Query, Body string
	}
	r.client = func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got.Accept, got.ContentType, got.Auth = req.Header.Get("Accept"), req.Header.Get("Content-Type"), req.Header.Get("Authorization")
		got.Query, got.Body = req.URL.RawQuery, string(body)
		w.Header().Set("Location", "/clients/1")
		w.WriteHeader(http.StatusCreated)
	}
	call := r.get()
	call.Method, call.Query, call.In, call.Done = http.MethodPost, url.Values{"a": {"b c"}}, map[string]string{"x": "y"}, []int{201}
	a, err := r.api.Do(t.Context(), call)
	if err != nil || a.Header.Get("Location") != "/clients/1" || a.Status != 201 {
		t.Fatalf("answer %+v, error %v", a, err)
	}
	want := got
	want.Accept, want.ContentType, want.Auth, want.Query, want.Body = "application/json", "application/json", "Bearer token-1", "a=b+c", `{"x":"y"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	call.In, call.Bearer = json.RawMessage(`{"raw":1}`), "its-own"
	if _, err := r.api.Do(t.Context(), call); err != nil || got.Body != `{"raw":1}` || got.Auth != "Bearer its-own" {
		t.Errorf("body %s by %s, error %v", got.Body, got.Auth, err)
	}
}

func TestCallStatuses(t *testing.T) {
	answering := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		reason string
		client http.HandlerFunc
		want   provider.Kind
		words  string
	}{
		"202":       {"another status of 2xx may be a proxy's page: the work may not be done", answering(202, "{}"), provider.KindServer, "cut off or no JSON"},
		"HTML":      {"200 of a proxy", answering(200, "<html>"), provider.KindServer, "cut off or no JSON"},
		"truncated": {"half an answer", answering(200, `{"client_id":`), provider.KindServer, "cut off or no JSON"},
		"secrets":   {"neither the call's secrets nor the operator's are repeated", answering(400, `{"error":"theirs s3cr%t s3cr%25t token-1"}`), provider.KindInvalid, "([secret] [secret] [secret] [secret])"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.client = tc.client
			call := r.get()
			call.Secrets = []provider.Secret{"theirs"}
			a, err := r.api.Decode(t.Context(), call, &struct{}{})
			if wantKind(t, err, tc.want); a == nil || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%s: answer %v, error %v", tc.reason, a, err)
			}
		})
	}
}

func TestCallReads(t *testing.T) {
	r := newRegistry(t)
	r.client = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	r.api.Read = func(a *provider.Answer, e *provider.Error) { e.Advice = fmt.Sprintf("%s: %d", a.Op, a.Status) }
	_, err := r.api.Do(t.Context(), r.get())
	if e := kindOf(t, err, provider.KindForbidden); e.Advice != "read: 403" {
		t.Errorf("advice %q", e.Advice)
	}
	// The right may have been given meanwhile: the next call signs in anew.
	r.client = nil
	if _, err := r.api.Do(t.Context(), r.get()); err != nil || r.count("/token") != 2 {
		t.Errorf("signed in %d times, error %v", r.count("/token"), err)
	}
}

func TestCallUnreachable(t *testing.T) {
	r := newRegistry(t)
	call := r.get()
	call.URL = "http://127.0.0.1:1/clients"
	a, err := r.api.Do(t.Context(), call)
	if wantKind(t, err, provider.KindUnreachable); a != nil {
		t.Errorf("answer %+v", a)
	}
	call.URL = "http://%zz"
	_, err = r.api.Do(t.Context(), call)
	wantKind(t, err, provider.KindInvalid)
	call = r.get()
	call.In = func() {}
	_, err = r.api.Do(t.Context(), call)
	wantKind(t, err, provider.KindInvalid)
}

func TestSignedOut(t *testing.T) {
	r := newRegistry(t)
	for range 2 {
		if _, err := r.api.Do(t.Context(), r.get()); err != nil {
			t.Fatal(err)
		}
		r.signOut()
	}
	if got := r.count("/token"); got != 2 {
		t.Errorf("signed in %d times, want 2", got)
	}
	r.client = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	before := r.count("/clients")
	_, err := r.api.Do(t.Context(), r.get())
	if wantKind(t, err, provider.KindCredentials); r.count("/clients")-before != 2 {
		t.Errorf("asked %d times, want 2", r.count("/clients")-before)
	}
	// A call's own token is not renewed: there is no other.
	before = r.count("/clients")
	call := r.get()
	call.Bearer = "its-own"
	_, err = r.api.Do(t.Context(), call)
	if wantKind(t, err, provider.KindCredentials); r.count("/clients")-before != 1 {
		t.Errorf("asked %d times, want 1", r.count("/clients")-before)
	}
}

type fenced struct{ err error }

func (f fenced) Fence(context.Context) error                            { return f.err }
func (fenced) Keep(context.Context, provider.Issued) error              { return nil }
func (fenced) Prove(context.Context, provider.Credential) (bool, error) { return false, nil }

func TestWriteIsFenced(t *testing.T) {
	r := newRegistry(t)
	stop := errors.New("somebody else has it in hand")
	if _, err := r.api.Write(t.Context(), fenced{stop}, r.get()); err != stop { //nolint:errorlint // it comes back as it is
		t.Errorf("error %v", err)
	}
	if len(r.asked) > 0 {
		t.Errorf("asked %q all the same", r.asked)
	}
	if _, err := r.api.Write(t.Context(), fenced{}, r.get()); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterHoldsForAll(t *testing.T) {
	r := newRegistry(t)
	r.client = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	_, err := r.api.Do(t.Context(), r.get())
	if e := kindOf(t, err, provider.KindRateLimited); e.RetryAfter != time.Minute {
		t.Errorf("come again in %v", e.RetryAfter)
	}
	calls := len(r.asked)
	call := r.get()
	call.Op = "another call"
	_, err = r.api.Do(t.Context(), call)
	if e := kindOf(t, err, provider.KindRateLimited); e.RetryAfter <= 0 || e.Op != "another call" || len(r.asked) != calls {
		t.Errorf("come again in %v for %q; %d calls were made all the same", e.RetryAfter, e.Op, len(r.asked)-calls)
	}
}
