// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// RealmClient is a confidential client with a service account.
type RealmClient struct {
	ID, Secret string
	// Roles of realm-management are all that its service account has; nil: what Keycloak gives to each.
	Roles []string
	// Members are more of it, as Keycloak's ClientRepresentation names them.
	Members map[string]any
}

// RealmForTest writes a realm with these clients for KeycloakOptions.RealmFiles. more are members of
// it, as Keycloak's RealmRepresentation names them.
func RealmForTest(tb testing.TB, name string, more map[string]any, clients ...RealmClient) (file string) {
	tb.Helper()
	var made, users []map[string]any
	for _, c := range clients {
		client := map[string]any{"clientId": c.ID, "secret": c.Secret, "serviceAccountsEnabled": true, "enabled": true}
		maps.Copy(client, c.Members)
		made = append(made, client)
		if c.Roles == nil {
			continue
		}
		users = append(users, map[string]any{
			"username": "service-account-" + c.ID, "enabled": true, "serviceAccountClientId": c.ID,
			"clientRoles": map[string]any{"realm-management": c.Roles},
		})
	}
	realm := map[string]any{"realm": name, "enabled": true, "clients": made, "users": users}
	maps.Copy(realm, more)
	encoded, err := json.Marshal(realm)
	if err != nil {
		tb.Fatal(err)
	}
	file = filepath.Join(tb.TempDir(), name+".json")
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// SecretRotation is what a realm that Keycloak imports has, so that the secrets of all its clients
// are rotated: a client policy with the executor secret-rotation. A secret lasts 29 days, and the
// one before it two.
func SecretRotation() map[string]any {
	const name = "rotation"
	days := func(n int) int { return n * int(24*time.Hour/time.Second) }
	return map[string]any{
		"clientProfiles": map[string]any{"profiles": []any{map[string]any{
			"name": name, "executors": []any{map[string]any{"executor": "secret-rotation", "configuration": map[string]any{
				"expiration-period": days(29), "rotated-expiration-period": days(2), "remaining-rotation-period": days(10),
			}}},
		}}},
		"clientPolicies": map[string]any{"policies": []any{map[string]any{
			"name": name, "enabled": true, "profiles": []any{name},
			"conditions": []any{map[string]any{"condition": "any-client", "configuration": map[string]any{}}},
		}}},
	}
}
