// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

func scopeName(d provider.Desired) string { return "introspection:" + d.ClientID }

// repaired maps again and expects it to work, and something to have been done.
func repaired(t *testing.T, w *world, s *keycloak.Server, d provider.Desired, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, mapped(t, s, d).Repaired); diff != "" {
		t.Errorf("repaired (-want +got):\n%s", diff)
	}
	works(t, w, d)
	if again := mapped(t, s, d); len(again.Repaired) > 0 {
		t.Errorf("repaired again: %q", again.Repaired)
	}
}

func mapperOf(t *testing.T, w *world, d provider.Desired) map[string]any {
	t.Helper()
	mappers, _ := w.scope(t, scopeName(d))["protocolMappers"].([]any)
	if len(mappers) != 1 {
		t.Fatalf("%d mappers", len(mappers))
	}
	mapper, _ := mappers[0].(map[string]any)
	return mapper
}

func mapperPath(t *testing.T, w *world, d provider.Desired) string {
	t.Helper()
	id, _ := mapperOf(t, w, d)["id"].(string)
	return w.scopePath(t, scopeName(d)) + "/protocol-mappers/models/" + id
}

func trapMapperEdited(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	mapper := mapperOf(t, w, d)
	config, _ := mapper["config"].(map[string]any)
	config["included.client.audience"] = "ghost"
	w.must(t, http.MethodPut, mapperPath(t, w, d), mapper)
	if _, active := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, w.token(t, "web")); active {
		t.Fatal("the edit did nothing")
	}
	repaired(t, w, s, d, "audience mapper of "+scopeName(d))
}

func trapMapperDeleted(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	w.must(t, http.MethodDelete, mapperPath(t, w, d), nil)
	repaired(t, w, s, d, "audience mapper of "+scopeName(d))
}

func trapMapperReplaced(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	mapper := mapperOf(t, w, d)
	w.must(t, http.MethodDelete, mapperPath(t, w, d), nil)
	delete(mapper, "id")
	mapper["config"] = map[string]any{"included.custom.audience": "theirs", "access.token.claim": "true"}
	w.must(t, http.MethodPost, w.scopePath(t, scopeName(d))+"/protocol-mappers/models", mapper)
	repaired(t, w, s, d, "audience mapper of "+scopeName(d))
	mapperOf(t, w, d) // one, still
}

func trapScopeDeleted(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	w.must(t, http.MethodDelete, w.scopePath(t, scopeName(d)), nil)
	repaired(t, w, s, d, "client scope "+scopeName(d), "attached to web")
}

func trapScopeRenamed(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	w.must(t, http.MethodPut, w.scopePath(t, scopeName(d)), map[string]any{"name": "theirs"})
	repaired(t, w, s, d, "client scope "+scopeName(d))
	if w.scope(t, scopeName(d)) == nil {
		t.Error("it was not named back")
	}
}

func trapScopeForeign(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	w.must(t, http.MethodPost, "/client-scopes", map[string]any{
		"name": scopeName(d), "protocol": "openid-connect", "attributes": map[string]any{"introspection.dev/owner": "somebody/else/entirely"},
	})
	before := w.scope(t, scopeName(d))
	_, err := s.MapAudience(t.Context(), d, providertest.Allow)
	if e := errorOf(t, err, provider.KindConflict); e.Subject != "somebody/else/entirely" {
		t.Errorf("the conflict is with %q", e.Subject)
	}
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.scope(t, scopeName(d))); diff != "" {
		t.Errorf("it was touched (-before +after):\n%s", diff)
	}
	w.must(t, http.MethodDelete, w.scopePath(t, scopeName(d)), nil)
}

func trapScopeTaken(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	w.must(t, http.MethodPut, w.scopePath(t, scopeName(d)), map[string]any{
		"name": scopeName(d), "attributes": map[string]any{"introspection.dev/owner": "somebody/else/entirely"},
	})
	before := w.scope(t, scopeName(d))
	_, err := s.MapAudience(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindConflict)
	if err := s.Delete(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.scope(t, scopeName(d))); diff != "" {
		t.Errorf("it was touched (-before +after):\n%s", diff)
	}
	w.must(t, http.MethodDelete, w.scopePath(t, scopeName(d)), nil)
}

func trapIntent(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	d.Audience.TokenClients = []string{"web", "mobile"}
	mapped(t, s, d)
	attributes, _ := w.scope(t, scopeName(d))["attributes"].(map[string]any)
	if attributes["introspection.dev/token-clients"] != "mobile web" {
		t.Errorf("the intent is %q", attributes["introspection.dev/token-clients"])
	}
	d.Audience.TokenClients = []string{"web"}
	report := mapped(t, w.session(t), d) // another process
	if diff := cmp.Diff([]string{"detached from mobile", "client scope " + scopeName(d)}, report.Repaired); diff != "" {
		t.Errorf("repaired (-want +got):\n%s", diff)
	}
	if _, active := w.introspect(t, d.ClientID, d.Credentials.Current.Secret, w.token(t, "mobile")); active {
		t.Error("mobile is still mapped")
	}
}

func trapDetached(t *testing.T, w *world, s *keycloak.Server, d provider.Desired) {
	t.Helper()
	created(t, s, d)
	mapped(t, s, d)
	scopeID := strings.TrimPrefix(w.scopePath(t, scopeName(d)), "/client-scopes/")
	w.must(t, http.MethodDelete, "/clients/"+w.id(t, "web")+"/default-client-scopes/"+scopeID, nil)
	repaired(t, w, s, d, "attached to web")
}

func trapRights(t *testing.T, w *world, _ *keycloak.Server, d provider.Desired) {
	t.Helper()
	as := func(clientID string) *keycloak.Server {
		return w.session(t, func(o *provider.Config) {
			o.SignIn.ClientID, o.SignIn.Secret = clientID, provider.Secret(clientID+"-secret")
		})
	}
	for _, clientID := range []string{"viewer", "nobody"} {
		_, err := as(clientID).Probe(t.Context())
		if e := errorOf(t, err, provider.KindForbidden); !strings.Contains(err.Error(), "manage-clients") || !strings.Contains(e.Advice, "manage-clients") {
			t.Errorf("%s: %v does not name the role", clientID, err)
		}
		_, err = as(clientID).Create(t.Context(), d, providertest.Allow)
		wantKind(t, err, provider.KindForbidden)
	}
	_, err := as("nobody").Observe(t.Context(), d, providertest.Allow)
	if e := errorOf(t, err, provider.KindForbidden); !strings.Contains(e.Advice, "manage-clients") {
		t.Errorf("advice %q", e.Advice)
	}
}

func trapCredentials(t *testing.T, w *world, _ *keycloak.Server, d provider.Desired) {
	t.Helper()
	for name, change := range map[string]func(*provider.Config){
		"wrong secret":   func(o *provider.Config) { o.SignIn.Secret = "wrong%secret" },
		"unknown client": func(o *provider.Config) { o.SignIn.ClientID = "ghost" },
	} {
		s := w.session(t, change)
		_, err := s.Observe(t.Context(), d, providertest.Allow)
		wantKind(t, err, provider.KindCredentials)
		if _, err = s.Probe(t.Context()); err == nil || strings.Contains(err.Error(), "wrong%secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func trapNoRealm(t *testing.T, w *world, _ *keycloak.Server, d provider.Desired) {
	t.Helper()
	// The token is another realm's: the Admin API is asked, and has no such realm.
	nope := w.session(t, func(o *provider.Config) { o.Issuer = w.base + "/realms/nope" })
	_, err := nope.Observe(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindNotFound)
	err = nope.Delete(t.Context(), provider.Desired{Identity: provider.Identity{ClientID: "x", RegistrationID: "y", Owner: d.Owner}}, providertest.Allow)
	wantKind(t, err, provider.KindNotFound)
	_, err = nope.MapAudience(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindNotFound)
	unknown := w.session(t, func(o *provider.Config) {
		o.Metadata.TokenEndpoint = w.base + "/realms/nope/protocol/openid-connect/token"
	})
	_, err = unknown.Probe(t.Context())
	wantKind(t, err, provider.KindNotFound)
}

func trapWrongAddress(t *testing.T, w *world, _ *keycloak.Server, d provider.Desired) {
	t.Helper()
	s := w.session(t, func(o *provider.Config) { o.RegistrationURL = w.base + "/auth" })
	_, err := s.Observe(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindNotFound)
	err = s.Delete(t.Context(), d, providertest.Allow)
	wantKind(t, err, provider.KindNotFound)
}
