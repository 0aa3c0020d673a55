// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func registrationRows() map[string]row {
	return map[string]row{
		"probe":         {"a sign-in with the right to manage clients says so", testProbe},
		"absent":        {"what the server says is not there does not exist, and that is no error", testAbsent},
		"create":        {"a new registration is as desired and its credentials work", testCreate},
		"create-again":  {"creating what is there and ours is success, with the same id", testCreateAgain},
		"create-racing": {"many attempts at once make one registration", testCreateRacing},
		"foreign":       {"a registration without our mark is never taken, changed or deleted", testForeign},
		"drift":         {"a change by hand is seen and put right", testDrift},
		"secret":        {"a new secret replaces the old one", testSecret},
		"recreate":      {"a registration that somebody deleted comes back with the same credentials", testRecreate},
		"delete":        {"deletion removes the registration, and can be repeated", testDelete},
		"delete-fence":  {"a fence stops every write, and its error comes back as it is", testFence},
	}
}

func testProbe(t *testing.T, h Harness, _ string) {
	t.Helper()
	report, err := h.Server.Probe(t.Context())
	if err != nil {
		t.Fatalf("Probe: %v", err)
	}
	if report.Rights != provider.RightsManage || report.Provider == "" {
		t.Errorf("Probe: %+v", report)
	}
}

func testAbsent(t *testing.T, h Harness, clientID string) {
	t.Helper()
	if got := observe(t, h, Desired(clientID)); got.Exists {
		t.Errorf("Observe: %+v", got)
	}
}

func testCreate(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	created := create(t, h, d)
	want := provider.Observation{Exists: true, RegistrationID: created.RegistrationID, Owner: Owner}
	if diff := cmp.Diff(want, observe(t, h, d)); diff != "" {
		t.Errorf("Observe (-want +got):\n%s", diff)
	}
	if accepted, active := h.Introspect(t, clientID, d.Secret, "garbage"); !accepted || active {
		t.Errorf("introspection of garbage: accepted %v, active %v", accepted, active)
	}
}

func testCreateAgain(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	first := create(t, h, d)
	d.Secret = "another secret"
	if diff := cmp.Diff(first, create(t, h, d)); diff != "" {
		t.Errorf("the second registration (-first +second):\n%s", diff)
	}
	if accepted, _ := h.Introspect(t, clientID, d.Secret, "garbage"); !accepted {
		t.Error("the registration that was there was not made as desired")
	}
}

func testCreateRacing(t *testing.T, h Harness, clientID string) {
	t.Helper()
	const racers = 8
	var (
		wg  sync.WaitGroup
		ids [racers]string
		bad [racers]error
	)
	for i := range racers {
		wg.Go(func() {
			created, err := h.Server.Create(t.Context(), Desired(clientID), Allow)
			ids[i], bad[i] = created.RegistrationID, err
		})
	}
	wg.Wait()
	for i := range racers {
		if bad[i] != nil || ids[i] != ids[0] {
			t.Errorf("racer %d: id %q, error %v; the first got %q", i, ids[i], bad[i], ids[0])
		}
	}
}

func testForeign(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	h.Register(t, clientID)
	t.Cleanup(func() { h.Remove(t, clientID) })
	observed := observe(t, h, d)
	if !observed.Exists || observed.Owner != "" {
		t.Errorf("Observe: %+v", observed)
	}
	_, err := h.Server.Create(t.Context(), d, Allow)
	wantKind(t, err, provider.KindConflict)
	_, err = h.Server.Update(t.Context(), d, observed, Allow)
	wantKind(t, err, provider.KindConflict)
	if err := h.Server.Delete(t.Context(), d.Identity, Allow); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if diff := cmp.Diff(observed, observe(t, h, d)); diff != "" {
		t.Errorf("what is not ours changed (-before +after):\n%s", diff)
	}
}

func testDrift(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	create(t, h, d)
	h.Disable(t, clientID)
	observed := observe(t, h, d)
	if len(observed.Drift) == 0 {
		t.Fatal("the change was not seen")
	}
	if _, err := h.Server.Update(t.Context(), d, observed, Allow); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if drift := observe(t, h, d).Drift; len(drift) > 0 {
		t.Errorf("drift is left: %q", drift)
	}
	if accepted, _ := h.Introspect(t, clientID, d.Secret, "garbage"); !accepted {
		t.Error("the credentials don't work any more")
	}
}

func testSecret(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	create(t, h, d)
	old := d.Secret
	d.Secret = "a+b:c%d/é&= new"
	observed := observe(t, h, d)
	if diff := cmp.Diff([]string{provider.DriftSecret}, observed.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	if _, err := h.Server.Update(t.Context(), d, observed, Allow); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if accepted, _ := h.Introspect(t, clientID, d.Secret, "garbage"); !accepted {
		t.Error("the new secret is refused")
	}
	if accepted, _ := h.Introspect(t, clientID, old, "garbage"); accepted {
		t.Error("the old secret still works")
	}
}

func testRecreate(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	first := create(t, h, d)
	d.RegistrationID = first.RegistrationID
	h.Remove(t, clientID)
	if observed := observe(t, h, d); observed.Exists {
		t.Fatalf("Observe: %+v", observed)
	}
	create(t, h, d)
	if accepted, _ := h.Introspect(t, clientID, d.Secret, "garbage"); !accepted {
		t.Error("the credentials don't work any more")
	}
}

func testDelete(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	create(t, h, d)
	other := d.Identity
	other.Owner = "suite/shop/other"
	if err := h.Server.Delete(t.Context(), other, Allow); err != nil || !observe(t, h, d).Exists {
		t.Fatalf("Delete by another owner: error %v, exists %v", err, observe(t, h, d).Exists)
	}
	for range 2 {
		if err := h.Server.Delete(t.Context(), d.Identity, Allow); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		if observe(t, h, d).Exists {
			t.Fatal("it is still there")
		}
	}
}

func testFence(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: h.TokenClients[:1], MaxPerTokenClient: 50}
	stop := errors.New("the plan is out of date")
	fence := func(context.Context) error { return stop }
	_, err := h.Server.Create(t.Context(), d, fence)
	if !errors.Is(err, stop) || observe(t, h, d).Exists {
		t.Fatalf("Create: error %v, exists %v", err, observe(t, h, d).Exists)
	}
	create(t, h, d)
	if _, err := h.Server.MapAudience(t.Context(), d, fence); !errors.Is(err, stop) {
		t.Errorf("MapAudience: %v", err)
	}
	changed := d
	changed.DisplayName = "Another"
	if _, err := h.Server.Update(t.Context(), changed, observe(t, h, changed), fence); !errors.Is(err, stop) {
		t.Errorf("Update: %v", err)
	}
	if err := h.Server.Delete(t.Context(), d.Identity, fence); !errors.Is(err, stop) {
		t.Errorf("Delete: %v", err)
	}
	if observed := observe(t, h, d); !observed.Exists || len(observed.Drift) > 0 {
		t.Errorf("something was written: %+v", observed)
	}
}
