// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package engine

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// The race detector makes pools forget: without it a warm decision allocates nothing, whatever
// the gateway shows of the request.
func TestDecideWarmAllocatesNothing(t *testing.T) {
	e, req := warm(t)
	ctx := t.Context()
	for name, h := range map[string]token.HTTPHeaders{"few headers": {"Accept": {"*/*"}}, "ten headers": tenHeaders()} {
		req.HTTP.Headers = h
		if n := testing.AllocsPerRun(200, func() { _, _ = e.Decide(ctx, req) }); n != 0 {
			t.Errorf("%s: Decide(...): %v allocations, want 0", name, n)
		}
	}
}
