// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package engine

import "testing"

// The race detector makes pools forget: without it a warm decision allocates nothing.
func TestDecideWarmAllocatesNothing(t *testing.T) {
	e, req := warm(t)
	ctx := t.Context()
	if n := testing.AllocsPerRun(200, func() { _, _ = e.Decide(ctx, req) }); n != 0 {
		t.Errorf("Decide(...): %v allocations, want 0", n)
	}
}
