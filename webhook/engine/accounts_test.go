// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
)

// A verified token is believed for a minute, and never past its exp.
func TestAccounts(t *testing.T) {
	c := newClock()
	a := newAccounts(c.Now)
	a.put(cache.Key{1}, ref("api"), c.Now().Add(time.Hour))
	a.put(cache.Key{2}, ref("job"), c.Now().Add(10*time.Second))
	cases := []struct {
		reason string
		after  time.Duration
		key    cache.Key
		want   bool
	}{
		{"just verified", 0, cache.Key{1}, true},
		{"another token, or audience", 0, cache.Key{3}, false},
		{"near its exp", 9 * time.Second, cache.Key{2}, true},
		{"at its exp", time.Second, cache.Key{2}, false},
		{"within the minute", 49 * time.Second, cache.Key{1}, true},
		{"the keys are looked at again", time.Second, cache.Key{1}, false},
	}
	for _, tc := range cases {
		c.Advance(tc.after)
		if _, ok := a.get(tc.key); ok != tc.want {
			t.Errorf("%s: known %t, want %t", tc.reason, ok, tc.want)
		}
	}
	for i := range maxAccounts + 1 {
		a.put(cache.Key{byte(i), byte(i >> 8), 1}, ref("api"), c.Now().Add(time.Hour))
	}
	if n := len(a.known); n > maxAccounts {
		t.Errorf("%d are remembered, want %d at most", n, maxAccounts)
	}
}
