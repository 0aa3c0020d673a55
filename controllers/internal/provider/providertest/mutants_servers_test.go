// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/duende"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	duendeidp "github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	keycloakidp "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
	oauthidp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// config is one of a session with a server that was started.
func config(t *testing.T, issuer, url string, signIn provider.SignIn) provider.Config {
	t.Helper()
	client, err := provider.NewHTTPClient(provider.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := provider.Discover(t.Context(), client, issuer, url)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Config{Issuer: issuer, URL: url, Metadata: metadata, HTTPClient: client, Clock: time.Now, SignIn: signIn}
}

// onKeycloak is a protocol-level Keycloak.
func onKeycloak(t *testing.T) providertest.Harness {
	t.Helper()
	server := keycloakidp.New(keycloakidp.Options{Clients: []keycloakidp.Client{
		keycloakidp.Operator("operator", "operator-secret"),
		{ID: "nobody", Secret: "nobody-secret"},
		{ID: "web", Secret: "web-secret"},
		{ID: "mobile", Secret: "mobile-secret"},
	}})
	server.Start()
	t.Cleanup(server.Close)
	return providertest.Harness{
		Dialect: keycloak.Dialect(), ClientIDPrefix: "suite.",
		Config:       config(t, server.Issuer(), server.Issuer(), provider.SignIn{ClientID: "operator", Secret: "operator-secret"}),
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

// onOAuth is the embedded server; each update ends the registration access token.
func onOAuth(t *testing.T) providertest.Harness {
	t.Helper()
	return onOAuthWith(t, nil)
}

// onStubborn is one that deletes nothing that it should.
func onStubborn(t *testing.T) providertest.Harness {
	t.Helper()
	return onOAuthWith(t, &fault.Fault{Match: fault.Matching(http.MethodDelete, "/"), Undone: true, Status: http.StatusInternalServerError})
}

func onOAuthWith(t *testing.T, f *fault.Fault) providertest.Harness {
	t.Helper()
	server := oauthidp.New(oauthidp.Options{
		InitialAccessToken: "initial-access-token", NewRegistrationToken: true, Scopes: []string{"orders.read"},
		Clients: []oauthidp.Client{{ID: "web", Secret: "web-secret", Scopes: []string{"orders.read"}}},
	})
	if f != nil {
		server.Inject(*f)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return providertest.Harness{
		Dialect: oauth.Dialect(), ClientIDPrefix: "suite.", Scopes: []string{"orders.read"},
		Config:       config(t, server.Issuer(), server.URL(), provider.SignIn{InitialAccessToken: "initial-access-token"}),
		TokenClients: []providertest.TokenClient{{ID: "web", Secret: "web-secret"}},
		Hand: providertest.Hand{
			Registrations: func(t *testing.T, id string) int {
				t.Helper()
				all := server.Registered()
				if id == "" || slices.Contains(all, id) {
					return len(all)
				}
				return 0
			},
		},
	}
}

// onDuende is a protocol-level Duende host.
func onDuende(t *testing.T) providertest.Harness {
	t.Helper()
	server := duendeidp.New(duendeidp.Recorded())
	server.Start()
	t.Cleanup(server.Close)
	return providertest.Harness{
		Dialect: duende.Dialect(), ClientIDPrefix: "https://suite.example.com/", Scopes: []string{"orders.read"},
		Config:       config(t, server.Issuer(), server.URL(), provider.SignIn{ClientID: "operator", Secret: "operator-secret"}),
		TokenClients: []providertest.TokenClient{{ID: "web-jwt", Secret: "web-secret"}, {ID: "web-ref", Secret: "web-secret"}},
		Hand:         handsAt(server),
	}
}

// handsAt are the host's people, who make what may be adopted.
func handsAt(server *duendeidp.Server) providertest.Hand {
	register := func(_ *testing.T, name string) {
		server.AddResource(duendeidp.Resource{Name: name, Scopes: []string{"orders.read"}})
	}
	return providertest.Hand{
		Register: register, Idle: register,
		Disable: func(_ *testing.T, name string) {
			server.EditResource(name, func(r *duendeidp.Resource) { r.Disabled = true })
		},
		Remove: func(_ *testing.T, name string) { server.RemoveResource(name) },
	}
}
