// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// TestReal runs on a real Keycloak what TestConformance and TestTraps run on
// the protocol-level one.
func TestReal(t *testing.T) {
	files := []string{realmFile(t, "acme", nil), realmFile(t, "rotating", env.SecretRotation()), realmFile(t, "other", nil)}
	server := env.KeycloakForTest(t, env.KeycloakOptions{RealmFiles: files})
	w := newWorld(server.URL(), "acme")
	rotating := newWorld(server.URL(), "rotating")
	for _, w := range []*world{w, rotating} {
		t.Run("credentials/"+w.realm, func(t *testing.T) { credentialTraps(t, w, w == rotating) })
	}
	t.Run("traps", func(t *testing.T) { traps(t, w) })
	t.Run("conformance", func(t *testing.T) { // TestRealCluster runs it in the realm without a policy
		h := rotating.harness(t)
		h.Slow = true
		providertest.Run(t, h)
	})
	t.Run("script", func(t *testing.T) { script(t, w, server) })
}

// script runs the script of the documentation, and signs in with what it makes.
func script(t *testing.T, w *world, server *env.Keycloak) {
	t.Helper()
	kcadm, err := server.Kcadm()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	wrapper := filepath.Join(dir, "kcadm") // with a configuration of its own, or it writes into the home directory
	content := "#!/bin/sh\nexec " + kcadm + ` "$@" --config ` + filepath.Join(dir, "kcadm.config") + "\n"
	if err := os.WriteFile(wrapper, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs("../../../../docs/servers/keycloak/create-operator-client.sh")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KCADM="+wrapper, "KC_CLI_PASSWORD="+server.AdminPassword)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
		}
	}
	run(wrapper, "config", "credentials", "--server", server.URL(), "--realm", "master", "--user", server.AdminUsername)
	for range 2 { // the second changes nothing
		run(path, w.realm, "made-by-script")
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	s := w.session(t, func(o *provider.Config) {
		o.SignIn.ClientID, o.SignIn.Secret = read("client_id"), provider.Secret(read("client_secret"))
	})
	report, err := s.Probe(t.Context())
	if err != nil || report.Rights != provider.RightsManage {
		t.Errorf("what the script made signs in with rights %q, %v", report.Rights, err)
	}
}

// realmFile is a realm with the clients of a world, to be imported.
func realmFile(t *testing.T, name string, more map[string]any) string {
	t.Helper()
	var clients []env.RealmClient
	for id, granted := range map[string][]string{"operator": {"manage-clients"}, "root": {"realm-admin"}, "viewer": {"view-clients"}, "nobody": {}, "web": {}, "mobile": {}} {
		clients = append(clients, env.RealmClient{ID: id, Secret: id + "-secret", Roles: granted})
	}
	return env.RealmForTest(t, name, more, clients...)
}
