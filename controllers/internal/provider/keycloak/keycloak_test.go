// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// fakeWorld is a protocol-level Keycloak with the clients of a world.
func fakeWorld(t *testing.T) (*fake.Server, *world) {
	t.Helper()
	s := fake.New(fake.Options{Clients: []fake.Client{
		fake.Operator("operator", "operator-secret"),
		{ID: "root", Secret: "root-secret", Roles: []string{"realm-admin"}},
		{ID: "viewer", Secret: "viewer-secret", Roles: []string{"view-clients"}},
		{ID: "nobody", Secret: "nobody-secret"},
		{ID: "web", Secret: "web-secret"},
		{ID: "mobile", Secret: "mobile-secret"},
	}})
	base := s.Start()
	t.Cleanup(s.Close)
	s.AddRealm("other")
	s.In("other").AddClient(fake.Client{ID: "root", Secret: "root-secret", Roles: []string{"realm-admin"}})
	return s, newWorld(base, "acme")
}

func TestConformance(t *testing.T) {
	for name, rotation := range map[string]*fake.Rotation{"acme": nil, "rotating": fake.DefaultRotation()} {
		t.Run(name, func(t *testing.T) {
			server, w := fakeWorld(t)
			server.SetRotation(rotation)
			if rotation == nil {
				w.trust(t, standInCluster(t))
			}
			providertest.Run(t, w.harness(t))
		})
	}
}

func TestTraps(t *testing.T) {
	_, w := fakeWorld(t)
	traps(t, w)
}

func TestCredentialTraps(t *testing.T) {
	for name, rotation := range map[string]*fake.Rotation{"acme": nil, "rotating": fake.DefaultRotation()} {
		t.Run(name, func(t *testing.T) {
			server, w := fakeWorld(t)
			server.SetRotation(rotation)
			credentialTraps(t, w, rotation != nil)
		})
	}
}
