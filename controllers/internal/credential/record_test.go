// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const canary = "canary-secret-that-must-not-be-seen"

func sample() *Record {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return &Record{
		Object: Object{Namespace: "shop", Name: "orders"}, UID: "u1", Server: "corporate", Issuer: "https://sso/realms/acme",
		ClientID: "shop.orders", RegistrationID: "r1", Owner: "i/shop/orders", DeletionPolicy: "Delete",
		Current: &Value{Secret: canary, IssuedAt: at}, Next: &Value{Secret: canary + "2", IssuedAt: at},
		State: canary + "4", Attempt: "a1", SettledAt: at,
		Facade: Value{Secret: canary + "3", IssuedAt: at}, CallerID: "c1", ServiceAccount: true, RegisteredAt: at, Fence: "f", StoredAs: "u2",
	}
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	data, err := sample().encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("another record came back:\n%s", diff)
	}
}

func TestBrokenRecordsAreRefusedWithoutAWordOfThem(t *testing.T) {
	for name, tc := range map[string]struct{ reason, data string }{
		"no JSON":       {"cut off in the middle", `{"current":{"secret":"` + canary},
		"another type":  {"a JSON error would quote the value", `{"current":"` + canary + `"}`},
		"no credential": {"nothing can be verified with it", `{"object":{"name":"a"},"clientID":"c","facade":{"secret":"s"}}`},
		"no facade":     {"every workload would be locked out", `{"object":{"name":"a"},"clientID":"c","current":{"secret":"` + canary + `"}}`},
		"empty":         {"a Secret somebody emptied", ``},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeRecord([]byte(tc.data))
			if err == nil {
				t.Fatalf("%s: it was read", tc.reason)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error tells: %v", tc.reason, err)
			}
		})
	}
}

// CVE-2024-31391, CVE-2023-2878, CVE-2025-7445: credentials in events and logs.
func TestNothingOfARecordPrintsItsSecrets(t *testing.T) {
	record := sample()
	projected := record.Project()
	printed := []string{fmt.Sprint(record), fmt.Sprintf("%+v", *record), fmt.Sprintf("%#v", projected), fmt.Sprintf("%v %v", record.Facade, record.Current.Secret)}
	for _, v := range []any{record, projected, record.Facade} {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		printed = append(printed, string(encoded))
	}
	for _, p := range printed {
		if strings.Contains(p, canary) {
			t.Errorf("it prints its secret: %s", p)
		}
	}
}

func TestProjectionForTheWebhook(t *testing.T) {
	record := sample()
	staged := sample()
	staged.Current = nil
	for name, tc := range map[string]struct {
		reason      string
		record      *Record
		verified    bool
		credentials []ServerCredential
	}{
		"in use, next staged": {"replicas know the next one before it is used; the one in use goes first", record, true, []ServerCredential{{ClientID: "shop.orders", Secret: canary}, {ClientID: "shop.orders", Secret: canary + "2"}}},
		"not verified yet":    {"the first credential was not proved: no policy may rest on it", staged, false, []ServerCredential{{ClientID: "shop.orders", Secret: canary + "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := tc.record.Project().encode()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), canary+"3") {
				t.Error("the webhook is told the workload's secret: a hash is enough to recognise it")
			}
			got, err := DecodeWebhookClient(map[string][]byte{keyClient: data})
			if err != nil {
				t.Fatal(err)
			}
			want := WebhookClient{
				Object: tc.record.Object, UID: "u1", Server: "corporate", ClientID: "shop.orders", CallerID: "c1", Verified: tc.verified,
				Credentials: tc.credentials, FacadeSecrets: []FacadeSecret{{SHA256: HashSecret(canary + "3")}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMountedKeys(t *testing.T) {
	content := Mounted{
		Provider: "keycloak", ClientID: "shop.orders", ClientSecret: "s", Issuer: "https://sso",
		IntrospectionEndpoint: "https://w/introspect/shop/orders", TokenEndpoint: "https://sso/token", JWKSURI: "https://sso/jwks", CA: "PEM",
	}
	for name, tc := range map[string]struct {
		reason string
		keys   Keys
		want   []string
	}{
		"standard": {"Service Binding's and the field's names; an endpoint the server lacks has no key", Keys{}, []string{"ca.crt", "client_id", "client_secret", "introspection_endpoint", "issuer", "jwks_uri", "provider", "token_endpoint", "type"}},
		"renamed":  {"renamed, not doubled", Keys{ClientID: "CLIENT_ID", ClientSecret: "CLIENT_SECRET"}, []string{"CLIENT_ID", "CLIENT_SECRET", "ca.crt", "introspection_endpoint", "issuer", "jwks_uri", "provider", "token_endpoint", "type"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for k := range content.Data(Shape{Keys: tc.keys}) {
				got = append(got, k)
			}
			if diff := cmp.Diff(tc.want, slices.Sorted(slices.Values(got))); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
		})
	}
}

// CVE-2020-1731: a predictable secret.
func TestSecretsAreLongAndNeverTheSame(t *testing.T) {
	seen := map[provider.Secret]bool{}
	for range 1000 {
		v := NewValue(time.Unix(0, 0))
		if len(v.Secret) != 43 || seen[v.Secret] {
			t.Fatalf("a secret of %d characters, seen before: %t", len(v.Secret), seen[v.Secret])
		}
		seen[v.Secret] = true
	}
}

func TestHashTellsObjectsApart(t *testing.T) {
	pairs := []Object{{"a", "b"}, {"a-b", ""}, {"", "a/b"}, {"a", "b "}, {strings.Repeat("n", 63), strings.Repeat("m", 253)}}
	seen := map[string]Object{}
	for _, o := range pairs {
		h := o.Hash()
		if len(h) > 63 {
			t.Errorf("%s: no label value: %d characters", o, len(h))
		}
		if other, ok := seen[h]; ok && o.Namespace != "" && other.Namespace != "" {
			t.Errorf("%q and %q have one hash", o, other)
		}
		seen[h] = o
	}
}
