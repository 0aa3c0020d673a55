// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	idp "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// mutantVariable tells a copy of the test which mutant it is to run the suite on.
const mutantVariable = "SUITE_TEST_MUTANT"

// mutant is a provider that breaks one promise.
type mutant struct {
	// row is where the suite must see it.
	row     string
	corrupt func(broken) broken
}

// broken is a provider with some of its methods replaced.
type broken struct {
	provider.Server

	observe  func(context.Context, provider.Desired, provider.Caller) (provider.Observation, error)
	create   func(context.Context, provider.Desired, provider.Caller) (provider.Registration, error)
	remove   func(context.Context, provider.Desired, provider.Caller) error
	audience func(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error)
	rotate   func(context.Context, provider.Desired, provider.Caller) (provider.Rotation, error)
}

func (b broken) Observe(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
	return b.observe(ctx, d, c)
}

func (b broken) Create(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
	return b.create(ctx, d, c)
}

func (b broken) Delete(ctx context.Context, d provider.Desired, c provider.Caller) error {
	return b.remove(ctx, d, c)
}

func (b broken) MapAudience(ctx context.Context, d provider.Desired, c provider.Caller) (provider.AudienceReport, error) {
	return b.audience(ctx, d, c)
}

func (b broken) Rotate(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Rotation, error) {
	return b.rotate(ctx, d, c)
}

// TestSuiteCanFail runs the suite on mutants, each in a process of its own: a suite that passes whatever a
// provider does is worth nothing.
func TestSuiteCanFail(t *testing.T) {
	if name := os.Getenv(mutantVariable); name != "" {
		providertest.Run(t, harness(t, mutants()[name].corrupt))
		return
	}
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := rerun(t, name, m.row)
			switch failed := strings.Contains(out, "--- FAIL: TestSuiteCanFail/"+m.row); {
			case name == healthy && (err != nil || failed):
				t.Errorf("the suite fails without a reason:\n%s", out)
			case name != healthy && (err == nil || !failed):
				t.Errorf("the row %s did not see it: %v\n%s", m.row, err, out)
			}
		})
	}
}

// rerun runs one row on a mutant.
func rerun(t *testing.T, name, row string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSuiteCanFail$/^("+row+"|learn)$", "-test.v")
	cmd.Env = append(os.Environ(), mutantVariable+"="+name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// harness is a protocol-level Keycloak, and a dialect that was tampered with.
func harness(t *testing.T, corrupt func(broken) broken) providertest.Harness {
	t.Helper()
	server := idp.New(idp.Options{Clients: []idp.Client{
		idp.Operator("operator", "operator-secret"),
		{ID: "nobody", Secret: "nobody-secret"},
		{ID: "web", Secret: "web-secret"},
		{ID: "mobile", Secret: "mobile-secret"},
	}})
	server.Start()
	t.Cleanup(server.Close)
	client, err := provider.NewHTTPClient(provider.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := provider.Discover(t.Context(), client, server.Issuer(), server.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Harness{
		Dialect: tampered(corrupt), ClientIDPrefix: "suite.",
		Config: provider.Config{
			Issuer: server.Issuer(), URL: server.Issuer(), Metadata: metadata, HTTPClient: client, Clock: time.Now,
			SignIn: provider.SignIn{ClientID: "operator", Secret: "operator-secret"},
		},
		Powerless:    &provider.SignIn{ClientID: "nobody", Secret: "nobody-secret"},
		TokenClients: []providertest.TokenClient{{ID: "web", Secret: "web-secret"}, {ID: "mobile", Secret: "mobile-secret"}},
		Hand: providertest.Hand{
			Disable: func(t *testing.T, id string) {
				t.Helper()
				server.EditClient(id, map[string]any{"enabled": false})
			},
			Remove: func(t *testing.T, id string) {
				t.Helper()
				server.DeleteClient(id)
			},
		},
	}
}

func tampered(corrupt func(broken) broken) provider.Dialect {
	d := keycloak.Dialect()
	sound := d.New
	d.New = func(config provider.Config) (provider.Server, error) {
		s, err := sound(config)
		if err != nil {
			return nil, err
		}
		return corrupt(broken{
			Server: s, observe: s.Observe, create: s.Create, remove: s.Delete, audience: s.MapAudience, rotate: s.Rotate,
		}), nil
	}
	return d
}
