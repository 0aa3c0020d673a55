// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	idp "github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// puts are the bodies that were sent.
func puts(t *testing.T, s *idp.Server) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, c := range s.Calls() {
		if c.Method != http.MethodPut {
			continue
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(c.Body), &body); err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	return all
}

func create(t *testing.T, session provider.Server, d provider.Desired) {
	t.Helper()
	if _, err := session.Create(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
}

func resource(t *testing.T, s *idp.Server, name string) idp.Resource {
	t.Helper()
	r, ok := s.Resource(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return r
}

func TestWhatIsSent(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	d.ClientID, d.DisplayName = "https://api.example.com/v1", ""
	d.Audience.Mode = provider.AudienceUnmanaged
	create(t, session, d)
	previous := d.Credentials.Current
	d.Credentials = provider.Credentials{
		Current:      provider.Credential{Method: provider.PrivateKeyJWT, ID: "k2", PublicKey: json.RawMessage(`{"kty":"EC"}`)},
		Previous:     &previous,
		PreviousEnds: time.Date(2030, 1, 2, 3, 4, 5, 999, time.FixedZone("CET", 3600)),
	}
	if _, err := session.Rotate(t.Context(), d, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	common := map[string]any{
		"name": "https://api.example.com/v1", "owner": "cluster-1/shop/orders-api", "display_name": "https://api.example.com/v1",
		"enabled": true,
	}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, common)
		return more
	}
	want := []map[string]any{
		with(map[string]any{ // unmanaged: the audience is left out
			"scopes":  []any{"orders.read"},
			"secrets": []any{map[string]any{"id": "k1", "type": "SharedSecret", "value": idp.Hash("a plain secret")}},
		}),
		with(map[string]any{ // what is absent is unchanged
			"secrets": []any{
				map[string]any{"id": "k2", "type": "JWK", "value": `{"kty":"EC"}`},
				map[string]any{"id": "k1", "type": "SharedSecret", "expires_at": "2030-01-02T02:04:05Z"},
			},
		}),
	}
	if diff := cmp.Diff(want, puts(t, s)); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
	for _, c := range s.Calls() {
		if strings.Contains(c.Body, "a plain secret") {
			t.Errorf("%s has the plain secret: the server must get its hash only", c)
		}
		if form := c.Body; c.Path == "/connect/token" && !strings.Contains(form, "scope=introspection.register") {
			t.Errorf("signed in by %q, want the scope introspection.register and no more", form)
		}
	}
}

func TestUpdateTouchesNothingElse(t *testing.T) {
	tests := map[string]struct {
		reason string
		drift  string
		by     func(*idp.Resource)
		desire func(*provider.Desired)
	}{
		"DisplayName": {"The name alone.", "display_name", func(r *idp.Resource) { r.DisplayName = nil }, nil},
		"Enabled":     {"A host's people disabled it.", "enabled", func(r *idp.Resource) { r.Disabled = true }, nil},
		"Scopes":      {"As a set.", "scopes", func(r *idp.Resource) { r.Scopes = []string{"billing.read", "orders.read"} }, nil},
		"Audience":    {"It is managed here.", "require_resource_indicator", func(r *idp.Resource) { r.RequireResourceIndicator = true }, nil},
		"End":         {"Somebody set an end to the only secret.", "secret", func(r *idp.Resource) { r.Secrets[0].Expiration = new(time.Unix(1, 0)) }, nil},
		"Type":        {"A JWK by the name of a secret.", "secret", func(r *idp.Resource) { r.Secrets[0].Type = "JWK" }, nil},
		"Stray": {"A secret with our mark that we don't know is a way in.", "secret", func(r *idp.Resource) {
			r.Secrets = append(r.Secrets, idp.Secret{Description: "introspection.dev/stray", Type: "SharedSecret", Value: idp.Hash("x")})
		}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			h := harness(t, s)
			session := h.Open(t, nil)
			d := orders()
			create(t, session, d)
			theirs := idp.Secret{Description: "of the host", Type: "SharedSecret", Value: idp.Hash("theirs")}
			s.EditResource(d.ClientID, func(r *idp.Resource) { r.Secrets = append(r.Secrets, theirs) })
			want := resource(t, s, d.ClientID)
			s.EditResource(d.ClientID, tc.by)
			observed, err := session.Observe(t.Context(), d, providertest.Allow)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.drift}, observed.Drift); diff != "" {
				t.Fatalf("%s drift (-want +got):\n%s", tc.reason, diff)
			}
			if _, err := session.Update(t.Context(), d, observed, providertest.Allow); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, resource(t, s, d.ClientID)); diff != "" {
				t.Errorf("%s The resource afterwards (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOneDriftAtATime: what is not named in the drift stays, also if it differs.
func TestOneDriftAtATime(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	create(t, session, d)
	s.EditResource(d.ClientID, func(r *idp.Resource) { r.DisplayName, r.Disabled, r.RequireResourceIndicator = nil, true, true })
	observed := provider.Observation{Exists: true, Owner: d.Owner, Drift: []string{"enabled"}}
	if _, err := session.Update(t.Context(), d, observed, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if r := resource(t, s, d.ClientID); r.Disabled || r.DisplayName != nil && *r.DisplayName != "" || !r.RequireResourceIndicator {
		t.Errorf("only `enabled` was to be put right: %+v", r)
	}
}

// TestWrongValueIsReplaced: a refused secret is told as drift by who asked, and goes out with its value.
func TestWrongValueIsReplaced(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	create(t, session, d)
	s.EditResource(d.ClientID, func(r *idp.Resource) { r.Secrets[0].Value = idp.Hash("another") })
	observed := provider.Observation{Exists: true, Owner: d.Owner, Drift: []string{provider.DriftSecret}}
	if _, err := session.Update(t.Context(), d, observed, providertest.Allow); err != nil {
		t.Fatal(err)
	}
	if got := resource(t, s, d.ClientID).Secrets[0].Value; got != idp.Hash("a plain secret") {
		t.Errorf("the value at the server is %q", got)
	}
}

func TestConflictNamesTheOwner(t *testing.T) {
	owned := func(mark string) idp.Resource {
		r := idp.Resource{Name: "orders-api", Scopes: []string{"orders.read"}}
		if mark != "" {
			r.Properties = map[string]string{idp.OwnerKey: mark}
		}
		return r
	}
	for name, mark := range map[string]string{"Unowned": "", "Other": "cluster-2/shop/orders-api", "OnlyPrefix": "cluster-1/shop/orders-api-2"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			h := harness(t, s)
			s.AddResource(owned(mark))
			before := resource(t, s, "orders-api")
			session := h.Open(t, nil)
			_, err := session.Create(t.Context(), orders(), providertest.Allow)
			wantSaid(t, "Create: it is somebody else's.", err, said{Kind: provider.KindConflict, Subject: mark})
			_, err = session.MapAudience(t.Context(), orders(), providertest.Allow)
			wantSaid(t, "MapAudience: it is somebody else's.", err, said{Kind: provider.KindConflict, Subject: mark})
			_, err = session.Rotate(t.Context(), orders(), providertest.Allow)
			wantSaid(t, "Rotate: it is somebody else's.", err, said{Kind: provider.KindConflict, Subject: mark})
			if err := session.Delete(t.Context(), orders(), providertest.Allow); err != nil {
				t.Errorf("Delete: %v, want it left alone", err)
			}
			if diff := cmp.Diff(before, resource(t, s, "orders-api")); diff != "" {
				t.Errorf("it was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestAdoptedIsGivenBack: what a host had before us stays when we go.
func TestAdoptedIsGivenBack(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	d.ClientID = "legacy-api"
	s.EditResource("legacy-api", func(r *idp.Resource) {
		r.Properties[idp.OwnerKey], r.Properties[idp.AdoptedKey] = d.Owner, "true"
	})
	create(t, session, d)
	for range 2 {
		if err := session.Delete(t.Context(), d, providertest.Allow); err != nil {
			t.Fatal(err)
		}
	}
	r := resource(t, s, "legacy-api")
	if len(r.Properties) != 0 || len(r.Secrets) != 1 || r.Secrets[0].Value != idp.Hash("legacy-secret") {
		t.Errorf("given back is %+v, want the host's secret and no mark", r)
	}
}

func TestAudienceByName(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	d.Audience.Mode = provider.AudienceOnRequest
	create(t, session, d)
	_, err := session.MapAudience(t.Context(), d, providertest.Allow)
	wantSaid(t, "resource= takes a URI, and the name is none.", err, said{Kind: provider.KindInvalid, Advice: "whose spec.clientID is a URI"})

	d.ClientID = "https://orders.example.com"
	create(t, session, d)
	got, err := session.MapAudience(t.Context(), d, providertest.Allow)
	if diff := cmp.Diff(provider.AudienceReport{Resource: "https://orders.example.com"}, got); err != nil || diff != "" {
		t.Errorf("error %v, report (-want +got):\n%s", err, diff)
	}
	s.EditResource(d.ClientID, func(r *idp.Resource) { r.RequireResourceIndicator, r.Scopes = false, nil })
	got, err = session.MapAudience(t.Context(), d, providertest.Allow)
	want := provider.AudienceReport{Resource: "https://orders.example.com", Repaired: []string{"scopes", "require_resource_indicator"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, report (-want +got):\n%s", err, diff)
	}
}

func TestPropagation(t *testing.T) {
	s := start(t, func(o *idp.Options) { o.PropagationSeconds = 20 })
	h := harness(t, s)
	session := h.Open(t, nil)
	d := orders()
	const want = 20 * time.Second
	registered, err := session.Create(t.Context(), d, providertest.Allow)
	if err != nil || registered.Propagation != want {
		t.Errorf("Create: %v, %v", registered, err)
	}
	observed, err := session.Observe(t.Context(), d, providertest.Allow)
	if err != nil || observed.Propagation != want {
		t.Errorf("Observe: %v, %v", observed, err)
	}
	if updated, err := session.Update(t.Context(), d, observed, providertest.Allow); err != nil || updated.Propagation != want {
		t.Errorf("Update: %v, %v", updated, err)
	}
	if mapped, err := session.MapAudience(t.Context(), d, providertest.Allow); err != nil || mapped.Propagation != want {
		t.Errorf("MapAudience: %v, %v", mapped, err)
	}
	if rotated, err := session.Rotate(t.Context(), d, providertest.Allow); err != nil || rotated.Propagation != want {
		t.Errorf("Rotate: %v, %v", rotated, err)
	}
}

// TestLostAnswer: the PUT was done, and nobody heard of it.
func TestLostAnswer(t *testing.T) {
	s := start(t, nil)
	h := harness(t, s)
	s.Inject(fault.Fault{Match: fault.Matching(http.MethodPut, ""), Times: 1, Drop: true})
	create(t, h.Open(t, nil), orders())
	if n := len(puts(t, s)); n != 1 {
		t.Errorf("%d PUTs, want one: a look tells that it was done", n)
	}
}
