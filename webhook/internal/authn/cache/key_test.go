// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"crypto/rand"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestIdentityKeys(t *testing.T) {
	keyer, err := NewKeyer(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	base := Identity{Validation: "Introspect", ServerUID: "s", ClientUID: "c"}
	scope := base.Scope()
	want := keyer.Key(&scope, token.New("t"))
	cases := map[string]struct {
		reason string
		change func(*Identity)
	}{
		"Validation": {"facts of a Local policy never answer an Introspect one", func(i *Identity) { i.Validation = "Local" }},
		"Server":     {"CVE-2026-33496: the key lacked the server", func(i *Identity) { i.ServerUID = "s2" }},
		"Endpoint":   {"an edited URL or CA starts cold", func(i *Identity) { i.Endpoint[0] = 1 }},
		"Client":     {"GHSA-84rm-mhfq-f476: the key lacked the client", func(i *Identity) { i.ClientUID = "c2" }},
		"Credential": {"a wrong secret gets nothing of the right one's", func(i *Identity) { i.Credential[0] = 1 }},
		"Shifted":    {"parts do not run into each other", func(i *Identity) { i.Validation, i.ServerUID = "Introspects", "" }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			other := base
			tc.change(&other)
			scope := other.Scope()
			if keyer.Key(&scope, token.New("t")) == want {
				t.Errorf("%s: the same key", tc.reason)
			}
		})
	}
	if keyer.Key(&scope, token.New("t")) != want {
		t.Error("the same identity and token: another key")
	}
	second, err := NewKeyer(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if second.Key(&scope, token.New("t")) == want || second.Fingerprint(token.New("t")) == keyer.Fingerprint(token.New("t")) {
		t.Error("two processes share a key: it can be tried offline")
	}
}
