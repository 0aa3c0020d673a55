// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// host is a server and who talks to it.
type host struct {
	*duende.Server

	seconds atomic.Int64
	client  *http.Client
}

func start(t *testing.T, change func(*duende.Options)) *host {
	t.Helper()
	h := &host{client: &http.Client{}}
	o := duende.Recorded()
	o.Now = func() time.Time { return time.Unix(1_800_000_000+h.seconds.Load(), 0) }
	if change != nil {
		change(&o)
	}
	h.Server = duende.New(o)
	h.Start()
	if o.TLS {
		h.client = trusting(t, h.CAPEM())
	}
	t.Cleanup(h.Close)
	return h
}

// call is one request: a form with Basic, or JSON with Bearer.
func (h *host) call(t *testing.T, method, path, body string, as ...string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	switch len(as) {
	case 1:
		req.Header.Set("Authorization", "Bearer "+as[0])
		req.Header.Set("Content-Type", "application/json")
	case 2:
		req.SetBasicAuth(url.QueryEscape(as[0]), url.QueryEscape(as[1]))
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &answer); err != nil {
			t.Fatalf("%s %s: no JSON: %s", method, path, got)
		}
	}
	return resp.StatusCode, answer
}

func (h *host) token(t *testing.T, client, form string) string {
	t.Helper()
	secret := map[string]string{"operator": "operator-secret"}[client]
	if secret == "" {
		secret = "web-secret"
	}
	status, answer := h.call(t, http.MethodPost, "/connect/token", "grant_type=client_credentials&"+form, client, secret)
	token, _ := answer["access_token"].(string)
	if token == "" {
		t.Fatalf("no token: %d %v", status, answer)
	}
	return token
}

func (h *host) register(t *testing.T, name, body string) int {
	t.Helper()
	status, _ := h.call(t, http.MethodPut, duende.RegistrationPath+"/"+name, body, h.token(t, "operator", "scope="+duende.RegistrationScope))
	return status
}

// TestConfigurationCache: new, changed and deleted ones are seen when the snapshot ends, and not before.
func TestConfigurationCache(t *testing.T) {
	h := start(t, func(o *duende.Options) { o.PropagationSeconds = 20 })
	token := h.token(t, "web-jwt", "scope=orders.read") // takes the snapshot
	ask := func(secret string) int {
		t.Helper()
		status, _ := h.call(t, http.MethodPost, "/connect/introspect", "token="+token, "orders-api", secret)
		return status
	}
	body := func(secret string) string {
		return `{"owner":"a/b/c","scopes":["orders.read"],"secrets":[{"id":"` + secret + `","value":"` + duende.Hash(secret) + `"}]}`
	}
	type step struct {
		after  int64
		do     func()
		secret string
		want   int
	}
	register := func(secret string) func() { return func() { h.register(t, "orders-api", body(secret)) } }
	for i, s := range []step{
		{0, register("one"), "one", http.StatusUnauthorized},
		{19, func() {}, "one", http.StatusUnauthorized},
		{1, func() {}, "one", http.StatusOK},
		{0, register("two"), "two", http.StatusUnauthorized},
		{19, func() {}, "one", http.StatusOK}, // the old one goes on
		{1, func() {}, "one", http.StatusUnauthorized},
		{0, func() {}, "two", http.StatusOK},
		{0, func() { h.RemoveResource("orders-api") }, "two", http.StatusOK},
		{20, func() {}, "two", http.StatusUnauthorized},
	} {
		h.seconds.Add(s.after)
		s.do()
		if got := ask(s.secret); got != s.want {
			t.Fatalf("step %d: status %d, want %d", i, got, s.want)
		}
	}
}

func TestJWTLivesFiveMinutesLonger(t *testing.T) {
	h := start(t, nil)
	token := h.token(t, "web-jwt-short", "scope=orders.read")
	h.register(t, "orders-api", `{"owner":"a/b/c","scopes":["orders.read"],"secrets":[{"id":"1","value":"`+duende.Hash("s")+`"}]}`)
	for at, want := range map[int64]bool{5: true, 305: true, 306: false} {
		h.seconds.Store(at)
		if _, answer := h.call(t, http.MethodPost, "/connect/introspect", "token="+token, "orders-api", "s"); answer["active"] != want {
			t.Errorf("%d s after it was made: active %v, want %v", at, answer["active"], want)
		}
	}
}

// TestFixedIssuer: endpoints are where the request came, the issuer is what it is.
func TestFixedIssuer(t *testing.T) {
	h := start(t, func(o *duende.Options) { o.Issuer, o.TLS = "https://sso.example.com", true })
	_, metadata := h.call(t, http.MethodGet, "/.well-known/openid-configuration", "")
	got := map[string]any{"issuer": metadata["issuer"], "token_endpoint": metadata["token_endpoint"]}
	want := map[string]any{"issuer": "https://sso.example.com", "token_endpoint": h.URL() + "/connect/token"}
	if diff := cmp.Diff(want, got); diff != "" || h.Issuer() != "https://sso.example.com" {
		t.Errorf("Issuer %q, metadata (-want +got):\n%s", h.Issuer(), diff)
	}
}

func TestResourceIndicator(t *testing.T) {
	h := start(t, nil)
	h.register(t, "https%3A%2F%2Forders.example.com", `{"owner":"a/b/c","scopes":["orders.read"],"require_resource_indicator":true}`)
	tests := map[string]struct {
		reason, form, want string
	}{
		"Unknown":    {"It must be there.", "scope=orders.read&resource=https%3A%2F%2Fnope.example.com", "invalid_target"},
		"NoURI":      {"It must be a URI.", "scope=orders.read&resource=orders-api", "invalid_target"},
		"Two":        {"One token is for one resource.", "scope=orders.read&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb", "invalid_target"},
		"OtherScope": {"It must have one of the scopes.", "scope=billing.read&resource=https%3A%2F%2Forders.example.com", "invalid_target"},
		"Right":      {"That is how it is asked for.", "scope=orders.read&resource=https%3A%2F%2Forders.example.com", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			status, answer := h.call(t, http.MethodPost, "/connect/token", "grant_type=client_credentials&"+tc.form, "web-jwt", "web-secret")
			if got, _ := answer["error"].(string); got != tc.want {
				t.Errorf("%s status %d, error %q, want %q", tc.reason, status, got, tc.want)
			}
		})
	}
}

func TestAdoptionDenied(t *testing.T) {
	h := start(t, func(o *duende.Options) { o.AllowAdoption, o.AllowedScopes = false, nil })
	if got := h.register(t, "legacy-api", `{"owner":"a/b/c","adopt":true}`); got != http.StatusConflict {
		t.Errorf("adoption where the host allows none: status %d", got)
	}
	if got := h.register(t, "mine", `{"owner":"a/b/c","scopes":["introspection.register"]}`); got != http.StatusCreated {
		t.Errorf("without a list every scope may be registered: status %d", got)
	}
}

func TestListPages(t *testing.T) {
	h := start(t, nil)
	for _, name := range []string{"b", "a", "c"} {
		h.register(t, name, `{"owner":"one/x/`+name+`"}`)
	}
	h.register(t, "d", `{"owner":"two/x/d"}`)
	bearer := h.token(t, "operator", "scope="+duende.RegistrationScope)
	for query, want := range map[string][]string{
		"": {"a", "b", "c", "d"}, "?owner_prefix=one/": {"a", "b", "c"}, "?owner_prefix=one/&offset=1&limit=1": {"b"},
		"?offset=9": nil, "?limit=0": {"a"}, "?owner_prefix=three/": nil,
	} {
		_, answer := h.call(t, http.MethodGet, duende.RegistrationPath+query, "", bearer)
		rows, ok := answer["resources"].([]any)
		if !ok {
			t.Fatalf("%q: no resources in %v", query, answer)
		}
		var got []string
		for _, row := range rows {
			member, _ := row.(map[string]any)
			name, _ := member["name"].(string)
			got = append(got, name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

// TestFaultsReachEveryCall: they are injected around all endpoints.
func TestFaultsReachEveryCall(t *testing.T) {
	h := start(t, nil)
	h.Inject(fault.Fault{Match: fault.Matching(http.MethodPut, ""), Status: http.StatusServiceUnavailable, Body: "{}"})
	if got := h.register(t, "mine", `{"owner":"a/b/c"}`); got != http.StatusServiceUnavailable {
		t.Errorf("status %d, want the fault's", got)
	}
	if _, ok := h.Resource("mine"); !ok {
		t.Error("the work was left undone, and the fault does not say so")
	}
}
