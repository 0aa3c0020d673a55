// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// said is what a server answered; body is empty if that was no JSON.
type said struct {
	status int
	body   map[string]any
}

func (s said) text(member string) string {
	value, _ := s.body[member].(string)
	return value
}

// refusal is how errors are compared.
type refusal struct {
	Status int
	Error  string
	Words  string
}

func (s said) refusal() refusal {
	return refusal{s.status, s.text("error"), s.text("error_description")}
}

// atOIDC asks a provider as one client, or with one token.
type atOIDC struct {
	*env.OIDCProvider
	t *testing.T
}

func (o atOIDC) do(method, address, contentType, body string, prove func(*http.Request)) said {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if prove != nil {
		prove(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	content, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		o.t.Fatal(err)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	answer := said{status: resp.StatusCode}
	if err := json.Unmarshal(content, &answer.body); err != nil {
		answer.body = nil
	}
	return answer
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
}

// manage is a call of RFC 7591 or RFC 7592.
func (o atOIDC) manage(method, address, token string, metadata map[string]any) said {
	o.t.Helper()
	body := ""
	if metadata != nil {
		encoded, err := json.Marshal(metadata)
		if err != nil {
			o.t.Fatal(err)
		}
		body = string(encoded)
	}
	return o.do(method, address, "application/json", body, bearer(token))
}

func (o atOIDC) register(metadata map[string]any) said {
	o.t.Helper()
	answer := o.manage(http.MethodPost, o.URL+"/reg", o.InitialAccessToken, metadata)
	if answer.status != http.StatusCreated {
		o.t.Fatalf("registering: %+v", answer)
	}
	return answer
}

// post is a call that a client makes, by client_secret_basic.
func (o atOIDC) post(path, id, secret string, form url.Values) said {
	o.t.Helper()
	return o.do(http.MethodPost, o.URL+path, "application/x-www-form-urlencoded", form.Encode(), func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	})
}

// token is one of the token client, for a resource.
func (o atOIDC) token(resource string) string {
	o.t.Helper()
	answer := o.post("/token", o.TokenClientID, o.TokenClientSecret, form("grant_type", "client_credentials", "scope", "orders.read", "resource", resource))
	if answer.status != http.StatusOK || answer.text("access_token") == "" {
		o.t.Fatalf("getting a token: %+v", answer)
	}
	return answer.text("access_token")
}

// What a client that only introspects is.
func introspects() map[string]any {
	return map[string]any{
		"client_name": "orders", "grant_types": []string{}, "response_types": []string{}, "redirect_uris": []string{},
		"token_endpoint_auth_method": "client_secret_basic",
	}
}

func with(metadata map[string]any, member string, value any) map[string]any {
	metadata = maps.Clone(metadata)
	metadata[member] = value
	return metadata
}
