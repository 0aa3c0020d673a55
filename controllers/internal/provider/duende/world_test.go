// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/duende"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	idp "github.com/introspection-dev/introspection-operator/test/idp/duende"
)

// prefix makes every name a URI, as clients must have it that ask for an audience by name. Its slashes
// must survive the path.
const prefix = "https://suite.example.com/"

// start starts a host as the one that was recorded.
func start(t *testing.T, change func(*idp.Options)) *idp.Server {
	t.Helper()
	o := idp.Recorded()
	if change != nil {
		change(&o)
	}
	s := idp.New(o)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// harness is that host for the suite.
func harness(t *testing.T, s *idp.Server) providertest.Harness {
	t.Helper()
	client, err := provider.NewHTTPClient(provider.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	metadata, err := provider.Discover(t.Context(), client, s.Issuer(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Harness{
		Dialect: duende.Dialect(),
		Config: provider.Config{
			Issuer: s.Issuer(), URL: s.URL(), Metadata: metadata, HTTPClient: client, Clock: time.Now,
			SignIn: provider.SignIn{ClientID: "operator", Secret: "operator-secret"},
		},
		Powerless:      &provider.SignIn{ClientID: "web-jwt", Secret: "web-secret"},
		TokenClients:   []providertest.TokenClient{{ID: "web-jwt", Secret: "web-secret"}, {ID: "web-ref", Secret: "web-secret"}},
		Scopes:         []string{"orders.read"},
		ClientIDPrefix: prefix,
		Hand:           hand(s),
	}
}

// hand is what the host's people do to its database.
func hand(s *idp.Server) providertest.Hand {
	register := func(t *testing.T, clientID string) {
		t.Helper()
		s.AddResource(idp.Resource{
			Name: clientID, Scopes: []string{"orders.read"},
			Secrets: []idp.Secret{{Type: "SharedSecret", Value: idp.Hash("of the host")}},
		})
	}
	return providertest.Hand{
		Register: register, Idle: register, // no ApiResource obtains tokens
		Disable: func(t *testing.T, clientID string) {
			t.Helper()
			if !s.EditResource(clientID, func(r *idp.Resource) { r.Disabled = true }) {
				t.Fatalf("there is no %s to disable", clientID)
			}
		},
		Remove: func(t *testing.T, clientID string) {
			t.Helper()
			s.RemoveResource(clientID)
		},
		Registrations: func(t *testing.T, clientID string) int {
			t.Helper()
			n := 0
			for _, name := range s.Resources() {
				if name == clientID || clientID == "" && strings.HasPrefix(name, prefix) {
					n++
				}
			}
			return n
		},
		Revoke: func(t *testing.T, by providertest.TokenClient, token string) {
			t.Helper()
			revoke(t, s, by, token)
		},
	}
}

func revoke(t *testing.T, s *idp.Server, by providertest.TokenClient, token string) {
	t.Helper()
	form := url.Values{"token": {token}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/connect/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(by.ID, by.Secret.Reveal())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("revocation: status %d", resp.StatusCode)
	}
}

func TestConformance(t *testing.T) {
	providertest.Run(t, harness(t, start(t, nil)))
}
