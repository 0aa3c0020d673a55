// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// realHarness is one on a real node-oidc-provider.
func realHarness(t *testing.T, o env.OIDCProviderOptions) providertest.Harness {
	t.Helper()
	p := env.OIDCProviderForTest(t, o)
	client, err := provider.NewHTTPClient(provider.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := provider.Discover(t.Context(), client, p.Issuer, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Harness{
		Dialect: oauth.Dialect(), Slow: true, Scopes: []string{"orders.read", "orders.write"}, ClientIDPrefix: "suite.",
		Config: provider.Config{
			Issuer: p.Issuer, URL: p.URL, Metadata: metadata, HTTPClient: client, Clock: time.Now,
			SignIn: provider.SignIn{InitialAccessToken: provider.Secret(p.InitialAccessToken)},
		},
		TokenClients: []providertest.TokenClient{{ID: p.TokenClientID, Secret: provider.Secret(p.TokenClientSecret)}},
	}
}

// TestRealConformance holds the dialect to the contract on node-oidc-provider, with its options and its default.
func TestRealConformance(t *testing.T) {
	for name, o := range map[string]env.OIDCProviderOptions{
		"Plain": {ExtraMetadata: []string{"software_id"}}, "NewTokens": {RotateRegistrationToken: true},
		"ReadOnly": {NoManagement: true}, "NoManagement": {NoManagement: true, NoRegistrationToken: true},
	} {
		t.Run(name, func(t *testing.T) { providertest.Run(t, realHarness(t, o)) })
	}
}

// TestRealRotation: it keeps the client's secret whatever is asked, and says so from then on.
func TestRealRotation(t *testing.T) {
	h := realHarness(t, env.OIDCProviderOptions{})
	s := h.Open(t, nil)
	c := providertest.NewCaller(t, &h, provider.Desired{
		Identity: provider.Identity{Owner: providertest.Owner}, DisplayName: "Orders", Attempt: rand.Text(),
		Credentials: provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret}},
	})
	if _, err := s.Create(t.Context(), c.Desired(), c); err != nil {
		t.Fatal(err)
	}
	c.Turn(provider.Credential{Method: provider.ClientSecret})
	r, err := s.Rotate(t.Context(), c.Desired(), c)
	if diff := cmp.Diff(provider.Rotation{Overlap: provider.OverlapNone}, r); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if o, err := s.Observe(t.Context(), c.Desired(), c); err != nil || o.Overlap != provider.OverlapNone {
		t.Errorf("the client shows overlap %q, error %v", o.Overlap, err)
	}
	if p, err := s.Probe(t.Context()); err != nil || p.Capabilities.Overlap != provider.OverlapNone || p.Capabilities.Update != provider.Supported {
		t.Errorf("the server shows %+v, error %v", p.Capabilities, err)
	}
	if err := s.Delete(t.Context(), c.Desired(), c); err != nil {
		t.Error(err)
	}
}
