// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// TestConformance holds the dialect to the contract on the embedded server, as servers differ.
func TestConformance(t *testing.T) {
	scopes := []string{"orders.read", "orders.write"}
	clients := []idp.Client{
		{ID: "web", Secret: "web-secret", Scopes: scopes, Audience: []string{"https://orders.example.com"}},
		{ID: "operator", Secret: "operator-secret", Registers: true},
		{ID: "powerless", Secret: "powerless-secret"},
	}
	for name, tc := range map[string]struct {
		reason  string
		options idp.Options
		client  bool
	}{
		"Plain":         {"RFC 7592 as most have it, and an initial access token", idp.Options{InitialAccessToken: initial}, false},
		"Client":        {"the operator signs in with a client of its own", idp.Options{}, true},
		"NewTokens":     {"each update ends the registration access token", idp.Options{InitialAccessToken: initial, NewRegistrationToken: true}, false},
		"NewSecrets":    {"each update ends the secret", idp.Options{InitialAccessToken: initial, NewSecret: true}, false},
		"NoManagement":  {"RFC 7591 alone", idp.Options{InitialAccessToken: initial, NoManagement: true}, false},
		"ReadOnly":      {"a client can be read, and not be changed or deleted", idp.Options{InitialAccessToken: initial, ReadOnly: true}, false},
		"ForgetsGrants": {"a server of few words, that wants a grant", idp.Options{InitialAccessToken: initial, NeedGrant: true, Forget: []string{"software_id", "client_uri"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			o := tc.options
			o.Scopes, o.Clients = scopes, clients
			w := start(t, o)
			if tc.client {
				w.config.SignIn = provider.SignIn{ClientID: "operator", Secret: "operator-secret"}
			}
			dialect := oauth.Dialect()
			if o.NoManagement {
				dialect = unmanaged(dialect)
				w.config.Metadata.IntrospectionAuthMethods = []string{"client_secret_basic"} // or keys could be had, and not be rotated
			}
			providertest.Run(t, providertest.Harness{
				Dialect: dialect, Config: w.config, Scopes: scopes, ClientIDPrefix: "suite.",
				Powerless:    &provider.SignIn{ClientID: "powerless", Secret: "powerless-secret"},
				TokenClients: []providertest.TokenClient{{ID: "web", Secret: "web-secret"}},
				Hand:         w.hand(),
			})
		})
	}
}

// unmanaged is the dialect as a session has it that has seen a client without management.
func unmanaged(d provider.Dialect) provider.Dialect {
	open := d.New
	d.New = func(c provider.Config) (provider.Server, error) {
		s, err := open(c)
		return bare{s}, err
	}
	return d
}

type bare struct{ provider.Server }

func (b bare) Probe(ctx context.Context) (provider.Report, error) {
	r, err := b.Server.Probe(ctx)
	r.Capabilities.Read, r.Capabilities.Update, r.Capabilities.Delete = provider.Unsupported, provider.Unsupported, provider.Unsupported
	return r, err
}

// hand is what an administrator of the embedded server does.
func (w *world) hand() providertest.Hand {
	return providertest.Hand{
		Disable: func(t *testing.T, id string) {
			t.Helper()
			if !w.Change(id, func(m map[string]any) {
				m["grant_types"], m["redirect_uris"] = []any{"authorization_code"}, []any{"https://evil.example.com"}
			}) {
				t.Fatalf("no client %s", id)
			}
		},
		Remove: func(t *testing.T, id string) {
			t.Helper()
			if !w.Remove(id) {
				t.Fatalf("no client %s", id)
			}
		},
		Registrations: func(t *testing.T, id string) int {
			t.Helper()
			all := w.Registered()
			if id == "" || slices.Contains(all, id) && len(all) == 1 {
				return len(all)
			}
			return 0
		},
		Revoke: func(t *testing.T, by providertest.TokenClient, token string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL()+"/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(by.ID, by.Secret.Reveal())
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("revoking: %d, %v", resp.StatusCode, err)
			}
		},
	}
}
