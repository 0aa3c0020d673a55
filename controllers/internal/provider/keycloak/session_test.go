// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

func TestMasked(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	server.Mask(fake.MaskAlways)
	other := d
	other.Credentials.Current.Secret, other.DisplayName = "another", "Another name"
	o := observed(t, s, other)
	if diff := cmp.Diff([]string{"name"}, o.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	updated(t, s, other, o)
	server.Mask(fake.MaskNever)
	if got := server.Client(d.ClientID)["secret"]; got != d.Credentials.Current.Secret.Reveal() {
		t.Error("an update that is not about the secret changed it")
	}
	for _, c := range server.Calls() {
		if strings.Contains(c.Body, "****") {
			t.Errorf("%s sent the mask", c)
		}
	}
}

// TestServerChoseTheSecret: past the expiry that a client policy sets, Keycloak
// answers a PUT with a secret of its own.
func TestServerChoseTheSecret(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	d.DisplayName = "Another name"
	o := observed(t, s, d)
	var once sync.Once
	server.OnCall(func(c fake.Call) {
		if c.Method == http.MethodPut {
			once.Do(func() { server.EditClient(d.ClientID, map[string]any{"secret": "the-server's"}) })
		}
	})
	_, err := s.Update(t.Context(), d, o, providertest.Allow)
	wantKind(t, err, provider.KindServer)
	o = observed(t, s, d)
	if diff := cmp.Diff([]string{provider.DriftSecret}, o.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	updated(t, s, d, o)
	if got := server.Client(d.ClientID)["secret"]; got != d.Credentials.Current.Secret.Reveal() {
		t.Error("the secret was not put right")
	}
}

// TestRightsUnknown: a token that does not say (a lightweight one, fine-grained
// permissions) is no reason to refuse.
func TestRightsUnknown(t *testing.T) {
	server, w := fakeWorld(t)
	server.EditClient("operator", map[string]any{"fullScopeAllowed": false})
	report, err := w.session(t).Probe(t.Context())
	if err != nil || report.Rights != provider.RightsUnknown {
		t.Errorf("error %v, rights %q", err, report.Rights)
	}
}

// TestRightsGranted: rights that are granted are seen at once, though the token
// lives on.
func TestRightsGranted(t *testing.T) {
	server, w := fakeWorld(t)
	server.SetRoles("operator", "view-clients")
	s := w.session(t)
	_, err := s.Probe(t.Context())
	wantKind(t, err, provider.KindForbidden)
	server.SetRoles("operator", "view-clients", "manage-clients")
	if report, err := s.Probe(t.Context()); err != nil || report.Rights != provider.RightsManage {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestNew(t *testing.T) {
	w := newWorld("http://127.0.0.1:1", "acme")
	for name, tc := range map[string]struct {
		reason string
		change func(*provider.Config)
		want   string
	}{
		"no realm":  {"the realm is the issuer's last segment", func(o *provider.Config) { o.Issuer = "https://sso.example.com/" }, "no"},
		"not ours":  {"an issuer of another server", func(o *provider.Config) { o.Issuer = "https://sso.example.com/oauth/acme" }, "no"},
		"no secret": {"no sign-in without a secret", func(o *provider.Config) { o.SignIn.Secret = "" }, "no"},
		"no client": {"an initial access token opens no Admin API", func(o *provider.Config) { o.SignIn = provider.SignIn{InitialAccessToken: "t"} }, "no"},
		"no URL":    {"an address that is none", func(o *provider.Config) { o.RegistrationURL = "keycloak" }, "no"},
		"path":      {"a Keycloak below a path", func(o *provider.Config) { o.Issuer = "https://sso.example.com/auth/realms/acme" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options("operator")
			tc.change(&o)
			if _, err := keycloak.New(o); (err != nil) != (tc.want != "") {
				t.Errorf("%s: error %v", tc.reason, err)
			}
		})
	}
}

// TestRotateMasked: where the secret is hidden, whether it must be written is asked by introspection.
func TestRotateMasked(t *testing.T) {
	server, w := fakeWorld(t)
	server.Mask(fake.MaskAlways)
	h, s := w.harness(t), w.session(t)
	c := providertest.NewCaller(t, &h, created(t, s, desired("masked")))
	c.Turn(h.NewSecret())
	for range 2 {
		rotation, err := s.Rotate(t.Context(), c.Desired(), c)
		if diff := cmp.Diff(provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}, rotation); err != nil || diff != "" {
			t.Fatalf("error %v (-want +got):\n%s", err, diff)
		}
	}
	writes := 0
	for _, call := range server.Calls() {
		if call.Method == http.MethodPut {
			writes++
		}
	}
	if writes != 1 {
		t.Errorf("written %d times", writes)
	}
}

// TestKeyEnds: nothing at the server ends a key, so one whose end has come is drift.
func TestKeyEnds(t *testing.T) {
	server, w := fakeWorld(t)
	h, now := w.harness(t), time.Now()
	s := w.session(t, func(c *provider.Config) { c.Clock = func() time.Time { return now } })
	d, old := desired("key-ends"), h.NewKey(t)
	d.Credentials = provider.Credentials{Current: h.NewKey(t), Previous: &old, PreviousEnds: now.Add(time.Minute)}
	d = created(t, s, d)
	keys := func(want int, drift ...string) {
		t.Helper()
		attributes, _ := server.Client(d.ClientID)["attributes"].(map[string]any)
		stored, _ := attributes["jwks.string"].(string)
		var set provider.JWKS
		if err := json.Unmarshal([]byte(stored), &set); err != nil || len(set.Keys) != want {
			t.Errorf("%d keys at the server, want %d (%v)", len(set.Keys), want, err)
		}
		if diff := cmp.Diff(drift, observed(t, s, d).Drift); diff != "" {
			t.Errorf("drift (-want +got):\n%s", diff)
		}
	}
	keys(2)
	now = now.Add(time.Minute)
	keys(2, provider.DriftSecret)
	updated(t, s, d, observed(t, s, d))
	keys(1)
}

// TestRotateRefused: a credential that the server takes, and does not accept, is no success.
func TestRotateRefused(t *testing.T) {
	server, w := fakeWorld(t)
	h, s := w.harness(t), w.session(t)
	c := providertest.NewCaller(t, &h, created(t, s, desired("refused")))
	server.EditClient("refused", map[string]any{"enabled": false})
	c.Turn(h.NewSecret())
	_, err := s.Rotate(t.Context(), c.Desired(), c)
	wantKind(t, err, provider.KindServer)
}

// TestCapabilities: whether a policy rotates secrets shows at the first client.
func TestCapabilities(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	overlap := func(want provider.Overlap) {
		t.Helper()
		report, err := s.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		capabilities := keycloak.Dialect().Capabilities
		capabilities.Overlap = want
		capabilities.Methods = []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT} // no cluster is known there
		if diff := cmp.Diff(provider.Report{Rights: provider.RightsManage, Capabilities: capabilities, RegistrationURL: w.base + "/admin"}, report); diff != "" {
			t.Fatalf("report (-want +got):\n%s", diff)
		}
	}
	overlap(provider.OverlapUnknown)
	observed(t, s, created(t, s, desired("plain")))
	overlap(provider.OverlapNone)
	server.SetRotation(fake.DefaultRotation())
	observed(t, s, created(t, s, desired("rotating")))
	overlap(provider.OverlapExpiring)
}

// TestAdminAddress: the Admin API is beside the realm as it is called, unless another address is set.
func TestAdminAddress(t *testing.T) {
	_, w := fakeWorld(t)
	for name, tc := range map[string]struct {
		reason string
		change func(*provider.Config)
		want   string
	}{
		"called": {"where the server is called", func(c *provider.Config) { c.Issuer = "https://sso.example.com/realms/acme" }, w.base + "/admin"},
		"set":    {"another address", func(c *provider.Config) { c.URL, c.RegistrationURL = "https://sso.example.com/realms/acme", w.base+"/" }, w.base + "/admin"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := w.session(t, tc.change).Probe(t.Context())
			if err != nil || report.RegistrationURL != tc.want {
				t.Errorf("%s: %q, error %v", tc.reason, report.RegistrationURL, err)
			}
		})
	}
}
