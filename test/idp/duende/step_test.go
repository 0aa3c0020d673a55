// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"os"
	"strings"
	"testing"
)

// TestStepWithTheFile: what stands here for the file of the docs says the same words.
func TestStepWithTheFile(t *testing.T) {
	file, err := os.ReadFile("../../../docs/servers/duende/IntrospectionRegistration.cs")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"Path":         `string Path { get; set; } = "` + RegistrationPath + `"`,
		"Policy":       `string Policy { get; set; } = "` + RegistrationScope + `"`,
		"Owner":        `const string OwnerKey = "` + OwnerKey + `"`,
		"Adopted":      `const string AdoptedKey = "` + AdoptedKey + `"`,
		"SecretPrefix": `const string SecretPrefix = "` + SecretPrefix + `"`,
	}
	for _, code := range []string{errNotFound, errInvalidRequest, errInvalidMetadata, errInvalidScope, errScopeNotAllowed, errNotOwned, errOwnedByOther, errConflict} {
		tests[code] = `, "` + code + `", `
	}
	for name, literal := range tests {
		if !strings.Contains(string(file), literal) {
			t.Errorf("%s: the file has no %s", name, literal)
		}
	}
}
