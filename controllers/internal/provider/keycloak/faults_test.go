// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

const unknownError = `{"error":"unknown_error","error_description":"For more on this error consult the server log."}`

// troubles are what can befall any call.
func troubles() map[string]fake.Fault {
	return map[string]fake.Fault{
		"answer lost":       {Drop: true},
		"call lost":         {Drop: true, Undone: true},
		"500":               {Status: 500, Body: unknownError, Undone: true},
		"500 after work":    {Status: 500, Body: unknownError},
		"502 HTML":          {Status: 502, Body: fake.HTML, Undone: true},
		"200 HTML":          {Status: 200, Body: fake.HTML},
		"200 HTML, no work": {Status: 200, Body: fake.HTML, Undone: true},
		"404 HTML":          {Status: 404, Body: fake.HTML, Undone: true},
		"404 no realm":      {Status: 404, Body: `{"error":"Realm not found."}`, Undone: true},
		"302":               {Status: 302, Header: map[string]string{"Location": "/login"}, Body: fake.HTML, Undone: true},
		"400":               {Status: 400, Body: `{"error":"invalid_request","error_description":"no"}`, Undone: true},
		"401":               {Status: 401, Body: `{"error":"HTTP 401 Unauthorized"}`, Undone: true},
		"403":               {Status: 403, Body: `{"error":"HTTP 403 Forbidden"}`, Undone: true},
		"409":               {Status: 409, Body: `{"errorMessage":"Client X already exists"}`, Undone: true},
		"truncated":         {Truncate: true},
		"truncated, undone": {Truncate: true, Undone: true},
	}
}

// flows are everything that is done to a server, with what must be true in the end.
func flows() map[string]struct {
	prepare func(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired
	run     func(ctx context.Context, s *keycloak.Server, d provider.Desired) error
} {
	nothing := func(_ *testing.T, _ *keycloak.Server, d provider.Desired) provider.Desired { return d }
	made := func(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired {
		t.Helper()
		return created(t, s, d)
	}
	return map[string]struct {
		prepare func(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired
		run     func(ctx context.Context, s *keycloak.Server, d provider.Desired) error
	}{
		"create": {nothing, func(ctx context.Context, s *keycloak.Server, d provider.Desired) error {
			_, err := s.Create(ctx, d, providertest.Allow)
			return err
		}},
		"update": {func(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired {
			t.Helper()
			d = created(t, s, d)
			d.Credentials.Current.Secret, d.DisplayName = "the-next-secret", "Orders API, new"
			return d
		}, func(ctx context.Context, s *keycloak.Server, d provider.Desired) error {
			o, err := s.Observe(ctx, d, providertest.Allow)
			if err != nil {
				return err
			}
			_, err = s.Update(ctx, d, o, providertest.Allow)
			return err
		}},
		"map": {made, func(ctx context.Context, s *keycloak.Server, d provider.Desired) error {
			_, err := s.MapAudience(ctx, d, providertest.Allow)
			return err
		}},
		"remap": {func(t *testing.T, s *keycloak.Server, d provider.Desired) provider.Desired {
			t.Helper()
			d = created(t, s, d)
			was := d
			was.Audience.Mode, was.Audience.TokenClients = provider.AudienceOnRequest, []string{"mobile", "web"}
			mapped(t, s, was)
			return d
		}, func(ctx context.Context, s *keycloak.Server, d provider.Desired) error {
			_, err := s.MapAudience(ctx, d, providertest.Allow)
			return err
		}},
	}
}

func faultDesired() provider.Desired {
	d := desired("shop.orders")
	d.Audience = provider.Audience{Mode: provider.AudienceDefault, TokenClients: []string{"web"}, MaxPerTokenClient: 50}
	return d
}

// TestTrouble lets each trouble befall each call of each flow, and has the flow
// tried again: the end is the same as without, and there is one of everything.
func TestTrouble(t *testing.T) {
	for flow, f := range flows() {
		for trouble, fault := range troubles() {
			t.Run(flow+"/"+trouble, func(t *testing.T) {
				for n := 0; ; n++ {
					server, w := fakeWorld(t)
					s := w.session(t)
					d := f.prepare(t, s, faultDesired())
					seen := len(server.Calls())
					fault.Times, fault.After = 1, n
					remove := server.Inject(fault)
					err := f.run(t.Context(), s, d)
					suffered := len(server.Calls())-seen > n
					remove()
					for range 3 {
						if err == nil {
							break
						}
						noSecret(t, err, d.Credentials.Current.Secret)
						err = f.run(t.Context(), s, d)
					}
					if err != nil {
						t.Fatalf("call %d: never put right: %v", n, err)
					}
					settled(t, server, w, flow, d)
					server.Close()
					if !suffered {
						return // the flow has no more calls
					}
				}
			})
		}
	}
}

// settled checks what a flow is for.
func settled(t *testing.T, server *fake.Server, w *world, flow string, d provider.Desired) {
	t.Helper()
	var ours int
	for _, c := range clients(t, w) {
		if attributes, _ := c["attributes"].(map[string]any); attributes["introspection.dev/owner"] == d.Owner {
			ours++
		}
	}
	if ours != 1 {
		t.Fatalf("%d registrations", ours)
	}
	if o := observed(t, w.session(t), d); !o.Exists || len(o.Drift) > 0 {
		t.Fatalf("Observe: %+v", o)
	}
	if flow != "map" && flow != "remap" {
		return
	}
	works(t, w, d)
	if web, _ := server.Attached("web"); strings.Count(strings.Join(web, " "), "introspection:") != 1 {
		t.Errorf("web has %q", web)
	}
	if _, mobile := server.Attached("mobile"); strings.Contains(strings.Join(mobile, " "), "introspection:") {
		t.Errorf("mobile has %q", mobile)
	}
}

func clients(t *testing.T, w *world) []map[string]any {
	t.Helper()
	var list []map[string]any
	w.admin(t, http.MethodGet, "/clients", nil, &list)
	return list
}

func noSecret(t *testing.T, err error, secrets ...provider.Secret) {
	t.Helper()
	for _, secret := range append(secrets, "operator-secret") {
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			if strings.Contains(text, secret.Reveal()) {
				t.Errorf("a secret is in the error %q", text)
			}
		}
	}
}

// TestDeleteTrouble is TestTrouble for deletion: in the end nothing of ours is left.
func TestDeleteTrouble(t *testing.T) {
	for trouble, fault := range troubles() {
		t.Run(trouble, func(t *testing.T) {
			for n := range 8 {
				server, w := fakeWorld(t)
				s := w.session(t)
				d := created(t, s, faultDesired())
				mapped(t, s, d)
				fault.Times, fault.After = 1, n
				remove := server.Inject(fault)
				err := s.Delete(t.Context(), d, providertest.Allow)
				remove()
				for range 3 {
					if err != nil {
						err = s.Delete(t.Context(), d, providertest.Allow)
					}
				}
				if err != nil {
					t.Fatalf("call %d: never put right: %v", n, err)
				}
				if server.Client(d.ClientID) != nil || server.Scope("introspection:"+d.ClientID) != nil {
					t.Fatalf("call %d: Delete succeeded and something is left", n)
				}
				server.Close()
			}
		})
	}
}

// TestNeverAbsent has every call suffer: a registration that exists is never
// reported absent, since the next thing would be to create it again.
func TestNeverAbsent(t *testing.T) {
	for trouble, fault := range troubles() {
		t.Run(trouble, func(t *testing.T) {
			server, w := fakeWorld(t)
			s := w.session(t)
			d := created(t, s, faultDesired())
			server.Inject(fault)
			o, err := s.Observe(t.Context(), d, providertest.Allow)
			if err == nil && !o.Exists {
				t.Error("reported absent")
			}
			if err := s.Delete(t.Context(), d, providertest.Allow); err == nil && server.Client(d.ClientID) != nil {
				t.Error("Delete succeeded and the client is there")
			}
		})
	}
}
