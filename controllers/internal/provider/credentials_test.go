// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestSecrets(t *testing.T) {
	c := provider.Credentials{Current: provider.Credential{Secret: "new"}, Previous: &provider.Credential{Secret: "old"}}
	if diff := cmp.Diff([]provider.Secret{"new", "old"}, c.Secrets()); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	c.Current.Secret, c.Previous = "", &provider.Credential{PublicKey: json.RawMessage(`{}`)}
	if got := c.Secrets(); len(got) != 0 {
		t.Errorf("%d secrets, want none: nothing is not to be masked", len(got))
	}
}

func TestAt(t *testing.T) {
	end := time.Date(2026, 11, 24, 12, 0, 0, 500_000_000, time.UTC)
	for name, tc := range map[string]struct {
		reason string
		ends   time.Time
		now    time.Time
		stands bool
	}{
		"before":      {"its end is to come", end, end.Add(-time.Second), true},
		"at":          {"its end has come", end, end, false},
		"after":       {"its end has passed", end, end.Add(time.Hour), false},
		"same second": {"servers keep whole seconds: there it has ended", end, end.Truncate(time.Second), false},
		"no end":      {"nobody has set one yet", time.Time{}, end, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := provider.Credentials{Current: provider.Credential{ID: "new"}, Previous: &provider.Credential{ID: "old"}, PreviousEnds: tc.ends}
			got := c.At(tc.now)
			want := provider.Credentials{Current: provider.Credential{ID: "new"}}
			if tc.stands {
				want = c
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if got := (provider.Credentials{}).At(end); got.Previous != nil {
		t.Errorf("there was no previous one: %+v", got)
	}
}

func TestCheck(t *testing.T) {
	key := func(jwk string) provider.Credential {
		return provider.Credential{Method: provider.PrivateKeyJWT, PublicKey: json.RawMessage(jwk)}
	}
	for name, tc := range map[string]struct {
		reason     string
		credential provider.Credential
		want       string
		kind       provider.Kind
	}{
		"secret":     {"that can be sent", provider.Credential{Method: provider.ClientSecret, Secret: "s"}, "", 0},
		"key":        {"that can be sent", key(`{"kty":"EC","x":"AQ"}`), "", 0},
		"account":    {"that can be sent", provider.Credential{Method: provider.ServiceAccountJWT, Subject: "system:serviceaccount:a:b"}, "", 0},
		"no secret":  {"a server would store it", provider.Credential{Method: provider.ClientSecret}, "no secret", provider.KindInvalid},
		"no key":     {"nor nothing for a key", key(``), "no public key", provider.KindInvalid},
		"text":       {"a text is no key", key(`"x"`), "no public key", provider.KindInvalid},
		"two":        {"one key and not two", key(`{"kty":"EC"}{"kty":"EC"}`), "no public key", provider.KindInvalid},
		"no type":    {"a key has one (RFC 7517 section 4.1)", key(`{"x":"AQ"}`), "no public key", provider.KindInvalid},
		"private":    {"it is the client's alone", key(`{"kty":"EC","d":"top-secret"}`), "a private key is not sent", provider.KindInvalid},
		"RSA prime":  {"a prime is as good as the key", key(`{"kty":"RSA","p":"top-secret"}`), "a private key is not sent", provider.KindInvalid},
		"shared":     {"a shared key is a secret", key(`{"kty":"oct","k":"top-secret"}`), "a private key is not sent", provider.KindInvalid},
		"no account": {"an empty subject is anybody's", provider.Credential{Method: provider.ServiceAccountJWT}, "no ServiceAccount", provider.KindInvalid},
		"unknown":    {"a method of a later version", provider.Credential{Method: "Passkey"}, "Passkey", provider.KindUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.credential.Check("create client")
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			e := kindOf(t, err, tc.kind)
			if e.Op != "create client" || !strings.Contains(e.Error(), tc.want) || strings.Contains(e.Error(), "top-secret") {
				t.Errorf("%s: %v does not say %q", tc.reason, e, tc.want)
			}
		})
	}
}

func TestMeanwhile(t *testing.T) {
	e := kindOf(t, provider.Meanwhile("update client"), provider.KindServer)
	if e.Op != "update client" || !strings.Contains(e.Error(), "deleted meanwhile") {
		t.Errorf("error %v", e)
	}
	a := kindOf(t, (&provider.Answer{Op: "update client", Status: 404}).Meanwhile(), provider.KindServer)
	if a.Status != 404 || a.Op != "update client" {
		t.Errorf("error %v", a)
	}
}
