// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// TestReal runs on a real Keycloak what TestConformance and TestTraps run on
// the protocol-level one.
func TestReal(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"acme", "other"} {
		file := filepath.Join(dir, name+".json")
		if err := os.WriteFile(file, realmFile(t, name), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	server := env.KeycloakForTest(t, env.KeycloakOptions{RealmFiles: files})
	w := newWorld(server.URL(), "acme")
	t.Run("conformance", func(t *testing.T) { providertest.Run(t, w.harness(t)) })
	t.Run("traps", func(t *testing.T) { traps(t, w) })
}

// realmFile is a realm with the clients of a world, to be imported.
func realmFile(t *testing.T, name string) []byte {
	t.Helper()
	roles := map[string][]string{"operator": {"manage-clients"}, "root": {"realm-admin"}, "viewer": {"view-clients"}, "nobody": {}, "web": {}, "mobile": {}}
	var clients, users []map[string]any
	for id, granted := range roles {
		clients = append(clients, map[string]any{"clientId": id, "secret": id + "-secret", "serviceAccountsEnabled": true, "enabled": true})
		users = append(users, map[string]any{
			"username": "service-account-" + id, "enabled": true, "serviceAccountClientId": id,
			"clientRoles": map[string]any{"realm-management": granted},
		})
	}
	body, err := json.Marshal(map[string]any{"realm": name, "enabled": true, "clients": clients, "users": users})
	if err != nil {
		t.Fatal(err)
	}
	return body
}
