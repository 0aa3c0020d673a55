// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

func trapRenamed(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	d = created(t, s, d)
	w.edit(t, d.ClientID, map[string]any{"clientId": d.ClientID + ".renamed"})
	o := observed(t, s, d)
	if diff := cmp.Diff(provider.Observation{Exists: true, RegistrationID: d.RegistrationID, Owner: d.Owner, Drift: []string{"clientId"}, Overlap: provider.OverlapNone}, o); diff != "" {
		t.Fatalf("Observe (-want +got):\n%s", diff)
	}
	updated(t, s, d, o)
	if w.client(t, d.ClientID) == nil || w.client(t, d.ClientID+".renamed") != nil {
		t.Error("it was not named back")
	}
}

func trapRenamedDeleted(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d) // and the answer was lost: d has no id
	w.edit(t, d.ClientID, map[string]any{"clientId": d.ClientID + ".renamed"})
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if w.client(t, d.ClientID+".renamed") != nil {
		t.Error("it is still there")
	}
}

func trapRenamedUnseen(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	first := created(t, s, d)
	w.edit(t, d.ClientID, map[string]any{"clientId": d.ClientID + ".renamed"})
	if second := created(t, s, d); second.RegistrationID != first.RegistrationID {
		t.Errorf("two registrations: %s, %s", first.RegistrationID, second.RegistrationID)
	}
	if len(observed(t, s, d).Drift) > 0 {
		t.Error("it was not named back")
	}
}

func trapTakenOver(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	first := created(t, s, d)
	theirs := d.ClientID + ".theirs"
	w.edit(t, d.ClientID, map[string]any{"clientId": theirs, "attributes": map[string]any{"introspection.dev/owner": "somebody/else/entirely"}})
	before := w.client(t, theirs)
	if o := observed(t, s, first); o.Exists {
		t.Errorf("Observe: %+v", o)
	}
	if second := created(t, s, first); second.RegistrationID == first.RegistrationID {
		t.Errorf("both have the id %s", second.RegistrationID)
	}
	if err := s.Delete(t.Context(), first, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.client(t, theirs)); diff != "" {
		t.Errorf("it was touched (-before +after):\n%s", diff)
	}
	w.must(t, http.MethodDelete, "/clients/"+first.RegistrationID, nil)
}

func trapNoMark(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	w.must(t, http.MethodPost, "/clients", map[string]any{"clientId": d.ClientID})
	d.Owner = ""
	_, err := s.Create(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindConflict)
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	w.must(t, http.MethodDelete, "/clients/"+w.id(t, d.ClientID), nil)
}

// elsewhere has ours deleted and something of the same ids made in another realm.
func elsewhere(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) *world {
	t.Helper()
	other := newWorld(w.base, "other")
	id := created(t, s, d).RegistrationID
	mapped(t, s, d)
	scope := w.scope(t, "introspection:"+d.ClientID)
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	other.must(t, http.MethodPost, "/clients", map[string]any{"id": id, "clientId": d.ClientID})
	other.must(t, http.MethodPost, "/client-scopes", scope)
	t.Cleanup(func() {
		other.must(t, http.MethodDelete, "/clients/"+id, nil)
		other.must(t, http.MethodDelete, other.scopePath(t, "introspection:"+d.ClientID), nil)
	})
	return other
}

func trapIDElsewhere(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	other := elsewhere(t, w, s, d)
	d = created(t, s, d)
	if theirs := other.id(t, d.ClientID); theirs == d.RegistrationID {
		t.Errorf("the id %s is theirs", theirs)
	}
	if diff := cmp.Diff(provider.Observation{Exists: true, RegistrationID: d.RegistrationID, Owner: d.Owner, Overlap: provider.OverlapNone}, observed(t, s, d)); diff != "" {
		t.Errorf("Observe (-want +got):\n%s", diff)
	}
}

func trapScopeElsewhere(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	elsewhere(t, w, s, d)
	d = created(t, s, d)
	mapped(t, s, d)
	works(t, w, d)
	if again := mapped(t, s, d); len(again.Repaired) > 0 {
		t.Errorf("repaired again: %q", again.Repaired)
	}
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if w.scope(t, "introspection:"+d.ClientID) != nil {
		t.Error("the scope outlived its client")
	}
}
