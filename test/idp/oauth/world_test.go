// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// said is what the server answered.
type said struct {
	status int
	body   map[string]any
}

func (s said) text(member string) string {
	text, _ := s.body[member].(string)
	return text
}

// refusal is how errors are compared.
type refusal struct {
	Status int
	Error  string
}

func (s said) refusal() refusal { return refusal{s.status, s.text("error")} }

// world is a server, and who calls it.
type world struct {
	*oauth.Server
	t    *testing.T
	http *http.Client
}

func start(t *testing.T, o oauth.Options) world {
	t.Helper()
	s := oauth.New(o)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return world{s, t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (w world) do(method, address, contentType, body string, prove func(*http.Request)) said {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if prove != nil {
		prove(req)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	s := said{status: resp.StatusCode}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &s.body); err != nil {
			w.t.Fatalf("%s %s: %d and no JSON: %s", method, address, resp.StatusCode, content)
		}
	}
	return s
}

// manage is a call of RFC 7591 or RFC 7592.
func (w world) manage(method, address, token string, metadata map[string]any) said {
	w.t.Helper()
	body := ""
	if metadata != nil {
		encoded, err := json.Marshal(metadata)
		if err != nil {
			w.t.Fatal(err)
		}
		body = string(encoded)
	}
	return w.do(method, address, "application/json", body, func(r *http.Request) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	})
}

// status is that of a call whose answer need not be JSON.
func (w world) status(method, address, token string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (w world) register(metadata map[string]any) said {
	w.t.Helper()
	made := w.manage(http.MethodPost, w.URL()+"/register", "initial", metadata)
	if made.status != http.StatusCreated {
		w.t.Fatalf("registering: %+v", made)
	}
	return made
}

// post is a call by client_secret_basic, or without a client if id is empty.
func (w world) post(path, id, secret string, pairs ...string) said {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return w.do(http.MethodPost, w.URL()+path, "application/x-www-form-urlencoded", form.Encode(), func(r *http.Request) {
		if id != "" {
			r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		}
	})
}

func (w world) token(pairs ...string) said {
	w.t.Helper()
	got := w.post("/token", "web", "web+secret", append([]string{"grant_type", "client_credentials"}, pairs...)...)
	if got.status != http.StatusOK {
		w.t.Fatalf("getting a token: %+v", got)
	}
	return got
}

func (w world) active(client said, token string) bool {
	w.t.Helper()
	got := w.post("/introspect", client.text("client_id"), client.text("client_secret"), "token", token)
	if got.status != http.StatusOK {
		w.t.Fatalf("introspecting: %+v", got)
	}
	active, _ := got.body["active"].(bool)
	return active
}

func options() oauth.Options {
	return oauth.Options{
		InitialAccessToken: "initial",
		Scopes:             []string{"orders.read", "orders.write"},
		Users:              []oauth.User{{Name: "alice"}},
		Clients: []oauth.Client{
			{ID: "web", Secret: "web+secret", Scopes: []string{"orders.read", "orders.write"}, Audience: []string{"https://orders.example.com"}},
			{ID: "jwt", Secret: "s", Scopes: []string{"orders.read"}, JWT: true},
			{ID: "operator", Secret: "s", Registers: true},
		},
	}
}

func introspects() map[string]any {
	return map[string]any{
		"client_name": "orders", "grant_types": []string{}, "response_types": []string{}, "redirect_uris": []string{},
		"token_endpoint_auth_method": "client_secret_basic", "software_id": "attempt-1", "scope": "orders.read",
	}
}

func with(metadata map[string]any, member string, value any) map[string]any {
	changed := maps.Clone(metadata)
	changed[member] = value
	return changed
}
