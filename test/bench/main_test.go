// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain collects garbage as the webhook's process does in its container (main.go): what
// is compared with us runs in the same process.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
