// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/introspection-dev/introspection-operator/test/env"
)

const (
	realmName = "acme"
	clientID  = "shop.orders"
	scopeName = "introspection:" + clientID
)

// keycloakServer is a real Keycloak.
type keycloakServer struct {
	d        *demo
	port     int
	keycloak *env.Keycloak
}

func newKeycloak(d *demo) (authServer, facts, error) {
	port, err := env.FreePort()
	if err != nil {
		return nil, facts{}, err
	}
	s := &keycloakServer{d: d, port: port}
	issuer := s.url() + "/realms/" + realmName
	oidc := issuer + "/protocol/openid-connect/"
	return s, facts{
		name: "Keycloak", says: keycloakSays(),
		parts: "a real Keycloak", file: filepath.Join(d.dir, serverKeycloak, serverKeycloak+".log"),
		issuer: issuer, token: oidc + "token", introspection: oidc + "token/introspect",
		sample: ".",
		// It has just started.
		connection: "{caBundle: {name: corp-ca}, timeout: 10s}",
		signsIn:    "a client with realm-management/manage-clients and no other right",
		secret: "kubectl create secret generic keycloak-operator -n introspection-system \\\n" +
			"      --from-literal=client_id=introspection-operator --from-file=client_secret=operator.secret",
		grant: url.Values{"grant_type": {"password"}, "password": {d.alicePassword}},
		tokens: map[kind]asked{
			goodToken: {"web", ordersScope}, withoutScope: {"web", ""}, ofAnotherAPI: {"billing-app", ordersScope}, goodJWT: {},
		},
		end: func(name string) request {
			return request{url: oidc + "logout", ca: serverCA, form: []string{"client_id=web", "refresh_token@" + name + ".refresh"}}
		},
		ended: http.StatusNoContent,
		hints: []string{"Keycloak's console: " + s.url() + "/admin (admin; the password is in keycloak.password)."},
	}, nil
}

func (s *keycloakServer) url() string { return "https://127.0.0.1:" + strconv.Itoa(s.port) }

func (s *keycloakServer) start(ctx context.Context) error {
	if s.keycloak != nil {
		return s.keycloak.Start(ctx)
	}
	d := s.d
	realm, err := s.writeRealm()
	if err != nil {
		return err
	}
	if s.keycloak, err = env.StartKeycloak(ctx, env.KeycloakOptions{
		Dir: filepath.Join(d.dir, serverKeycloak), RealmFiles: []string{realm}, DevFile: true, Port: s.port,
		CertFile: filepath.Join(d.dir, serverCert), KeyFile: filepath.Join(d.dir, serverKey),
	}); err != nil {
		return err
	}
	d.atEnd("Keycloak", func() error { return s.stop(context.Background()) }) //nolint:contextcheck // the story's context has ended by then
	d.secret(s.keycloak.AdminPassword)
	return d.write("keycloak.password", s.keycloak.AdminPassword+"\n")
}

func (s *keycloakServer) stop(ctx context.Context) error { return s.keycloak.Stop(ctx) }

// writeRealm fills the secrets of this run into the realm that Keycloak imports.
func (s *keycloakServer) writeRealm() (string, error) {
	d := s.d
	realm, err := os.ReadFile(filepath.Join(d.root, "test", "demo", "realm.json"))
	if err != nil {
		return "", fmt.Errorf("reading the realm: %w", err)
	}
	filled := strings.NewReplacer("@OPERATOR_SECRET@", d.operatorSecret, "@ALICE_PASSWORD@", d.alicePassword).Replace(string(realm))
	return filepath.Join(d.dir, "acme-realm.json"), d.write("acme-realm.json", filled)
}

// registrations are the ids of the clients that Keycloak knows as shop.orders.
func (s *keycloakServer) registrations(ctx context.Context) ([]string, error) {
	return s.named(ctx, "/clients?clientId="+clientID, func(e entry) bool { return e.ClientID == clientID })
}

// leftovers are the ids of the client scopes that map its audience.
func (s *keycloakServer) leftovers(ctx context.Context) ([]string, error) {
	return s.named(ctx, "/client-scopes", func(e entry) bool { return e.Name == scopeName })
}

func (s *keycloakServer) remove(ctx context.Context, id string) error {
	a, err := s.d.ask(ctx, request{method: http.MethodDelete, url: s.adminURL("/clients/" + id), ca: serverCA, bearer: "admin.header"})
	if err != nil {
		return err
	}
	s.d.check(a.status == http.StatusNoContent, "somebody deleted the client in Keycloak", a.show(false))
	return nil
}

// entry is what we read of a client or a client scope.
type entry struct {
	ID       string `json:"id"`
	ClientID string `json:"clientId"`
	Name     string `json:"name"`
}

func (s *keycloakServer) named(ctx context.Context, path string, is func(entry) bool) ([]string, error) {
	var found []entry
	if err := s.admin(ctx, path, &found); err != nil {
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

func (s *keycloakServer) adminURL(path string) string {
	return s.url() + "/admin/realms/" + realmName + path
}

// admin asks Keycloak's admin API of the realm and reads the answer into found.
// Its token lives for a minute only.
func (s *keycloakServer) admin(ctx context.Context, path string, found any) error {
	err := s.d.grant(ctx, "admin", request{url: s.url() + "/realms/master/protocol/openid-connect/token", ca: serverCA, form: []string{
		"grant_type=password", "client_id=admin-cli", "username=" + s.keycloak.AdminUsername, "password=" + s.keycloak.AdminPassword,
	}})
	if err != nil {
		return err
	}
	a, err := request{url: s.adminURL(path), ca: serverCA, bearer: "admin.header"}.do(ctx, s.d.dir)
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
