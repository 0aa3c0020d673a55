// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/all"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/duende"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// TestLive runs the suite on each server that the environment names. Of the others it checks that the
// environment is read as the documentation says.
func TestLive(t *testing.T) {
	for _, dialect := range all.Dialects() {
		name := strings.ToUpper(dialect.Name)
		t.Run(name, func(t *testing.T) {
			if h, ok := providertest.FromEnv(t, dialect, name); ok {
				providertest.Run(t, h)
				return
			}
			t.Logf("no variable PROVIDERTEST_%s_… is set: how they are read is checked, and no server", name)
			readEnv(t, dialect, name)
		})
	}
}

// full is an environment that names a server, without the prefix.
func full(base string) map[string]string {
	return map[string]string{
		"URL": base + "/realms/acme", "CLIENT_ID": "operator", "CLIENT_SECRET": "operators-own-secret",
		"TOKEN_CLIENT_ID": "web", "TOKEN_CLIENT_SECRET": "webs-own-secret", "SCOPES": "orders.read orders.write",
	}
}

func readEnv(t *testing.T, dialect provider.Dialect, name string) {
	t.Helper()
	server := metadata(t)
	for what, row := range map[string]struct {
		reason string
		change func(env map[string]string)
		// lacks is what the error must name; empty for an environment that is good.
		lacks []string
	}{
		"full":       {"all that is documented as needed is enough", func(map[string]string) {}, nil},
		"two":        {"a second token client is taken", set("TOKEN_CLIENT_ID_2", "mobile", "TOKEN_CLIENT_SECRET_2", "its-own-secret"), nil},
		"no-url":     {"a server without a URL is half of one", unset("URL"), []string{"URL"}},
		"no-secret":  {"an id without a secret is half of one", unset("CLIENT_SECRET", "TOKEN_CLIENT_SECRET"), []string{"CLIENT_SECRET", "TOKEN_CLIENT_SECRET"}},
		"no-ca":      {"a CA file that is not there is said", set("CA_FILE", "/nowhere/ca.crt"), []string{"CA_FILE"}},
		"bad-url":    {"what is no URL is said", set("REGISTRATION_URL", "orders"), []string{"REGISTRATION_URL"}},
		"other":      {"another issuer than the server's own is said", set("ISSUER", server+"/realms/other"), []string{"ISSUER"}},
		"both-ways":  {"two ways to sign in exclude each other", set("INITIAL_ACCESS_TOKEN", "an-initial-token"), []string{"CLIENT_SECRET", "INITIAL_ACCESS_TOKEN"}},
		"nobody":     {"a server that does not answer is said", set("URL", "http://127.0.0.1:1"), []string{"URL"}},
		"half-token": {"a token client without a secret is half of one", set("TOKEN_CLIENT_ID_2", "mobile"), []string{"TOKEN_CLIENT_SECRET_2"}},
	} {
		t.Run(what, func(t *testing.T) {
			env := full(server)
			row.change(env)
			h, ok, err := providertest.ReadEnv(t.Context(), lookup(env, name), dialect, name)
			if len(row.lacks) == 0 {
				good(t, h, ok, err)
				return
			}
			if err == nil {
				t.Fatalf("%s: it was taken", row.reason)
			}
			said(t, err, env, name, row.lacks)
		})
	}
	if _, ok, err := providertest.ReadEnv(t.Context(), lookup(nil, name), dialect, name); ok || err != nil {
		t.Errorf("an empty environment: %v, %v", ok, err)
	}
}

// said checks that an error names the variables, and no secret.
func said(t *testing.T, err error, env map[string]string, name string, variables []string) {
	t.Helper()
	for _, v := range variables {
		if !strings.Contains(err.Error(), "PROVIDERTEST_"+name+"_"+v) {
			t.Errorf("%v: it does not name %s", err, v)
		}
	}
	for v, value := range env {
		if (strings.Contains(v, "SECRET") || strings.Contains(v, "ACCESS_TOKEN")) && strings.Contains(err.Error(), value) {
			t.Errorf("the error shows %s", v)
		}
	}
}

// good checks a harness that the environment made, and that a session can be had of it.
func good(t *testing.T, h providertest.Harness, ok bool, err error) {
	t.Helper()
	if err != nil || !ok {
		t.Fatalf("taken: %v, %v", ok, err)
	}
	if len(h.TokenClients) == 0 || len(h.Scopes) != 2 || h.Config.Metadata.IntrospectionEndpoint == "" || h.ClientIDPrefix == "" {
		t.Errorf("the harness lacks something: %d token clients, scopes %q", len(h.TokenClients), h.Scopes)
	}
	if h.Open(t, nil) == nil {
		t.Error("there is no session")
	}
}

func lookup(env map[string]string, name string) func(string) (string, bool) {
	return func(variable string) (string, bool) {
		value, ok := env[strings.TrimPrefix(variable, "PROVIDERTEST_"+name+"_")]
		return value, ok
	}
}

func set(pairs ...string) func(map[string]string) {
	return func(env map[string]string) {
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
	}
}

func unset(names ...string) func(map[string]string) {
	return func(env map[string]string) {
		maps.DeleteFunc(env, func(name, _ string) bool { return slices.Contains(names, name) })
	}
}

// metadata serves what a server says of itself, and nothing else.
func metadata(t *testing.T) (base string) {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	issuer := server.URL + "/realms/acme"
	mux.HandleFunc("/realms/{realm}/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]string{
			"issuer": issuer, "token_endpoint": issuer + "/token", "introspection_endpoint": issuer + "/introspect",
			"registration_endpoint": issuer + "/register",
		}); err != nil {
			t.Errorf("answering: %v", err)
		}
	})
	return server.URL
}

// Scopes are needed where introspection asks for one, and nowhere else: without them every token of the suite
// would be inactive, and its rows would blame the server.
func TestScopesNeeded(t *testing.T) {
	server := metadata(t)
	for name, row := range map[string]struct {
		reason  string
		dialect provider.Dialect
		lacks   []string
	}{
		"KEYCLOAK": {"a Keycloak goes by the audience", keycloak.Dialect(), nil},
		"DUENDE":   {"a Duende host answers only about tokens of a scope", duende.Dialect(), []string{"SCOPES"}},
		"OAUTH":    {"such a server may know no scopes", oauth.Dialect(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			env := full(server)
			delete(env, "SCOPES")
			_, ok, err := providertest.ReadEnv(t.Context(), lookup(env, name), row.dialect, name)
			switch {
			case len(row.lacks) > 0 && err == nil:
				t.Fatalf("%s: it was taken without", row.reason)
			case len(row.lacks) > 0:
				said(t, err, env, name, row.lacks)
			case err != nil || !ok:
				t.Errorf("%s: taken %v, %v", row.reason, ok, err)
			}
		})
	}
}
