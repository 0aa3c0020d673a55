// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func made(t *testing.T, method provider.Method, byServer bool) Value {
	t.Helper()
	v, err := New(method, byServer, Object{Namespace: "shop", Name: "orders"}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNewValues(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		method   provider.Method
		byServer bool
		known    bool
	}{
		"secret":            {"ours to choose", provider.ClientSecret, false, true},
		"server's secret":   {"nothing is invented where the server chooses", provider.ClientSecret, true, false},
		"key":               {"a key is ours to make, whoever chooses secrets", provider.PrivateKeyJWT, true, true},
		"a service account": {"nothing is secret of it", provider.ServiceAccountJWT, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := made(t, tc.method, tc.byServer)
			if v.Method() != tc.method || v.Known() != tc.known || (v.ID() != "") != tc.known {
				t.Errorf("%s: method %s, known %t, id %q", tc.reason, v.Method(), v.Known(), v.ID())
			}
			if other := made(t, tc.method, tc.byServer); tc.method == provider.PrivateKeyJWT && (v.Same(other) || v.ID() == other.ID()) {
				t.Error("two keys are one")
			}
		})
	}
}

func TestAKeyLeavesWithItsPublicHalfOnly(t *testing.T) {
	v := made(t, provider.PrivateKeyJWT, false)
	c, err := v.AtServer("introspection")
	if err != nil {
		t.Fatal(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(c.PublicKey, &jwk); err != nil {
		t.Fatal(err)
	}
	if _, private := jwk["d"]; private || jwk["kid"] != v.KeyID || jwk["alg"] != "ES256" || jwk["crv"] != "P-256" {
		t.Errorf("the registered key: %v", jwk)
	}
}

func TestBroughtCredentials(t *testing.T) {
	pem := made(t, provider.PrivateKeyJWT, false).PrivateKey.Reveal()
	for name, tc := range map[string]struct {
		reason string
		data   map[string]string
		bad    string
	}{
		"secret":         {"with the newline that an editor leaves", map[string]string{"client_id": "api\n", "client_secret": "s\n"}, ""},
		"key":            {"named as the server names it", map[string]string{"client_id": "api", "private_key.pem": pem, "key_id": "k"}, ""},
		"no id":          {"nobody could ask as nobody", map[string]string{"client_secret": canary}, "client_id"},
		"nothing":        {"there is nothing to prove it by", map[string]string{"client_id": "api"}, "client_secret"},
		"both":           {"which one is meant?", map[string]string{"client_id": "api", "client_secret": canary, "private_key.pem": pem}, "both"},
		"nameless key":   {"the server would not find it", map[string]string{"client_id": "api", "private_key.pem": pem}, "key_id"},
		"no key":         {"the words don't quote it", map[string]string{"client_id": "api", "private_key.pem": canary, "key_id": "k"}, "P-256"},
		"a public key":   {"it signs nothing", map[string]string{"client_id": "api", "private_key.pem": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "key_id": "k"}, "P-256"},
		"no text":        {"it would be stored as another one", map[string]string{"client_id": "api", "client_secret": "\xff\xfe" + canary}, "no text"},
		"two lines":      {"no header could hold it", map[string]string{"client_id": "a\npi", "client_secret": canary}, "control"},
		"a large secret": {"what a tenant can make us read is bounded", map[string]string{"client_id": "api", "client_secret": strings.Repeat("x", 17<<10)}, "16 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tc.data {
				data[k] = []byte(v)
			}
			v, err := Brought(data)
			switch {
			case tc.bad == "" && (err != nil || v.ClientID != "api" || !v.Known()):
				t.Errorf("%s: %v, client id %q", tc.reason, err, v.ClientID)
			case tc.bad != "" && (!errors.Is(err, ErrNotACredential) || !strings.Contains(err.Error(), tc.bad)):
				t.Errorf("%s: %v", tc.reason, err)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
