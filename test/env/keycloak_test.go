// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
)

const realm = `{"realm": "acme", "enabled": true, "clients": [
  {"clientId": "machine", "enabled": true, "secret": "only-here", "serviceAccountsEnabled": true, "publicClient": false}]}`

// One over TLS on a file database, one over HTTP in memory, at the same time.
func TestKeycloak(t *testing.T) {
	shared := contents(t, builtKeycloak(t))
	t.Run("at once", func(t *testing.T) {
		t.Run("on a file keeps its data over a stop", func(t *testing.T) { t.Parallel(); keepsData(t) })
		t.Run("in memory leaves no data", func(t *testing.T) { t.Parallel(); leavesNothing(t) })
	})
	if diff := cmp.Diff(shared, contents(t, builtKeycloak(t))); diff != "" {
		t.Errorf("a running instance wrote into the cache (-before +after):\n%s", diff)
	}
}

func keepsData(t *testing.T) {
	t.Helper()
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := writeCertificate(t, ca, t.TempDir())
	kc := env.KeycloakForTest(t, env.KeycloakOptions{
		RealmFiles: []string{realmFile(t)}, CertFile: certFile, KeyFile: keyFile, DevFile: true,
	})
	client, address := trusting(ca), kc.URL()
	if !strings.HasPrefix(address, "https://127.0.0.1:") {
		t.Fatalf("URL %s", address)
	}
	token(t, client, address+"/realms/acme", form("grant_type", "client_credentials", "client_id", "machine", "client_secret", "only-here"))
	keys := get(t, client, address+"/realms/acme/protocol/openid-connect/certs")
	createUser(t, client, kc)
	if err := kc.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "https://")); err == nil {
		t.Error("Keycloak still listens after Stop", conn.Close())
	}
	if err := kc.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kc.URL() != address {
		t.Errorf("moved from %s to %s", address, kc.URL())
	}
	if users(t, client, kc) != 1 {
		t.Error("the user is gone")
	}
	if diff := cmp.Diff(keys, get(t, client, address+"/realms/acme/protocol/openid-connect/certs")); diff != "" {
		t.Errorf("the realm's keys (-before +after the stop):\n%s", diff)
	}
}

func leavesNothing(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	kc := env.KeycloakForTest(t, env.KeycloakOptions{Dir: dir, RealmFiles: []string{realmFile(t)}})
	createUser(t, http.DefaultClient, kc)
	if users(t, http.DefaultClient, kc) != 1 {
		t.Error("the user is not there")
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "h2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database in memory left files: %v", err)
	}
}

func realmFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "acme.json")
	if err := os.WriteFile(path, []byte(realm), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func adminToken(t *testing.T, client *http.Client, kc *env.Keycloak) string {
	t.Helper()
	return token(t, client, kc.URL()+"/realms/master", form("grant_type", "password", "client_id", "admin-cli",
		"username", kc.AdminUsername, "password", kc.AdminPassword))
}

func token(t *testing.T, client *http.Client, realm string, values url.Values) string {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	post(t, client, realm+"/protocol/openid-connect/token", values, &answer)
	return answer.AccessToken
}

func post(t *testing.T, client *http.Client, address string, values url.Values, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := json.Unmarshal([]byte(do(t, client, req, http.StatusOK)), into); err != nil {
		t.Fatal(err)
	}
}

func createUser(t *testing.T, client *http.Client, kc *env.Keycloak) {
	t.Helper()
	admin(t, client, kc, http.MethodPost, `{"username": "alice", "enabled": true}`, http.StatusCreated)
}

func users(t *testing.T, client *http.Client, kc *env.Keycloak) int {
	t.Helper()
	var found []struct{}
	if err := json.Unmarshal([]byte(admin(t, client, kc, http.MethodGet, "", http.StatusOK)), &found); err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func admin(t *testing.T, client *http.Client, kc *env.Keycloak, method, body string, status int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, kc.URL()+"/admin/realms/acme/users?username=alice", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken(t, client, kc))
	req.Header.Set("Content-Type", "application/json")
	return do(t, client, req, status)
}

// builtKeycloak is the shared home, found where an instance links to.
func builtKeycloak(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "introspection-operator", "keycloak")
}

func contents(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	files := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		files[path] = info.ModTime()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
