// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// world is a realm, real or not, and somebody with all rights in it who works
// behind the operator's back. All by HTTP, so that it is the same on both.
type world struct {
	base  string
	realm string
	http  *http.Client

	// account, if set, is a ServiceAccount of a cluster that the realm knows as clusterAlias.
	account *providertest.ServiceAccount

	root   string // root's access token
	rootAt time.Time
}

// Whatever serves the world has these clients: operator and root (realm-admin),
// viewer (view-clients), nobody; and web and mobile, which get tokens.
func newWorld(base, realm string) *world {
	return &world{base: base, realm: realm, http: &http.Client{Timeout: 20 * time.Second}}
}

func (w *world) issuer() string { return w.base + "/realms/" + w.realm }

func signIn(clientID string) provider.SignIn {
	return provider.SignIn{ClientID: clientID, Secret: provider.Secret(clientID + "-secret")}
}

func (w *world) options(clientID string) provider.Config {
	endpoint := w.issuer() + "/protocol/openid-connect/token"
	federated := ""
	if w.account != nil {
		federated = clusterAlias
	}
	return provider.Config{
		Issuer: w.issuer(), FederatedIssuer: federated, URL: w.issuer(), SignIn: signIn(clientID), HTTPClient: w.http, Clock: time.Now,
		Metadata: provider.Metadata{
			Issuer: w.issuer(), TokenEndpoint: endpoint, IntrospectionEndpoint: endpoint + "/introspect",
			RevocationEndpoint: w.issuer() + "/protocol/openid-connect/revoke",
		},
	}
}

// desired is a registration as it should be, with a secret of its own.
func desired(clientID string) provider.Desired {
	return provider.Desired{
		Identity: provider.Identity{ClientID: clientID, Owner: providertest.Owner}, DisplayName: "Orders API",
		Credentials: provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret, ID: clientID, Secret: provider.Secret("secret-of-" + clientID)}},
	}
}

func (w *world) session(t *testing.T, change ...func(*provider.Config)) *keycloak.Server {
	t.Helper()
	o := w.options("operator")
	for _, f := range change {
		f(&o)
	}
	s, err := keycloak.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes a request and returns status and body.
func (w *world) send(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (w *world) post(t *testing.T, endpoint, id, secret string, form url.Values) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, w.issuer()+"/protocol/openid-connect/"+endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return w.send(t, req)
}

func (w *world) token(t *testing.T, clientID string) string {
	t.Helper()
	status, body := w.post(t, "token", clientID, clientID+"-secret", url.Values{"grant_type": {"client_credentials"}})
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.AccessToken == "" {
		t.Fatalf("no token for %s: %d %s", clientID, status, body)
	}
	return got.AccessToken
}

func (w *world) introspect(t *testing.T, clientID string, secret provider.Secret, token string) (accepted, active bool) {
	t.Helper()
	status, body := w.post(t, "token/introspect", clientID, secret.Reveal(), url.Values{"token": {token}})
	if status == http.StatusUnauthorized {
		return false, false
	}
	var got struct {
		Active *bool `json:"active"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.Active == nil {
		t.Fatalf("introspection: %d %s", status, body)
	}
	return true, *got.Active
}

// admin calls the Admin API as root. A body that is nil is none; out may be.
func (w *world) admin(t *testing.T, method, path string, in, out any) int {
	t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, w.base+"/admin/realms/"+w.realm+path, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if time.Since(w.rootAt) > 20*time.Second {
		w.root, w.rootAt = w.token(t, "root"), time.Now()
	}
	req.Header.Set("Authorization", "Bearer "+w.root)
	status, answer := w.send(t, req)
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	return status
}

func (w *world) must(t *testing.T, method, path string, in any) {
	t.Helper()
	if status := w.admin(t, method, path, in, nil); status >= 300 {
		t.Fatalf("%s %s: %d", method, path, status)
	}
}

// client is the representation of a client, nil if there is none.
func (w *world) client(t *testing.T, clientID string) map[string]any {
	t.Helper()
	var list []map[string]any
	w.admin(t, http.MethodGet, "/clients?clientId="+url.QueryEscape(clientID), nil, &list)
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (w *world) id(t *testing.T, clientID string) string {
	t.Helper()
	id, _ := w.client(t, clientID)["id"].(string)
	if id == "" {
		t.Fatalf("no client %s", clientID)
	}
	return id
}

func (w *world) edit(t *testing.T, clientID string, members map[string]any) {
	t.Helper()
	w.must(t, http.MethodPut, "/clients/"+w.id(t, clientID), members)
}

// scope is a client scope by name, nil if there is none.
func (w *world) scope(t *testing.T, name string) map[string]any {
	t.Helper()
	var list []map[string]any
	w.admin(t, http.MethodGet, "/client-scopes", nil, &list)
	for _, sc := range list {
		if sc["name"] == name {
			return sc
		}
	}
	return nil
}

func (w *world) scopePath(t *testing.T, name string) string {
	t.Helper()
	id, _ := w.scope(t, name)["id"].(string)
	if id == "" {
		t.Fatalf("no client scope %s", name)
	}
	return "/client-scopes/" + id
}

// idle is a client that somebody made, and that can obtain no token.
func idle(clientID string) map[string]any {
	return map[string]any{
		"clientId": clientID, "secret": "theirs", "protocol": "openid-connect", "publicClient": false, "standardFlowEnabled": false, "implicitFlowEnabled": false,
		"directAccessGrantsEnabled": false, "serviceAccountsEnabled": false, "redirectUris": []string{"https://theirs.example.com/*"},
		"attributes": map[string]any{"theirs": "kept"},
	}
}

func (w *world) harness(t *testing.T) providertest.Harness {
	t.Helper()
	powerless := signIn("nobody")
	return providertest.Harness{
		Dialect:   keycloak.Dialect(),
		Config:    w.options("operator"),
		Powerless: &powerless,
		TokenClients: []providertest.TokenClient{
			{ID: "web", Secret: "web-secret"}, {ID: "mobile", Secret: "mobile-secret"},
		},
		Scopes:         []string{"address"}, // a scope that any realm has; they decide nothing
		ClientIDPrefix: "suite.",
		ServiceAccount: w.account,
		Hand: providertest.Hand{
			Register: func(t *testing.T, clientID string) {
				t.Helper()
				w.must(t, http.MethodPost, "/clients", map[string]any{"clientId": clientID, "secret": "theirs", "attributes": map[string]any{}})
			},
			Idle: func(t *testing.T, clientID string) {
				t.Helper()
				w.must(t, http.MethodPost, "/clients", idle(clientID))
			},
			Disable: func(t *testing.T, clientID string) {
				t.Helper()
				w.edit(t, clientID, map[string]any{"enabled": false})
			},
			Remove: func(t *testing.T, clientID string) {
				t.Helper()
				w.must(t, http.MethodDelete, "/clients/"+w.id(t, clientID), nil)
			},
			Registrations: func(t *testing.T, clientID string) int {
				t.Helper()
				var list []map[string]any
				w.admin(t, http.MethodGet, "/clients?clientId="+url.QueryEscape(clientID), nil, &list)
				return len(list)
			},
			Revoke: func(t *testing.T, by providertest.TokenClient, token string) {
				t.Helper()
				if status, body := w.post(t, "revoke", by.ID, by.Secret.Reveal(), url.Values{"token": {token}}); status != http.StatusOK {
					t.Fatalf("revoke: %d %s", status, body)
				}
			},
		},
	}
}
