// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/json"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestSameKeys(t *testing.T) {
	const a, b = `{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"Ag","alg":"ES256","use":"sig"}`, `{"kty":"EC","kid":"b","crv":"P-256","x":"Aw","y":"BA"}`
	set := func(keys string) string { return `{"keys":[` + keys + `]}` }
	for name, tc := range map[string]struct {
		reason, a, b string
		want         bool
	}{
		"same":     {"byte for byte", set(a), set(a), true},
		"order":    {"a set has none", set(a + "," + b), set(b + "," + a), true},
		"twice":    {"a set has each once", set(a + "," + a), set(a), true},
		"layout":   {"blanks and the order of members mean nothing", set(a), `{"keys": [ {"use":"sig","y":"Ag","x":"AQ","crv":"P-256","alg":"ES256","kid":"a","kty":"EC"} ]}`, true},
		"added":    {"servers add members, and drop what they don't need", set(a), set(`{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"Ag","key_ops":["verify"]}`), true},
		"kid":      {"assertions name it", set(a), set(`{"kty":"EC","kid":"c","crv":"P-256","x":"AQ","y":"Ag"}`), false},
		"value":    {"another key by the same name", set(a), set(`{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"Aw"}`), false},
		"RSA":      {"the modulus is one", set(`{"kty":"RSA","kid":"a","n":"AQ","e":"AQAB"}`), set(`{"kty":"RSA","kid":"a","n":"Ag","e":"AQAB"}`), false},
		"moved":    {"a value is its member's", set(`{"kty":"EC","kid":"a.b","x":"c"}`), set(`{"kty":"EC","kid":"a","x":"b.c"}`), false},
		"more":     {"another key may come in", set(a), set(a + "," + b), false},
		"none":     {"no keys are no keys", set(""), `{}`, true},
		"nonsense": {"what is no set is none", `[`, `[`, false},
		"no key":   {"a text is no key", set(`"x"`), set(`"x"`), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]string{{tc.a, tc.b}, {tc.b, tc.a}} {
				if got := provider.SameKeys([]byte(pair[0]), []byte(pair[1])); got != tc.want {
					t.Errorf("%s: %v", tc.reason, got)
				}
			}
		})
	}
}

func TestKeySet(t *testing.T) {
	for want, of := range map[string][]provider.Credential{
		`{"keys":[]}`:                         nil,
		`{"keys":[{"kty":"EC"},{"kid":"b"}]}`: {{PublicKey: json.RawMessage(`{"kty":"EC"}`)}, {PublicKey: json.RawMessage(`{"kid":"b"}`)}},
	} {
		if got, err := json.Marshal(provider.KeySet(of)); err != nil || string(got) != want {
			t.Errorf("%s, error %v, want %s", got, err, want)
		}
	}
}
