// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// session is alice's: a token, and what ends it.
type session struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	client  string
}

// asKeycloak asks Keycloak, past the proxy, and reads the answer into found.
func (w *world) asKeycloak(ctx context.Context, method, path, bearer string, form url.Values, found any) error {
	req, err := http.NewRequestWithContext(ctx, method, w.keycloak.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := w.direct.Do(req)
	if err != nil {
		return fmt.Errorf("asking Keycloak: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("Keycloak answers %s to %s %s", resp.Status, method, path)
	}
	if found == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(found); err != nil {
		return fmt.Errorf("reading Keycloak's answer to %s %s: %w", method, path, err)
	}
	return nil
}

const oidcPath = issuerPath + "/protocol/openid-connect/"

// signIn begins a session of alice's at a client.
func (w *world) signIn(t *testing.T, client, scope string) session {
	t.Helper()
	s := session{client: client}
	form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {"alice"}, "password": {w.password}}
	if scope != "" {
		form.Set("scope", scope)
	}
	if err := w.asKeycloak(t.Context(), http.MethodPost, oidcPath+"token", "", form, &s); err != nil || s.Access == "" {
		t.Fatalf("signing in: %v", err)
	}
	return s
}

// signOut ends a session: its tokens are revoked.
func (w *world) signOut(t *testing.T, s session) {
	t.Helper()
	form := url.Values{"client_id": {s.client}, "refresh_token": {s.Refresh}}
	if err := w.asKeycloak(t.Context(), http.MethodPost, oidcPath+"logout", "", form, nil); err != nil {
		t.Fatal(err)
	}
}

// administrator is a token of the realm master: of another issuer, and signed by its keys.
func (w *world) administrator(t *testing.T) string {
	t.Helper()
	var s session
	form := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {w.keycloak.AdminUsername}, "password": {w.keycloak.AdminPassword}}
	if err := w.asKeycloak(t.Context(), http.MethodPost, "/realms/master/protocol/openid-connect/token", "", form, &s); err != nil {
		t.Fatal(err)
	}
	return s.Access
}

// registered is a client's credential at Keycloak, which workloads never see.
func (w *world) registered(t *testing.T, clientID string) url.Values {
	t.Helper()
	admin, clients := w.administrator(t), "/admin/realms/"+realmName+"/clients"
	var found []struct {
		ID string `json:"id"`
	}
	if err := w.asKeycloak(t.Context(), http.MethodGet, clients+"?clientId="+clientID, admin, nil, &found); err != nil || len(found) != 1 {
		t.Fatalf("%d clients %s: %v", len(found), clientID, err)
	}
	var secret struct {
		Value string `json:"value"`
	}
	if err := w.asKeycloak(t.Context(), http.MethodGet, clients+"/"+found[0].ID+"/client-secret", admin, nil, &secret); err != nil {
		t.Fatal(err)
	}
	return url.Values{"client_id": {clientID}, "client_secret": {secret.Value}}
}

// inactiveSince asks Keycloak as that client until the token is inactive, and is when that
// answer was read: it answers nothing else from then on.
func (w *world) inactiveSince(t *testing.T, credential url.Values, token string) time.Time {
	t.Helper()
	form := url.Values{"token": {token}}
	maps.Copy(form, credential)
	for {
		var answer struct {
			Active *bool `json:"active"`
		}
		if err := w.asKeycloak(t.Context(), http.MethodPost, oidcPath+"token/introspect", "", form, &answer); err != nil || answer.Active == nil {
			t.Fatalf("introspecting: %v", err)
		}
		if !*answer.Active {
			return time.Now()
		}
	}
}
