// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	envPrefix = "PROVIDERTEST_"
	// A URI, since a Duende host maps an audience on request only onto names that are one.
	envClientIDPrefix = "urn:introspection-operator:providertest:"
	envTimeout        = 20 * time.Second
)

// FromEnv is a harness for the server that the environment names under PROVIDERTEST_<name>_; false if it
// names none. It fails the test if it names half of one, or one that does not answer.
func FromEnv(t *testing.T, dialect provider.Dialect, name string) (Harness, bool) {
	t.Helper()
	h, ok, err := ReadEnv(t.Context(), os.LookupEnv, dialect, name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return h, ok
}

// variables are those of one server.
type variables struct {
	prefix string
	lookup func(string) (string, bool)
}

// names are all there are, without the prefix.
func (variables) names() []string {
	return []string{
		"URL", "ISSUER", "CLIENT_ID", "CLIENT_SECRET", "INITIAL_ACCESS_TOKEN", "TOKEN_CLIENT_ID", "TOKEN_CLIENT_SECRET",
		"TOKEN_CLIENT_ID_2", "TOKEN_CLIENT_SECRET_2", "SCOPES", "CA_FILE", "ADMIN_URL", "REGISTRATION_URL", "CLIENT_ID_PREFIX",
	}
}

func (v variables) get(name string) string {
	value, _ := v.lookup(v.prefix + name)
	return strings.TrimSpace(value)
}

func (v variables) any() bool {
	for _, name := range v.names() {
		if v.get(name) != "" {
			return true
		}
	}
	return false
}

// missing says which of the names is not set, empty if all are.
func (v variables) missing(names ...string) error {
	var lacking []string
	for _, name := range names {
		if v.get(name) == "" {
			lacking = append(lacking, v.prefix+name)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return fmt.Errorf("the environment names a server by %s…, and lacks %s", v.prefix, strings.Join(lacking, ", "))
}

// ReadEnv is FromEnv with the environment as an argument. It says what is missing, and what is wrong; never
// a value.
func ReadEnv(ctx context.Context, lookup func(string) (string, bool), dialect provider.Dialect, name string) (Harness, bool, error) {
	v := variables{prefix: envPrefix + name + "_", lookup: lookup}
	if !v.any() {
		return Harness{}, false, nil
	}
	if err := v.check(dialect); err != nil {
		return Harness{}, false, err
	}
	h := Harness{
		Dialect: dialect, Slow: true, Scopes: strings.Fields(v.get("SCOPES")),
		ClientIDPrefix: or(v.get("CLIENT_ID_PREFIX"), envClientIDPrefix),
		Config: provider.Config{
			Issuer: or(v.get("ISSUER"), v.get("URL")), URL: v.get("URL"), Clock: time.Now, //nolint:forbidigo // a live server keeps the time of the day
			RegistrationURL: or(v.get("REGISTRATION_URL"), v.get("ADMIN_URL")),
			SignIn: provider.SignIn{
				ClientID: v.get("CLIENT_ID"), Secret: provider.Secret(v.get("CLIENT_SECRET")),
				InitialAccessToken: provider.Secret(v.get("INITIAL_ACCESS_TOKEN")),
			},
		},
	}
	for _, suffix := range []string{"", "_2"} {
		if id := v.get("TOKEN_CLIENT_ID" + suffix); id != "" {
			h.TokenClients = append(h.TokenClients, TokenClient{ID: id, Secret: provider.Secret(v.get("TOKEN_CLIENT_SECRET" + suffix))})
		}
	}
	return h, true, v.reach(ctx, &h)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// check says what is missing. Where the operator wires audiences, it takes a client that can get tokens; where
// introspection asks for a scope, one that may be registered.
func (v variables) check(dialect provider.Dialect) error {
	errs := []error{v.missing("URL")}
	register := len(dialect.Capabilities.AudienceModes) > 1
	if register {
		errs = append(errs, v.missing("CLIENT_ID", "CLIENT_SECRET", "TOKEN_CLIENT_ID"))
	}
	if dialect.Capabilities.ScopeCheck == provider.CheckEnforced {
		errs = append(errs, v.missing("SCOPES"))
	}
	for _, pair := range [][2]string{
		{"CLIENT_ID", "CLIENT_SECRET"}, {"TOKEN_CLIENT_ID", "TOKEN_CLIENT_SECRET"}, {"TOKEN_CLIENT_ID_2", "TOKEN_CLIENT_SECRET_2"},
	} {
		if v.get(pair[0]) != "" || v.get(pair[1]) != "" {
			errs = append(errs, v.missing(pair[:]...))
		}
	}
	if v.get("CLIENT_SECRET") != "" && v.get("INITIAL_ACCESS_TOKEN") != "" {
		errs = append(errs, fmt.Errorf("%sCLIENT_SECRET and %sINITIAL_ACCESS_TOKEN exclude each other", v.prefix, v.prefix))
	}
	for _, name := range []string{"URL", "ISSUER", "ADMIN_URL", "REGISTRATION_URL"} {
		if u, err := url.Parse(v.get(name)); v.get(name) != "" && (err != nil || u.Host == "") {
			errs = append(errs, fmt.Errorf("%s%s is no URL", v.prefix, name))
		}
	}
	return errors.Join(errs...)
}

// reach makes the client that the server is called with, and fetches its metadata.
func (v variables) reach(ctx context.Context, h *Harness) error {
	options := provider.HTTPOptions{Timeout: envTimeout}
	if file := v.get("CA_FILE"); file != "" {
		pem, err := os.ReadFile(file) //nolint:gosec // whoever runs the suite names the file
		if err != nil {
			return fmt.Errorf("reading %sCA_FILE: %w", v.prefix, err)
		}
		options.CAPEM = pem
	}
	client, err := provider.NewHTTPClient(options)
	if err != nil {
		return fmt.Errorf("reading %sCA_FILE: %w", v.prefix, err)
	}
	m, err := provider.Discover(ctx, client, h.Config.Issuer, h.Config.URL)
	if err != nil {
		return fmt.Errorf("discovering the server of %sURL: %w", v.prefix, err)
	}
	if m.Issuer != h.Config.Issuer {
		return fmt.Errorf("the server calls itself %s: set %sISSUER", provider.Clean(m.Issuer), v.prefix)
	}
	if m.IntrospectionEndpoint == "" || m.TokenEndpoint == "" {
		return errors.New("the server's metadata names no introspection endpoint, or no token endpoint")
	}
	h.Config.HTTPClient, h.Config.Metadata = client, m
	return nil
}
