// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"slices"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func audienceRows() map[string]row {
	return map[string]row{
		"default":            {"new tokens of the token clients are active, and nothing is repaired twice", testDefault},
		"shrink":             {"a token client that is no longer listed is unmapped", testShrink},
		"on-request":         {"only a token that asked for the audience is active", testOnRequest},
		"switch":             {"the mode can be changed both ways", testSwitch},
		"unmanaged":          {"Unmanaged leaves what is mapped as it is", testUnmanaged},
		"token-client":       {"a token client that does not exist is named, and the others are mapped", testTokenClient},
		"too-many":           {"beyond the cap nothing is mapped as Default; what is mapped stays", testTooMany},
		"too-many-racing":    {"two at once can't pass the cap", testTooManyRacing},
		"delete-while-bound": {"deletion takes the mapping along", testDeleteMapped},
	}
}

func mapped(t *testing.T, h Harness, clientID string, mode provider.AudienceMode, tokenClients ...string) provider.Desired {
	t.Helper()
	d := Desired(clientID)
	d.Audience = provider.Audience{Mode: mode, TokenClients: tokenClients, MaxPerTokenClient: 50}
	create(t, h, d)
	mapAudience(t, h, d)
	return d
}

func mapAudience(t *testing.T, h Harness, d provider.Desired) provider.AudienceReport {
	t.Helper()
	report, err := h.Server.MapAudience(t.Context(), d, Allow)
	if err != nil {
		t.Fatalf("MapAudience: %v", err)
	}
	return report
}

// active reports whether a fresh token is active for the client.
func active(t *testing.T, h Harness, d provider.Desired, tokenClient, scope string) bool {
	t.Helper()
	accepted, active := h.Introspect(t, d.ClientID, d.Secret, h.Token(t, tokenClient, scope))
	if !accepted {
		t.Fatal("the credentials are refused")
	}
	return active
}

func testDefault(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[0])
	if !active(t, h, d, h.TokenClients[0], "") {
		t.Error("a new token is inactive")
	}
	if active(t, h, d, h.TokenClients[1], "") {
		t.Error("a token of a client that is not listed is active")
	}
	if again := mapAudience(t, h, d); len(again.Repaired) > 0 {
		t.Errorf("repaired twice: %q", again.Repaired)
	}
}

func testShrink(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[:]...)
	d.Audience.TokenClients = h.TokenClients[1:]
	mapAudience(t, h, d)
	if active(t, h, d, h.TokenClients[0], "") {
		t.Error("the first is still mapped")
	}
	if !active(t, h, d, h.TokenClients[1], "") {
		t.Error("the second is not mapped any more")
	}
}

func testOnRequest(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceOnRequest, h.TokenClients[0])
	scope := mapAudience(t, h, d).Scope
	if active(t, h, d, h.TokenClients[0], "") {
		t.Error("a token that did not ask is active")
	}
	if !active(t, h, d, h.TokenClients[0], scope) {
		t.Error("a token that asked is inactive")
	}
}

func testSwitch(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[0])
	for _, mode := range []provider.AudienceMode{provider.AudienceOnRequest, provider.AudienceDefault} {
		d.Audience.Mode = mode
		mapAudience(t, h, d)
		if got, want := active(t, h, d, h.TokenClients[0], ""), mode == provider.AudienceDefault; got != want {
			t.Errorf("%s: a plain token is active: %v", mode, got)
		}
	}
}

func testUnmanaged(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[0])
	d.Audience = provider.Audience{Mode: provider.AudienceUnmanaged}
	if report := mapAudience(t, h, d); report.Scope != "" || len(report.Repaired) > 0 {
		t.Errorf("MapAudience: %+v", report)
	}
	if !active(t, h, d, h.TokenClients[0], "") {
		t.Error("it was unmapped")
	}
}

func testTokenClient(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := Desired(clientID)
	create(t, h, d)
	d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: []string{"ghost", "ghost-too", h.TokenClients[0]}, MaxPerTokenClient: 50}
	_, err := h.Server.MapAudience(t.Context(), d, Allow)
	if e := errorOf(t, err, provider.KindTokenClientNotFound); e.Subject != "ghost" {
		t.Errorf("the error names %q", e.Subject)
	}
	if !active(t, h, d, h.TokenClients[0], "") {
		t.Error("the one that exists is not mapped")
	}
}

func testTooMany(t *testing.T, h Harness, clientID string) {
	t.Helper()
	first := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[0])
	second := Desired(clientID + ".second")
	t.Cleanup(func() { remove(t, h, second) })
	second.Audience = first.Audience
	second.Audience.MaxPerTokenClient = 1
	create(t, h, second)
	_, err := h.Server.MapAudience(t.Context(), second, Allow)
	if e := errorOf(t, err, provider.KindTooManyAudiences); e.Subject != h.TokenClients[0] {
		t.Errorf("the error names %q", e.Subject)
	}
	if active(t, h, second, h.TokenClients[0], "") {
		t.Error("it is mapped all the same")
	}
	first.Audience.MaxPerTokenClient = 1
	mapAudience(t, h, first)
	second.Audience.Mode = provider.AudienceOnRequest
	mapAudience(t, h, second)
}

func testTooManyRacing(t *testing.T, h Harness, clientID string) {
	t.Helper()
	errs := make(chan error, 4)
	for i := range cap(errs) {
		d := Desired(clientID + "." + string(rune('a'+i)))
		d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: h.TokenClients[:1], MaxPerTokenClient: 2}
		create(t, h, d)
		t.Cleanup(func() { remove(t, h, d) })
		go func() {
			_, err := h.Server.MapAudience(t.Context(), d, Allow)
			errs <- err
		}()
	}
	var kinds []provider.Kind
	for range cap(errs) {
		if err := <-errs; err != nil {
			kinds = append(kinds, errorOf(t, err, provider.KindTooManyAudiences).Kind)
		}
	}
	if want := slices.Repeat([]provider.Kind{provider.KindTooManyAudiences}, 2); !slices.Equal(kinds, want) {
		t.Errorf("%d of 4 were refused, want 2", len(kinds))
	}
}

func testDeleteMapped(t *testing.T, h Harness, clientID string) {
	t.Helper()
	d := mapped(t, h, clientID, provider.AudienceDefault, h.TokenClients[0])
	remove(t, h, d)
	create(t, h, d)
	if active(t, h, d, h.TokenClients[0], "") {
		t.Error("the mapping outlived the registration")
	}
}

// remove is for the end of a test too, when its context is over.
func remove(t *testing.T, h Harness, d provider.Desired) {
	t.Helper()
	if err := h.Server.Delete(context.WithoutCancel(t.Context()), d.Identity, Allow); err != nil {
		t.Errorf("Delete: %v", err)
	}
}
