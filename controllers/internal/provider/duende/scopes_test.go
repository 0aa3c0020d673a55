// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	idp "github.com/introspection-dev/introspection-operator/test/idp/duende"
)

// TestNarrowedHost: a scope was registered, and the host would not register it any more. Whatever else is
// changed must not fail for it.
func TestNarrowedHost(t *testing.T) {
	hosts := map[string]struct {
		reason string
		narrow func(*idp.Options)
		advice string
	}{
		"NotAllowed": {"The host took the scope off its list.", func(o *idp.Options) { o.AllowedScopes = []string{"billing.read"} }, "The host lets nobody register"},
		"Disabled":   {"The server knows the scope no more.", func(o *idp.Options) { o.Scopes = []string{"introspection.register"} }, "The server knows no scope"},
	}
	for name, tc := range hosts {
		t.Run(name, func(t *testing.T) {
			s := start(t, tc.narrow)
			h := harness(t, s)
			d := orders()
			id := d.Credentials.Current.ID
			s.AddResource(idp.Resource{
				Name: d.ClientID, Scopes: d.Scopes, Disabled: true, Properties: map[string]string{idp.OwnerKey: d.Owner},
				Secrets: []idp.Secret{{Description: "introspection.dev/" + id, Type: "SharedSecret", Value: idp.Hash("a plain secret")}},
			})
			session := h.Open(t, nil)
			observed, err := session.Observe(t.Context(), d, providertest.Allow)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := session.Update(t.Context(), d, observed, providertest.Allow); err != nil {
				t.Errorf("%s Update of %q: %v", tc.reason, observed.Drift, err)
			}
			d.Audience.Mode = provider.AudienceDefault
			s.EditResource(d.ClientID, func(r *idp.Resource) { r.RequireResourceIndicator = true })
			if _, err := session.MapAudience(t.Context(), d, providertest.Allow); err != nil {
				t.Errorf("%s MapAudience: %v", tc.reason, err)
			}
			turned := d
			turned.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret, ID: "k2", Secret: "another"}, Previous: &d.Credentials.Current}
			if _, err := session.Rotate(t.Context(), turned, providertest.Allow); err != nil {
				t.Errorf("%s Rotate: %v", tc.reason, err)
			}
			r := resource(t, s, d.ClientID)
			if diff := cmp.Diff(d.Scopes, r.Scopes); diff != "" || r.Disabled || r.RequireResourceIndicator || len(r.Secrets) != 2 {
				t.Errorf("%s %+v, scopes (-want +got):\n%s", tc.reason, r, diff)
			}
			// Scopes that are to be put right are sent, and refused as they are.
			s.EditResource(d.ClientID, func(r *idp.Resource) { r.Scopes = nil })
			_, err = session.MapAudience(t.Context(), turned, providertest.Allow)
			wantSaid(t, tc.reason, err, said{Kind: provider.KindInvalid, Advice: tc.advice})
		})
	}
}

// TestNoScopesLeft: none is not the same as what was not said.
func TestNoScopesLeft(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	create(t, session, d)
	d.Scopes = nil
	if _, err := session.MapAudience(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if got := resource(t, s, d.ClientID).Scopes; len(got) != 0 {
		t.Errorf("scopes %q, want none", got)
	}
}

// beforeWrite does something between a look and a write.
type beforeWrite struct {
	provider.Caller
	do func()
}

func (b beforeWrite) Fence(context.Context) error {
	b.do()
	return nil
}

// TestGoneBeforeThePut: a PUT makes what it does not find. That is no rotation: the scopes are gone.
func TestGoneBeforeThePut(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	create(t, session, d)
	d.Credentials.Current = provider.Credential{Method: provider.ClientSecret, ID: "k2", Secret: "another"}
	_, err := session.Rotate(t.Context(), d, beforeWrite{providertest.Allow, func() { s.RemoveResource(d.ClientID) }})
	wantSaid(t, "It was deleted meanwhile.", err, said{Kind: provider.KindServer})
	observed, err := session.Observe(t.Context(), d, providertest.Allow)
	if diff := cmp.Diff([]string{"scopes"}, observed.Drift); err != nil || diff != "" {
		t.Errorf("error %v, drift (-want +got):\n%s", err, diff)
	}
}

// TestEnded: a previous secret whose end has come is no way in. It is not sent, and is no drift where it
// still stands.
func TestEnded(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	now := time.Now()
	h.Config.Clock = func() time.Time { return now }
	session := h.Open(t, nil)
	d := orders()
	create(t, session, d)
	old := d.Credentials.Current
	d.Credentials = provider.Credentials{
		Current:  provider.Credential{Method: provider.ClientSecret, ID: "k2", Secret: "another"},
		Previous: &old, PreviousEnds: now.Add(time.Hour),
	}
	rotate := func(want provider.Overlap, secrets int) {
		t.Helper()
		got, err := session.Rotate(t.Context(), d, providertest.Allow)
		if err != nil || !got.Rotated || got.Overlap != want {
			t.Errorf("%+v, error %v, want overlap %s", got, err, want)
		}
		observed, err := session.Observe(t.Context(), d, providertest.Allow)
		if there := len(resource(t, s, d.ClientID).Secrets); err != nil || len(observed.Drift) > 0 || there != secrets {
			t.Errorf("drift %q, error %v, %d secrets, want %d", observed.Drift, err, there, secrets)
		}
	}
	rotate(provider.OverlapExpiring, 2)
	now = now.Add(time.Hour)
	before := len(puts(t, s))
	rotate(provider.OverlapNone, 2)
	if n := len(puts(t, s)) - before; n != 0 {
		t.Errorf("%d writes for what ended by itself", n)
	}
	s.EditResource(d.ClientID, func(r *idp.Resource) { r.Secrets = r.Secrets[1:] })
	rotate(provider.OverlapNone, 1)
	s.EditResource(d.ClientID, func(r *idp.Resource) { r.Secrets = nil })
	rotate(provider.OverlapNone, 1)
	d.Credentials.Previous = nil
	rotate(provider.OverlapNone, 1)
}
