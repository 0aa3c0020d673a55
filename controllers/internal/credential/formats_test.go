// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every key and value, as the frameworks' documentation has them: a word changed here
// is a workload that starts without its credentials.
func TestFormats(t *testing.T) {
	secret := Mounted{
		Provider: "keycloak", ClientID: "shop.orders", ClientSecret: "s", Issuer: "https://sso",
		IntrospectionEndpoint: "https://w/introspect/shop/orders", TokenEndpoint: "https://sso/token",
		AuthorizeURL: "https://w/authorize/shop/orders", JWKSURI: "https://sso/jwks", CA: "PEM",
	}
	key := Mounted{ClientID: "shop.orders", PrivateKey: "KEY", KeyID: "k1", IntrospectionEndpoint: "https://sso/introspect"}
	for name, tc := range map[string]struct {
		reason  string
		content Mounted
		formats []Format
		want    map[string]string
	}{
		"env": {
			"the members, but for what describes the Secret and what is a file", secret,
			[]Format{FormatEnv},
			map[string]string{
				"CLIENT_ID": "shop.orders", "CLIENT_SECRET": "s", "ISSUER": "https://sso", "INTROSPECTION_ENDPOINT": "https://w/introspect/shop/orders",
				"TOKEN_ENDPOINT": "https://sso/token", "AUTHORIZE_URL": "https://w/authorize/shop/orders", "JWKS_URI": "https://sso/jwks",
			},
		},
		"env with a key": {
			"the key stands in the secret's place", key,
			[]Format{FormatEnv},
			map[string]string{"CLIENT_ID": "shop.orders", "PRIVATE_KEY_PEM": "KEY", "KEY_ID": "k1", "INTROSPECTION_ENDPOINT": "https://sso/introspect"},
		},
		"spring": {
			"Spring Boot's OAuth2ResourceServerProperties.Opaquetoken", secret,
			[]Format{FormatSpring},
			map[string]string{
				"spring.security.oauth2.resourceserver.opaquetoken.introspection-uri": "https://w/introspect/shop/orders",
				"spring.security.oauth2.resourceserver.opaquetoken.client-id":         "shop.orders",
				"spring.security.oauth2.resourceserver.opaquetoken.client-secret":     "s",
			},
		},
		"dotnet": {
			"Duende's OAuth2IntrospectionOptions", secret,
			[]Format{FormatDotNet},
			map[string]string{
				"OAuth2Introspection__IntrospectionEndpoint": "https://w/introspect/shop/orders",
				"OAuth2Introspection__ClientId":              "shop.orders",
				"OAuth2Introspection__ClientSecret":          "s",
			},
		},
		"quarkus": {
			"quarkus-oidc without discovery", secret,
			[]Format{FormatQuarkus},
			map[string]string{
				"QUARKUS_OIDC_AUTH_SERVER_URL": "https://sso", "QUARKUS_OIDC_CLIENT_ID": "shop.orders", "QUARKUS_OIDC_CREDENTIALS_SECRET": "s",
				"QUARKUS_OIDC_INTROSPECTION_PATH": "https://w/introspect/shop/orders", "QUARKUS_OIDC_DISCOVERY_ENABLED": "false",
			},
		},
		"none": {"nothing is added unasked", secret, nil, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			standard, got := tc.content.Data(Shape{}), map[string]string{}
			for k, v := range tc.content.Data(Shape{Formats: tc.formats}) {
				if _, ok := standard[k]; !ok {
					got[k] = string(v)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s:\n%s", tc.reason, diff)
			}
		})
	}
}

// Formats stand beside the standard keys, renamed or not, and beside each other.
func TestFormatsAddAndTakeNothingAway(t *testing.T) {
	content := Mounted{Provider: "keycloak", ClientID: "shop.orders", ClientSecret: "s", Issuer: "https://sso", IntrospectionEndpoint: "https://w", CA: "PEM"}
	keys := Keys{ClientID: "id", CACertificate: "bundle.pem"}
	all := []Format{FormatEnv, FormatSpring, FormatDotNet, FormatQuarkus}
	got, want := content.Data(Shape{Keys: keys, Formats: all}), content.Data(Shape{Keys: keys})
	for _, format := range all {
		maps.Copy(want, content.Data(Shape{Keys: keys, Formats: []Format{format}}))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if string(got["id"]) != "shop.orders" || string(got["bundle.pem"]) != "PEM" || got["client_id"] != nil {
		t.Errorf("the renamed keys are %q, %q, and there is %q", got["id"], got["bundle.pem"], got["client_id"])
	}
}

// A Provisioned Service of Service Binding for Kubernetes 1.1: the entry `type` in the
// Secret, which is of the type servicebinding.io/<type>; the entry `provider`; and names of
// entries that are file names of letters, digits and - _ . only.
func TestServiceBinding(t *testing.T) {
	content := Mounted{Provider: "keycloak", ClientID: "shop.orders", ClientSecret: "s", Issuer: "https://sso", IntrospectionEndpoint: "https://w", CA: "PEM"}
	data := content.Data(Shape{Formats: []Format{FormatEnv, FormatSpring, FormatDotNet, FormatQuarkus}})
	if got := "servicebinding.io/" + string(data["type"]); got != Type {
		t.Errorf("the Secret is of type %s, its entry says %s", Type, got)
	}
	if got := string(data["provider"]); got != "keycloak" {
		t.Errorf("the provider is %q", got)
	}
	for name := range data {
		if strings.Trim(name, "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || strings.HasPrefix(name, "..") {
			t.Errorf("%q can't be an entry", name)
		}
	}
}
