// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"
)

// What an odd server says of itself must still fit the status.
func TestMethodsAreBounded(t *testing.T) {
	odd := []string{"client_secret_basic", "client_secret_basic", "", strings.Repeat("m", 65)}
	for i := range 30 {
		odd = append(odd, fmt.Sprintf("method-%d", i))
	}
	got := methods(odd)
	if len(got) != 16 || got[0] != "client_secret_basic" || got[1] != "method-0" {
		t.Errorf("kept %v", got)
	}
}
