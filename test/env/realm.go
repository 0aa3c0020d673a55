// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import "time"

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
