// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// nginx is a real one in front of an API that tells what it was sent.
type nginx struct{ url string }

// startNginx runs testdata/nginx.conf. client is the name in nginx's certificate.
func startNginx(t *testing.T, f *fixture, client, underscores string) nginx {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Reached", "yes")
		if err := json.NewEncoder(w).Encode(r.Header); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certPEM, keyPEM, err := f.clients.Issue(env.Names{DNS: []string{client}})
	if err != nil {
		t.Fatal(err)
	}
	write("client.pem", certPEM)
	write("client.key", keyPEM)
	write("webhook-ca.pem", f.ca.PEM())
	template, err := os.ReadFile("testdata/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", env.FreePortForTest(t))
	env.NginxForTest(t, strings.NewReplacer(
		"{{listen}}", listen, "{{webhook}}", f.addresses.ForwardAuth, "{{upstream}}", api.URL,
		"{{dir}}", dir, "{{underscores}}", underscores,
	).Replace(string(template)))
	return nginx{url: "http://" + listen}
}

// ask calls the API through nginx. seen are the identity headers that the API was sent,
// in whatever spelling; nil if it was not reached.
func (n nginx) ask(t *testing.T, header http.Header) (resp answer, seen http.Header) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, body := do(t, client, request(t, http.MethodPost, n.url+"/orders?page=2", "body", header))
	if resp.Header.Get("X-Reached") == "" {
		return resp, nil
	}
	var all http.Header
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	seen = http.Header{}
	for name, values := range all {
		if strings.HasPrefix(strings.ToLower(name), "x") && strings.Contains(strings.ToLower(name), "auth") {
			seen[name] = values
		}
	}
	return resp, seen
}

// TestNginx: through a real nginx, which asks with its certificate over TLS.
func TestNginx(t *testing.T) {
	f := serve(t)
	edge := startNginx(t, f, "nginx.edge.svc", "off")
	loose := startNginx(t, f, "nginx.edge.svc", "on")
	foreign := startNginx(t, f, "api.edge.svc", "off")
	alice := http.Header{"X-Auth-Subject": {"alice"}}
	bearer := func(raw string, more ...string) http.Header {
		h := http.Header{"Authorization": {"Bearer " + raw}}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = append(h[more[i]], more[i+1])
		}
		return h
	}
	cases := map[string]struct {
		reason    string
		nginx     nginx
		header    http.Header
		status    int
		challenge string
		seen      http.Header
	}{
		"allow":                 {"identity reaches the API", edge, bearer("alice"), 200, "", alice},
		"missing":               {"401 with its challenge", edge, nil, 401, `Bearer realm="introspection"`, nil},
		"inactive":              {"401 with its challenge", edge, bearer("garbage"), 401, `Bearer error="invalid_token", error_description="The token is not active."`, nil},
		"scope":                 {"403 with its challenge", edge, bearer("narrow"), 403, `Bearer error="insufficient_scope", error_description="The token lacks the scope orders.read.", scope="orders.read"`, nil},
		"outage":                {"nginx makes a 500 of 503", edge, bearer("outage"), 500, "", nil},
		"unknown gateway":       {"its certificate has another name", foreign, bearer("alice"), 500, "", nil},
		"two headers":           {"nginx refuses them itself", edge, bearer("alice", "Authorization", "Bearer narrow"), 400, "", nil},
		"token in the URL":      {"spoofed by the client: nginx sets its own", edge, bearer("alice", "X-Original-Url", "http://h/?access_token=x"), 200, "", alice},
		"spoofed":               {"ours replaces it", edge, bearer("alice", "X-Auth-Subject", "root", "X-Auth-Tenant", "root"), 200, "", alice},
		"spoofed, lower case":   {"ours replaces it", edge, bearer("alice", "x-auth-subject", "root"), 200, "", alice},
		"CVE-2026-44087":        {"an alias does not reach the API", edge, bearer("alice", "X_Auth_Subject", "root", "X.Auth.Tenant", "root"), 200, "", alice},
		"CVE-2026-88011":        {"nor where nginx lets it through", loose, bearer("alice", "X_Auth_Subject", "root"), 401, `Bearer error="invalid_request", error_description="The request has another spelling of the header X-Auth-Subject, which the gateway sets: do not send it."`, nil},
		"GHSA-w9mr-28mw-j8hg":   {"ours is not removed", edge, bearer("alice", "Connection", "X-Auth-Subject"), 200, "", alice},
		"no UTF-8 in the token": {"denied, no crash", edge, bearer("alice\xff"), 401, `Bearer error="invalid_request", error_description="The Authorization header does not hold one bearer token."`, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, seen := c.nginx.ask(t, c.header)
			if resp.StatusCode != c.status {
				t.Errorf("%s: answered %d, want %d", c.reason, resp.StatusCode, c.status)
			}
			var challenges []string
			if c.challenge != "" {
				challenges = []string{c.challenge}
			}
			if diff := cmp.Diff(challenges, resp.Header["Www-Authenticate"]); diff != "" {
				t.Errorf("%s: challenge (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.seen, seen); diff != "" {
				t.Errorf("%s: the API was sent (-want +got):\n%s", c.reason, diff)
			}
			if id := resp.Header.Get("Introspection-Decision"); (c.status != 400) != (len(id) == 16) {
				t.Errorf("%s: decision %q", c.reason, id)
			}
		})
	}
	t.Run("headers as long as nginx takes", func(t *testing.T) {
		f.engine.long.Store(true)
		if resp, seen := edge.ask(t, bearer("alice")); resp.StatusCode != http.StatusOK || len(seen.Get("X-Auth-Subject")) < 3000 {
			t.Errorf("answered %d", resp.StatusCode)
		}
	})
}
