// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manual_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/manual"
)

// nobody fails whatever is asked of it.
type nobody struct{ t *testing.T }

func (n nobody) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("the server was called: %s %s", r.Method, r.URL.Path)
	return nil, errors.New("nobody is there")
}

func (n nobody) Fence(context.Context) error {
	n.t.Error("a write was announced")
	return nil
}

func (n nobody) Keep(context.Context, provider.Issued) error {
	n.t.Error("something was kept")
	return nil
}

func (n nobody) Prove(context.Context, provider.Credential) (bool, error) {
	n.t.Error("a credential was proved")
	return false, nil
}

// TestNothingIsDone: every method succeeds, and neither the server nor the caller hears of it.
func TestNothingIsDone(t *testing.T) {
	asked := nobody{t}
	s, err := manual.Dialect().New(provider.Config{HTTPClient: &http.Client{Transport: asked}})
	if err != nil {
		t.Fatal(err)
	}
	d := provider.Desired{
		Identity:    provider.Identity{ClientID: "orders", RegistrationID: "r", Owner: "i/shop/orders"},
		DisplayName: "Orders", Scopes: []string{"orders.read"},
		Credentials: provider.Credentials{
			Current:  provider.Credential{Method: provider.ClientSecret, Secret: "s2"},
			Previous: &provider.Credential{Method: provider.ClientSecret, Secret: "s1"},
		},
		Audience: provider.Audience{Mode: provider.AudienceDefault, TokenClients: []string{"web"}},
	}
	o, err := s.Observe(t.Context(), d, asked)
	if diff := cmp.Diff(provider.Observation{Exists: true, RegistrationID: "r", Owner: "i/shop/orders", Overlap: provider.OverlapNone}, o); err != nil || diff != "" {
		t.Errorf("observing: error %v (-want +got):\n%s", err, diff)
	}
	if made, err := s.Create(t.Context(), d, asked); err != nil || made.RegistrationID != "r" {
		t.Errorf("creating: %+v, error %v", made, err)
	}
	if put, err := s.Update(t.Context(), d, o, asked); err != nil || put.RegistrationID != "r" {
		t.Errorf("updating: %+v, error %v", put, err)
	}
	if mapped, err := s.MapAudience(t.Context(), d, asked); err != nil || mapped.Scope != "" || mapped.Resource != "" {
		t.Errorf("mapping: %+v, error %v", mapped, err)
	}
	turned, err := s.Rotate(t.Context(), d, asked)
	if diff := cmp.Diff(provider.Rotation{Overlap: provider.OverlapNone}, turned); err != nil || diff != "" {
		t.Errorf("rotating: error %v (-want +got):\n%s", err, diff)
	}
	if err := s.Delete(t.Context(), d, asked); err != nil {
		t.Errorf("deleting: %v", err)
	}
	report, err := s.Probe(t.Context())
	if err != nil || report.RegistrationURL != "" || report.Capabilities.ClientIDs != provider.ByUser {
		t.Errorf("probing: %+v, error %v", report, err)
	}
}
