// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package cache

import (
	"crypto/rand"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// The race detector makes pools forget: without it a key allocates nothing.
func TestKeyerAllocatesNothing(t *testing.T) {
	keyer, err := NewKeyer(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	scope, tok := Scope{}, token.New(string(make([]byte, 1100)))
	if n := testing.AllocsPerRun(100, func() { keyer.Key(&scope, tok) }); n != 0 {
		t.Errorf("Key(...): %v allocations, want 0", n)
	}
}
