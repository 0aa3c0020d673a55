// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// traps are what is particular to Keycloak, and was measured on a real one:
// they run on both.
func traps(t *testing.T, w *world) {
	t.Helper()
	for name, tc := range map[string]struct {
		reason string
		test   func(t *testing.T, w *world, s *keycloak.Server, d provider.Desired)
	}{
		"renamed":         {"a PUT with another clientId renames: found by id and mark, and named back", trapRenamed},
		"renamed-deleted": {"a renamed client of ours is deleted all the same", trapRenamedDeleted},
		"renamed-unseen":  {"an id that is taken by a renamed client of ours: it is named back", trapRenamedUnseen},
		"taken-over":      {"an id that bears somebody else's mark now is no registration of ours, and is left alone", trapTakenOver},
		"no-mark":         {"who has no mark owns nothing, not even what bears none", trapNoMark},
		"id-elsewhere":    {"an id taken in another realm is refused in the words of a taken clientId: the server may choose", trapIDElsewhere},
		"scope-elsewhere": {"the same for the client scope, which is still found and deleted", trapScopeElsewhere},
		"too-long":        {"a clientId of 256 characters is answered 500, and is the user's to correct", trapTooLong},
		"exact":           {"?clientId= is exact and case-sensitive, and so are we", trapExact},
		"flows":           {"every way to get a token is drift", trapFlows},
		"foreign-fields":  {"a PUT merges: what is not ours is left as it is", trapForeignFields},
		"secret-stored":   {"an empty secret and the mask are stored as they stand: they are never sent", trapSecretStored},
		"mapper-edited":   {"a mapper that names a client that does not exist adds nothing, silently", trapMapperEdited},
		"mapper-deleted":  {"a scope PUT leaves mappers alone: a deleted one is made anew", trapMapperDeleted},
		"mapper-replaced": {"a mapper PUT goes by id: one of another id is put right by its own", trapMapperReplaced},
		"scope-deleted":   {"a deleted scope is made and attached anew", trapScopeDeleted},
		"scope-renamed":   {"a renamed scope gets its name back: tokens ask for it", trapScopeRenamed},
		"scope-foreign":   {"a scope of our name that is not ours is a conflict, and is left alone", trapScopeForeign},
		"scope-taken":     {"a scope of our id that bears another mark is not ours any more", trapScopeTaken},
		"intent":          {"what was attached under an intent is detached, though nobody here remembers", trapIntent},
		"detached":        {"a mapping that somebody detached is attached anew", trapDetached},
		"rights":          {"manage-clients is missing: said before anything is tried", trapRights},
		"credentials":     {"a wrong secret and an unknown client are our credentials, not absence", trapCredentials},
		"key-sign-in":     {"the operator may sign in by a key (RFC 7523)", trapKeySignIn},
		"not-adopted":     {"what the realm or the operator itself relies on is taken over by nobody, whatever else speaks for it", trapNotAdopted},
		"no-realm":        {"a realm that does not exist is no absent client", trapNoRealm},
		"wrong-address":   {"a wrong address of the Admin API is no absent client", trapWrongAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s := w.session(t)
			d := desired("trap." + name)
			d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: []string{"web"}, MaxPerTokenClient: 50}
			tc.test(t, w, s, d)
			if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		})
	}
}

func created(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired {
	t.Helper()
	got, err := s.Create(t.Context(), d, providertest.Allow)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	d.RegistrationID = got.RegistrationID
	return d
}

func mapped(t *testing.T, s *keycloak.Server, d provider.Desired) provider.AudienceReport {
	t.Helper()
	report, err := s.MapAudience(t.Context(), d, providertest.Allow)
	if err != nil {
		t.Fatalf("MapAudience: %v", err)
	}
	return report
}

func observed(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Observation {
	t.Helper()
	got, err := s.Observe(t.Context(), d, providertest.Allow)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return got
}

func updated(t *testing.T, s *keycloak.Server, d provider.Desired, o provider.Observation) {
	t.Helper()
	if _, err := s.Update(t.Context(), d, o, providertest.Allow); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func wantKind(t *testing.T, err error, want provider.Kind) {
	t.Helper()
	_ = errorOf(t, err, want)
}

func errorOf(t *testing.T, err error, want provider.Kind) *provider.Error {
	t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != want {
		t.Fatalf("error %v (%#v), want kind %d", err, e, want)
	}
	return e
}

// works reports whether the credentials and the mapping do.
func works(t *testing.T, w *world, d provider.Desired) {
	t.Helper()
	if accepted, active := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, w.token(t, "web")); !accepted || !active {
		t.Errorf("accepted %v, active %v", accepted, active)
	}
}

func trapTooLong(t *testing.T, _ *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	d.ClientID = strings.Repeat("n", 256)
	_, err := s.Create(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindInvalid)
}

func trapExact(t *testing.T, _ *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	for _, other := range []string{strings.ToUpper(d.ClientID), d.ClientID[:4]} {
		o := desired(other)
		if observed(t, s, o).Exists {
			t.Errorf("%s exists", other)
		}
	}
}

func trapFlows(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	for _, member := range []string{"standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled", "fullScopeAllowed"} {
		w.edit(t, d.ClientID, map[string]any{member: true})
		o := observed(t, s, d)
		if diff := cmp.Diff([]string{member}, o.Drift); diff != "" {
			t.Fatalf("drift (-want +got):\n%s", diff)
		}
		updated(t, s, d, o)
	}
	w.edit(t, d.ClientID, map[string]any{"attributes": map[string]any{"oauth2.device.authorization.grant.enabled": "true"}})
	o := observed(t, s, d)
	if diff := cmp.Diff([]string{"attributes"}, o.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	updated(t, s, d, o)
	w.edit(t, d.ClientID, map[string]any{"publicClient": true})
	updated(t, s, d, observed(t, s, d))
	if drift := observed(t, s, d).Drift; len(drift) > 0 {
		t.Errorf("drift is left: %q", drift)
	}
	if accepted, _ := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, "garbage"); !accepted {
		t.Error("the credentials don't work any more")
	}
}

func trapForeignFields(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	w.edit(t, d.ClientID, map[string]any{"description": "theirs", "enabled": false, "attributes": map[string]any{"theirs": "1"}})
	updated(t, s, d, observed(t, s, d))
	c := w.client(t, d.ClientID)
	attributes, _ := c["attributes"].(map[string]any)
	if c["description"] != "theirs" || attributes["theirs"] != "1" || c["enabled"] != true {
		t.Errorf("client is %v", c)
	}
}

func trapSecretStored(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	for _, bad := range []provider.Secret{"", "**********"} {
		wrong := d
		wrong.Credentials.Current.Secret = bad
		_, err := s.Create(t.Context(), wrong, providertest.Allow)
		wantKind(t, err, provider.KindInvalid)
		_, err = s.Update(t.Context(), wrong, provider.Observation{Exists: true, RegistrationID: w.id(t, d.ClientID), Owner: d.Owner, Drift: []string{provider.DriftSecret}}, providertest.Allow)
		wantKind(t, err, provider.KindInvalid)
	}
	if drift := observed(t, s, d).Drift; len(drift) > 0 {
		t.Fatalf("drift: %q", drift)
	}
	w.edit(t, d.ClientID, map[string]any{"secret": ""})
	updated(t, s, d, observed(t, s, d))
	if accepted, _ := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, "garbage"); !accepted {
		t.Error("an empty secret was not seen")
	}
	w.edit(t, d.ClientID, map[string]any{"secret": "**********"})
	o := observed(t, s, d)
	if slices.Contains(o.Drift, provider.DriftSecret) {
		t.Error("a masked secret was taken for drift")
	}
	o.Drift = append(o.Drift, provider.DriftSecret) // who introspects knows better
	updated(t, s, d, o)
	if accepted, _ := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, "garbage"); !accepted {
		t.Error("the secret was not put right")
	}
}
