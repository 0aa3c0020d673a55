// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/introspection-dev/introspection-operator/test/env"
)

const (
	realmName = "acme"
	clientID  = "shop.orders"
	scopeName = "introspection:" + clientID
)

// writeRealm fills the secrets of this run into the realm that Keycloak imports.
func (d *demo) writeRealm() (string, error) {
	realm, err := os.ReadFile(filepath.Join(d.root, "test", "demo", "realm.json"))
	if err != nil {
		return "", fmt.Errorf("reading the realm: %w", err)
	}
	filled := strings.NewReplacer("@OPERATOR_SECRET@", d.operatorSecret, "@ALICE_PASSWORD@", d.alicePassword).Replace(string(realm))
	return filepath.Join(d.dir, "acme-realm.json"), d.write("acme-realm.json", filled)
}

func (d *demo) startKeycloak(ctx context.Context) error {
	realm, err := d.writeRealm()
	if err != nil {
		return err
	}
	d.keycloak, err = env.StartKeycloak(ctx, env.KeycloakOptions{
		Dir: filepath.Join(d.dir, "keycloak"), RealmFiles: []string{realm}, DevFile: true,
		CertFile: filepath.Join(d.dir, "keycloak.crt"), KeyFile: filepath.Join(d.dir, "keycloak.key"),
	})
	if err != nil {
		return err
	}
	d.atEnd("Keycloak", func() error { return d.keycloak.Stop(context.Background()) }) //nolint:contextcheck // the story's context has ended by then
	d.secret(d.keycloak.AdminPassword)
	d.issuer = d.keycloak.URL() + "/realms/" + realmName
	return nil
}

// endpoint of the realm's OpenID Connect protocol.
func (d *demo) endpoint(name string) string {
	return d.issuer + "/protocol/openid-connect/" + name
}

// signIn gets alice a token of client and keeps it in files named after it:
// name.token, name.header (as curl's -H @file takes it) and name.refresh.
func (d *demo) signIn(ctx context.Context, name, client, scope string) error {
	return d.grant(ctx, name, d.endpoint("token"), url.Values{
		"grant_type": {"password"}, "client_id": {client}, "username": {"alice"}, "password": {d.alicePassword}, "scope": {scope},
	})
}

// signInAdmin gets the realm administrator's token. It lives for a minute only.
func (d *demo) signInAdmin(ctx context.Context) error {
	return d.grant(ctx, "admin", d.keycloak.URL()+"/realms/master/protocol/openid-connect/token", url.Values{
		"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {d.keycloak.AdminUsername}, "password": {d.keycloak.AdminPassword},
	})
}

func (d *demo) grant(ctx context.Context, name, endpoint string, form url.Values) error {
	r := request{url: endpoint, ca: keycloakCA}
	for member, values := range form {
		if values[0] != "" { // Keycloak refuses an empty scope
			r.form = append(r.form, member+"="+values[0])
		}
	}
	a, err := r.do(ctx, d.dir)
	if err != nil {
		return err
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &tokens); err != nil {
		return fmt.Errorf("signing in as %s: HTTP %d and no JSON", name, a.status)
	}
	if a.status != http.StatusOK || tokens.Access == "" {
		return fmt.Errorf("signing in as %s: HTTP %d %s", name, a.status, tokens.Error)
	}
	d.secret(tokens.Access)
	d.secret(tokens.Refresh)
	return errors.Join(
		d.write(name+".token", tokens.Access),
		d.write(name+".refresh", tokens.Refresh),
		d.write(name+".header", "Authorization: Bearer "+tokens.Access+"\n"))
}

// admin asks Keycloak's admin API of the realm and reads the answer into found.
func (d *demo) admin(ctx context.Context, path string, found any) error {
	if err := d.signInAdmin(ctx); err != nil {
		return err
	}
	a, err := request{url: d.adminURL(path), ca: keycloakCA, bearer: "admin.header"}.do(ctx, d.dir)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("asking Keycloak's admin API for %s: HTTP %d", path, a.status)
	}
	if err := json.Unmarshal([]byte(a.body), found); err != nil {
		return fmt.Errorf("reading the answer of Keycloak's admin API for %s: %w", path, err)
	}
	return nil
}

func (d *demo) adminURL(path string) string {
	return d.keycloak.URL() + "/admin/realms/" + realmName + path
}

// registrations are the ids of the clients that Keycloak knows as shop.orders.
func (d *demo) registrations(ctx context.Context) ([]string, error) {
	return d.named(ctx, "/clients?clientId="+clientID, func(e entry) bool { return e.ClientID == clientID })
}

// scopes are the ids of the client scopes that map its audience.
func (d *demo) scopes(ctx context.Context) ([]string, error) {
	return d.named(ctx, "/client-scopes", func(e entry) bool { return e.Name == scopeName })
}

// entry is what we read of a client or a client scope.
type entry struct {
	ID       string `json:"id"`
	ClientID string `json:"clientId"`
	Name     string `json:"name"`
}

func (d *demo) named(ctx context.Context, path string, is func(entry) bool) ([]string, error) {
	var found []entry
	if err := d.admin(ctx, path, &found); err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range found {
		if is(e) {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}
