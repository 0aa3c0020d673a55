// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	duendeidp "github.com/introspection-dev/introspection-operator/test/idp/duende"
	keycloakidp "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
	oauthidp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// TestProgram runs this very program as its users do, by the environment alone, on servers that stand for
// theirs: it passes, and leaves nothing.
func TestProgram(t *testing.T) {
	for name, row := range map[string]struct {
		reason string
		start  func(t *testing.T) (env map[string]string, left func() []string)
	}{
		"KEYCLOAK": {"a realm, by a client of it", startKeycloak},
		"DUENDE":   {"a host with the registration endpoints", startDuende},
		"OAUTH":    {"registration by an initial access token", startOAuth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, left := row.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^TestLive$/^"+name+"$")
			for _, v := range os.Environ() {
				if !strings.HasPrefix(v, "PROVIDERTEST_") {
					cmd.Env = append(cmd.Env, v)
				}
			}
			for variable, value := range env {
				cmd.Env = append(cmd.Env, "PROVIDERTEST_"+name+"_"+variable+"="+value)
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestLive/"+name+"/create ") {
				t.Errorf("%s: %v\n%s", row.reason, err, out)
			}
			for variable, value := range env {
				if strings.Contains(variable, "SECRET") && strings.Contains(string(out), value) {
					t.Errorf("the output shows %s", variable)
				}
			}
			if rest := left(); len(rest) > 0 {
				t.Errorf("it left %q", rest)
			}
		})
	}
}

const (
	operatorSecret = "the-operators-own-secret"
	webSecret      = "the-web-clients-secret"
)

func startKeycloak(t *testing.T) (env map[string]string, left func() []string) {
	t.Helper()
	s := keycloakidp.New(keycloakidp.Options{Clients: []keycloakidp.Client{
		keycloakidp.Operator("operator", operatorSecret), {ID: "web", Secret: webSecret},
	}})
	s.Start()
	t.Cleanup(s.Close)
	return map[string]string{
			"URL": s.Issuer(), "CLIENT_ID": "operator", "CLIENT_SECRET": operatorSecret, "TOKEN_CLIENT_ID": "web", "TOKEN_CLIENT_SECRET": webSecret,
			"CLIENT_ID_PREFIX": "suite.",
		}, func() []string {
			defaults, optional := s.Attached("web")
			var ours []string
			for _, scope := range append(defaults, optional...) {
				if strings.Contains(scope, "suite.") {
					ours = append(ours, scope)
				}
			}
			return ours
		}
}

func startDuende(t *testing.T) (env map[string]string, left func() []string) {
	t.Helper()
	s := duendeidp.New(duendeidp.Recorded())
	s.Start()
	t.Cleanup(s.Close)
	before := s.Resources()
	return map[string]string{
		"URL": s.URL(), "ISSUER": s.Issuer(), "CLIENT_ID": "operator", "CLIENT_SECRET": "operator-secret",
		"TOKEN_CLIENT_ID": "web-jwt", "TOKEN_CLIENT_SECRET": "web-secret", "SCOPES": "orders.read",
	}, func() []string { return s.Resources()[len(before):] }
}

func startOAuth(t *testing.T) (env map[string]string, left func() []string) {
	t.Helper()
	s := oauthidp.New(oauthidp.Options{InitialAccessToken: "the-initial-access-token"})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]string{"URL": s.URL(), "ISSUER": s.Issuer(), "INITIAL_ACCESS_TOKEN": "the-initial-access-token"}, s.Registered
}
