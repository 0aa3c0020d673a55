// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// fence is a caller that is called before each write, and takes every credential for accepted.
type fence func()

func (f fence) Fence(context.Context) error                            { f(); return nil }
func (fence) Keep(context.Context, provider.Issued) error              { return nil }
func (fence) Prove(context.Context, provider.Credential) (bool, error) { return true, nil }

// TestFenceBeforeEachWrite counts: no write without a fence of its own.
func TestFenceBeforeEachWrite(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	var order []string
	server.OnCall(func(c fake.Call) {
		if fake.IsWrite(c) {
			order = append(order, "write")
		}
	})
	by := fence(func() { order = append(order, "fence") })
	d := faultDesired()
	d.Audience.TokenClients = []string{"mobile", "web"}
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.Create(t.Context(), d, by))
	do(s.MapAudience(t.Context(), d, by))
	d.Audience.Mode, d.Audience.TokenClients = provider.AudienceOnRequest, []string{"web"}
	do(s.MapAudience(t.Context(), d, by))
	d.Credentials.Current.Secret = "next"
	do(s.Update(t.Context(), d, observed(t, s, d), by))
	was := d.Credentials.Current
	d.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret, ID: "2", Secret: "the one after"}, Previous: &was}
	do(s.Rotate(t.Context(), d, by))
	d.Credentials.Previous = nil
	do(s.Rotate(t.Context(), d, by))
	do(nil, s.Delete(t.Context(), d, by))
	if want := slices.Repeat([]string{"fence", "write"}, len(order)/2); len(order) < 20 || !slices.Equal(order, want) {
		t.Errorf("in order: %q", order)
	}
}

// TestIntentCovers: after each call, whatever comes next, the stored intent
// covers what is attached.
func TestIntentCovers(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	name := scopeName(d)
	checks := 0
	server.OnCall(func(fake.Call) {
		attributes, _ := server.Scope(name)["attributes"].(map[string]any)
		intent, _ := attributes["introspection.dev/token-clients"].(string)
		for _, tokenClient := range []string{"web", "mobile"} {
			defaults, optional := server.Attached(tokenClient)
			if slices.Contains(append(defaults, optional...), name) {
				checks++
				if !slices.Contains(strings.Fields(intent), tokenClient) {
					t.Errorf("attached to %s, and the intent is %q", tokenClient, intent)
				}
			}
		}
	})
	for _, step := range []struct {
		mode    provider.AudienceMode
		clients []string
	}{
		{provider.AudienceDefault, []string{"web"}},
		{provider.AudienceDefault, []string{"web", "mobile"}},
		{provider.AudienceOnRequest, []string{"mobile"}},
		{provider.AudienceDefault, []string{"web"}},
		{provider.AudienceDefault, nil},
	} {
		d.Audience.Mode, d.Audience.TokenClients = step.mode, step.clients
		mapped(t, s, d)
	}
	if checks < 20 {
		t.Errorf("only %d checks", checks)
	}
}

// TestDeletedMeanwhile: what goes between a look and a write is gone for Delete,
// and for Update something to look at again.
func TestDeletedMeanwhile(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	mapped(t, s, d)
	changed := d
	changed.DisplayName = "Another name"
	o := observed(t, s, changed)
	server.OnCall(func(c fake.Call) {
		if c.Method == http.MethodGet && strings.Contains(c.Path, "/client-scopes/") {
			server.DeleteScope(scopeName(d))
			server.DeleteClient(d.ClientID)
		}
	})
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Errorf("Delete: %v", err)
	}
	_, err := s.Update(t.Context(), changed, o, providertest.Allow)
	wantKind(t, err, provider.KindServer)
}
