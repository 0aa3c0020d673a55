// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

const secretEnds = "client.secret.expiration.time"

// holder is a registration and whoever proves its credentials.
type holder struct {
	t *testing.T
	w *world
	s *keycloak.Server
	h providertest.Harness
	*providertest.Caller

	writes int
}

// Fence counts writes.
func (o *holder) Fence(ctx context.Context) error {
	o.writes++
	return o.Caller.Fence(ctx)
}

// credentialTraps are what is particular to Keycloak's credentials. They run on both, in a realm with
// a policy that rotates secrets and in one without.
func credentialTraps(t *testing.T, w *world, rotates bool) {
	t.Helper()
	for name, tc := range map[string]struct {
		reason  string
		rotates bool // only where a policy does
		test    func(o *holder)
	}{
		"ends-later":      {"a new secret gets a time of its own: at the old one's the server would end it", true, trapEndsLater},
		"ending":          {"before a secret ends its end is put off, and it stays the same", true, trapEnding},
		"ended":           {"past its end a secret is refused: that is drift, and is put right with the same secret", true, trapEnded},
		"update-overlaps": {"an update does not end the overlap, whether it is about the secret or not", true, trapUpdateOverlaps},
		"cut-short":       {"an overlap has its end where we say, and another end is put there", true, trapCutShort},
		"regenerated":     {"somebody had the server choose a secret: neither it nor ours as the rotated one lives on", false, trapRegenerated},
		"switched":        {"no credential of the method before works, also if the method is put back by hand", false, trapSwitched},
		"keys-normal":     {"keys are compared by their members, whatever the order and layout", false, trapKeysNormal},
		"keys-elsewhere":  {"keys at an address are keys of somebody else", false, trapKeysElsewhere},
	} {
		if tc.rotates && !rotates {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			o := &holder{t: t, w: w, s: w.session(t), h: w.harness(t)}
			d := desired("credential." + name)
			d.Credentials.Current = o.h.NewSecret()
			o.Caller = providertest.NewCaller(t, &o.h, d)
			o.create()
			tc.test(o)
			if err := o.s.Delete(t.Context(), o.Desired(), o); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		})
	}
}

func (o *holder) create() {
	o.t.Helper()
	got, err := o.s.Create(o.t.Context(), o.Desired(), o)
	if err != nil {
		o.t.Fatalf("Create: %v", err)
	}
	o.Change(func(d *provider.Desired) { d.RegistrationID = got.RegistrationID })
}

func (o *holder) rotate(want provider.Overlap) {
	o.t.Helper()
	got, err := o.s.Rotate(o.t.Context(), o.Desired(), o)
	if err != nil {
		o.t.Fatalf("Rotate: %v", err)
	}
	if diff := cmp.Diff(provider.Rotation{Rotated: true, Overlap: want}, got); diff != "" {
		o.t.Fatalf("Rotate (-want +got):\n%s", diff)
	}
}

// mend observes the drift that is wanted, and has it put right.
func (o *holder) mend(want ...string) {
	o.t.Helper()
	observation := observed(o.t, o.s, o.Desired())
	if diff := cmp.Diff(want, observation.Drift); diff != "" {
		o.t.Fatalf("drift (-want +got):\n%s", diff)
	}
	if _, err := o.s.Update(o.t.Context(), o.Desired(), observation, o); err != nil {
		o.t.Fatalf("Update: %v", err)
	}
	if again := observed(o.t, o.s, o.Desired()).Drift; len(again) > 0 {
		o.t.Fatalf("drift is left: %q", again)
	}
}

func (o *holder) want(credential provider.Credential, accepted bool) {
	o.t.Helper()
	got, err := o.Prove(o.t.Context(), credential)
	if err != nil || got != accepted {
		o.t.Fatalf("accepted %v, want %v (%v)", got, accepted, err)
	}
}

func (o *holder) attributes() map[string]any {
	o.t.Helper()
	attributes, _ := o.w.client(o.t, o.Desired().ClientID)["attributes"].(map[string]any)
	return attributes
}

// edit changes attributes by hand.
func (o *holder) edit(attributes map[string]any) {
	o.t.Helper()
	o.w.edit(o.t, o.Desired().ClientID, map[string]any{"attributes": attributes})
}

func (o *holder) seconds(attribute string) int64 {
	o.t.Helper()
	text, _ := o.attributes()[attribute].(string)
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		o.t.Fatalf("%s is %q", attribute, text)
	}
	return at
}

func in(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }

func trapEndsLater(o *holder) {
	o.t.Helper()
	o.edit(map[string]any{secretEnds: in(time.Hour)})
	o.Turn(o.h.NewSecret())
	o.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = time.Now().Add(time.Hour) })
	o.rotate(provider.OverlapExpiring)
	if ends := time.Until(time.Unix(o.seconds(secretEnds), 0)); ends < 20*24*time.Hour {
		o.t.Errorf("the server ends the new secret in %v", ends)
	}
}

func trapEnding(o *holder) {
	o.t.Helper()
	o.edit(map[string]any{secretEnds: in(30 * time.Minute)})
	secret := o.Current()
	o.mend("the end of the secret")
	if ends := time.Until(time.Unix(o.seconds(secretEnds), 0)); ends < 20*24*time.Hour {
		o.t.Errorf("the server ends the secret in %v", ends)
	}
	o.want(secret, true)
}

func trapEnded(o *holder) {
	o.t.Helper()
	o.edit(map[string]any{secretEnds: in(time.Second)})
	deadline := time.Now().Add(20 * time.Second)
	for accepted := true; accepted; {
		var err error
		if accepted, err = o.Prove(o.t.Context(), o.Current()); err != nil || time.Now().After(deadline) {
			o.t.Fatalf("the secret has not ended: %v", err)
		}
	}
	secret := o.Current()
	o.Change(func(d *provider.Desired) { d.DisplayName = "Another name" })
	o.mend("name", provider.DriftSecret)
	o.want(secret, true)
}

func trapUpdateOverlaps(o *holder) {
	o.t.Helper()
	old := o.Current()
	o.Turn(o.h.NewSecret())
	o.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = time.Now().Add(time.Hour) })
	o.rotate(provider.OverlapExpiring)
	o.Change(func(d *provider.Desired) { d.DisplayName = "Another name" })
	o.mend("name")
	o.want(old, true)
	o.want(o.Current(), true)
	o.w.edit(o.t, o.Desired().ClientID, map[string]any{"secret": "by hand", "attributes": map[string]any{}})
	o.mend(provider.DriftSecret)
	o.want(old, true)
	o.want(o.Current(), true)
}

func trapCutShort(o *holder) {
	o.t.Helper()
	o.Turn(o.h.NewSecret())
	o.rotate(provider.OverlapExpiring) // no end yet
	ends := time.Now().Add(time.Hour)
	o.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = ends })
	o.rotate(provider.OverlapExpiring)
	if got := o.seconds("client.secret.rotated.expiration.time"); got != ends.Unix() {
		o.t.Errorf("the overlap ends at %d, want %d", got, ends.Unix())
	}
	before := o.writes
	o.rotate(provider.OverlapExpiring)
	if o.writes != before {
		o.t.Errorf("the same again was written %d times", o.writes-before)
	}
	o.Change(func(d *provider.Desired) { d.Credentials.PreviousEnds = time.Now() }) // it has come
	old := *o.Desired().Credentials.Previous
	o.rotate(provider.OverlapNone)
	o.want(old, false)
}

func trapRegenerated(o *holder) {
	o.t.Helper()
	secretPath := "/clients/" + o.w.id(o.t, o.Desired().ClientID) + "/client-secret"
	var chosen struct {
		Value provider.Secret `json:"value"`
	}
	for range 2 {
		o.w.admin(o.t, http.MethodPost, secretPath, nil, &chosen)
	}
	o.mend(provider.DriftSecret)
	o.want(o.Current(), true)
	o.want(provider.Credential{Method: provider.ClientSecret, Secret: chosen.Value}, false)
	var rotated struct {
		Value provider.Secret `json:"value"`
	}
	o.w.admin(o.t, http.MethodGet, secretPath+"/rotated", nil, &rotated)
	if rotated.Value != "" {
		o.t.Error("a secret is left beside ours")
	}
}

func trapSwitched(o *holder) {
	o.t.Helper()
	secrets := []provider.Credential{o.Current()}
	o.Turn(o.h.NewSecret())
	if _, err := o.s.Rotate(o.t.Context(), o.Desired(), o); err != nil {
		o.t.Fatal(err)
	}
	secrets = append(secrets, o.Current())
	key := o.h.NewKey(o.t)
	o.Change(func(d *provider.Desired) { d.Credentials = provider.Credentials{Current: key} })
	o.mend("clientAuthenticatorType", provider.DriftSecret)
	o.want(key, true)
	o.w.edit(o.t, o.Desired().ClientID, map[string]any{"clientAuthenticatorType": "client-secret", "attributes": map[string]any{}})
	for _, secret := range secrets {
		o.want(secret, false)
	}
	o.mend("clientAuthenticatorType")
	o.Change(func(d *provider.Desired) { d.Credentials.Current = o.h.NewSecret() })
	o.mend("clientAuthenticatorType", "attributes", provider.DriftSecret)
	o.want(o.Current(), true)
	o.w.edit(o.t, o.Desired().ClientID, map[string]any{"clientAuthenticatorType": "client-jwt", "attributes": map[string]any{}})
	o.want(key, false)
	o.mend("clientAuthenticatorType")
}

func trapKeysNormal(o *holder) {
	o.t.Helper()
	first, second := o.h.NewKey(o.t), o.h.NewKey(o.t)
	o.Change(func(d *provider.Desired) { d.Credentials = provider.Credentials{Current: second, Previous: &first} })
	o.rotate(provider.OverlapDual)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	stored, _ := o.attributes()["jwks.string"].(string)
	if err := json.Unmarshal([]byte(stored), &set); err != nil || len(set.Keys) != 2 {
		o.t.Fatalf("keys: %v, %d", err, len(set.Keys))
	}
	set.Keys[0], set.Keys[1] = set.Keys[1], set.Keys[0]
	pretty, err := json.MarshalIndent(map[string]any{"keys": set.Keys}, "", "  ")
	if err != nil {
		o.t.Fatal(err)
	}
	o.edit(map[string]any{"jwks.string": string(pretty)})
	if drift := observed(o.t, o.s, o.Desired()).Drift; len(drift) > 0 {
		o.t.Errorf("drift %q", drift)
	}
	other := maps.Clone(set.Keys[0])
	other["kid"] = strings.Repeat("x", 8)
	set.Keys[0] = other
	pretty, err = json.Marshal(map[string]any{"keys": set.Keys})
	if err != nil {
		o.t.Fatal(err)
	}
	o.edit(map[string]any{"jwks.string": string(pretty)})
	o.mend(provider.DriftSecret)
	o.want(first, true)
	o.want(second, true)
}

func trapKeysElsewhere(o *holder) {
	o.t.Helper()
	key := o.h.NewKey(o.t)
	o.Change(func(d *provider.Desired) { d.Credentials = provider.Credentials{Current: key} })
	o.mend("clientAuthenticatorType", provider.DriftSecret)
	// Both at once are refused.
	o.edit(map[string]any{"use.jwks.string": "", "use.jwks.url": "true", "jwks.url": "http://127.0.0.1:1/keys"})
	o.want(key, false)
	o.mend("attributes", provider.DriftSecret)
	o.want(key, true)
}
