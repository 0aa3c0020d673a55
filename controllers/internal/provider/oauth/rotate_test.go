// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestRotateSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		options idp.Options
		want    provider.Rotation
		puts    int
	}{
		"kept":    {"the server keeps the secret that it has", idp.Options{}, provider.Rotation{Overlap: provider.OverlapNone}, 1},
		"anew":    {"the old one ends at once", idp.Options{NewSecret: true}, provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}, 1},
		"overlap": {"both work", idp.Options{NewSecret: true, KeepOldSecret: true}, provider.Rotation{Rotated: true, Overlap: provider.OverlapDual}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, tc.options)
			w.created()
			w.turn()
			for range 2 { // the second time writes nothing, where there was something to do
				r, err := w.rotate()
				if diff := cmp.Diff(tc.want, r); err != nil || diff != "" {
					t.Fatalf("%s: error %v (-want +got):\n%s", tc.reason, err, diff)
				}
				if !r.Rotated {
					break
				}
			}
			if n := w.puts(); n != tc.puts {
				t.Errorf("%s: %d updates", tc.reason, n)
			}
			if tc.want.Rotated {
				w.wantWell()
			}
			if o, err := w.observe(); err != nil || o.Overlap != tc.want.Overlap {
				t.Errorf("%s: it shows overlap %q, error %v", tc.reason, o.Overlap, err)
			}
		})
	}
}

// turn begins a rotation to a secret that the server is to choose.
func (w *world) turn() {
	old := w.record.desired.Credentials.Current
	w.record.desired.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret}, Previous: &old}
}

// TestLostRotation: the next look shows the new secret.
func TestLostRotation(t *testing.T) {
	w := start(t, idp.Options{NewSecret: true})
	w.created()
	w.turn()
	w.once(http.MethodPut, "/register/", fault.Fault{Drop: true})
	_, err := w.rotate()
	w.is(err, provider.KindUnreachable, "")
	r, err := w.rotate()
	if diff := cmp.Diff(provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}, r); err != nil || diff != "" || w.puts() != 1 {
		t.Errorf("%d updates, error %v (-want +got):\n%s", w.puts(), err, diff)
	}
	w.wantWell()
}

// TestSecretInUpdates: an update names the secret, for servers that choose another one without; a rotation does not.
func TestSecretInUpdates(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	secret := w.record.desired.Credentials.Current.Secret.Reveal()
	var named []bool
	w.OnCall(func(c fault.Call) {
		if c.Method == http.MethodPut {
			named = append(named, strings.Contains(c.Body, secret))
		}
	})
	w.record.desired.DisplayName = "Orders 2"
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if _, err := w.rotate(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, false}, named); diff != "" {
		t.Errorf("the secret is in the update, in the rotation (-want +got):\n%s", diff)
	}
}

// TestHiddenSecret: an update names the secret that reads hide, so that the server does not choose another one.
func TestHiddenSecret(t *testing.T) {
	w := start(t, idp.Options{HideSecret: true})
	w.created()
	secret := w.record.desired.Credentials.Current.Secret.Reveal()
	named := false
	w.OnCall(func(c fault.Call) {
		named = named || c.Method == http.MethodPut && strings.Contains(c.Body, secret)
	})
	w.record.desired.DisplayName = "Orders 2"
	if err := w.update(); err != nil || !named {
		t.Errorf("the update names the secret: %v, error %v", named, err)
	}
	w.wantWell()

	named = false
	w.once(http.MethodGet, "/register/", fault.Fault{Status: http.StatusOK, Body: `{"client_id":"` + w.record.desired.ClientID + `","client_secret":null}`})
	if err := w.update(); err != nil || !named {
		t.Errorf("null is hidden too: the update names the secret: %v, error %v", named, err)
	}
}

const (
	oldKey = `{"kid":"k1","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	newKey = `{"kid":"k2","kty":"OKP","crv":"Ed25519","x":"PXGb1ZSZnWWSX3bbwYeBfd4qdBwZg9GQcvhfrkF6Bn4"}`
)

// TestRotateKeys: a rotation claims what the server goes by, and no more.
func TestRotateKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		options idp.Options
		refuses string
		ended   bool
		want    provider.Rotation
	}{
		"both":     {"keys stand side by side", idp.Options{}, "", false, provider.Rotation{Rotated: true, Overlap: provider.OverlapDual}},
		"kept":     {"the server keeps the old keys", idp.Options{Fixed: []string{"jwks"}}, "", false, provider.Rotation{Overlap: provider.OverlapNone}},
		"one only": {"the server names both, and goes by one", idp.Options{}, "k1", false, provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}},
		"not yet":  {"the server names both, and goes by the old one", idp.Options{}, "k2", false, provider.Rotation{Overlap: provider.OverlapNone}},
		"ended":    {"what has ended is not asked about", idp.Options{}, "", true, provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, tc.options)
			old := provider.Credential{Method: provider.PrivateKeyJWT, ID: "k1", PublicKey: []byte(oldKey)}
			w.record.desired.Credentials.Current = old
			w.record.proves = func(c provider.Credential) bool {
				keys, err := json.Marshal(w.Metadata(w.record.desired.ClientID)["jwks"])
				return tc.ended || err == nil && c.ID != tc.refuses && strings.Contains(string(keys), `"`+c.ID+`"`)
			}
			w.created()
			w.record.desired.Credentials = provider.Credentials{
				Current: provider.Credential{Method: provider.PrivateKeyJWT, ID: "k2", PublicKey: []byte(newKey)}, Previous: &old,
			}
			if tc.ended {
				w.record.desired.Credentials.PreviousEnds = time.Now().Add(-time.Minute)
			}
			for range 2 {
				r, err := w.rotate()
				if diff := cmp.Diff(tc.want, r); err != nil || diff != "" {
					t.Errorf("%s: error %v (-want +got):\n%s", tc.reason, err, diff)
				}
			}
			if n := w.puts(); n != 1 {
				t.Errorf("%s: %d updates", tc.reason, n)
			}
			w.record.proof = errors.New("the introspection endpoint is down")
			if _, err := w.rotate(); !errors.Is(err, w.record.proof) {
				t.Errorf("nobody could tell: error %v", err)
			}
			w.record.proof = nil
		})
	}
}

// TestOverlapIsOfSecrets: that keys stand side by side says nothing of secrets.
func TestOverlapIsOfSecrets(t *testing.T) {
	w := start(t, idp.Options{})
	w.record.desired.Credentials.Current = provider.Credential{Method: provider.PrivateKeyJWT, ID: "k1", PublicKey: []byte(oldKey)}
	w.created()
	s := w.session()
	if o, err := s.Observe(t.Context(), w.record.desired, w.record); err != nil || o.Overlap != provider.OverlapDual {
		t.Errorf("the client shows overlap %q, error %v", o.Overlap, err)
	}
	if r, err := s.Probe(t.Context()); err != nil || r.Capabilities.Overlap != provider.OverlapUnknown {
		t.Errorf("the server shows overlap %q, error %v", r.Capabilities.Overlap, err)
	}
}

// TestNoSecretAfterKeys: the secret of before the keys is not taken for the client's new one.
func TestNoSecretAfterKeys(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	w.record.proves = func(provider.Credential) bool { return true }
	w.record.desired.Credentials.Current = provider.Credential{
		Method: provider.PrivateKeyJWT, ID: "k1", PublicKey: []byte(oldKey),
	}
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	w.wantWell()
	w.record.desired.Credentials.Current = provider.Credential{Method: provider.ClientSecret}
	w.once(http.MethodPut, "/register/", fault.Fault{
		Status: http.StatusOK, Body: `{"client_id":"` + w.record.desired.ClientID + `","token_endpoint_auth_method":"client_secret_basic"}`,
	})
	w.is(w.update(), provider.KindUnsupported, "PrivateKeyJWT")
}
