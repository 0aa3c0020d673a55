// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestIsDuende(t *testing.T) {
	const host = "https://sso.example.com"
	for name, tc := range map[string]struct {
		reason   string
		metadata provider.Metadata
		want     bool
	}{
		"dcr":       {"only Duende registers there", provider.Metadata{RegistrationEndpoint: host + "/connect/dcr"}, true},
		"dcr slash": {"a slash at the end makes no other", provider.Metadata{RegistrationEndpoint: host + "/connect/dcr/"}, true},
		"paths": {"it has both paths, wherever it registers", provider.Metadata{
			IntrospectionEndpoint: host + "/connect/introspect", JWKSURI: host + "/.well-known/openid-configuration/jwks", RegistrationEndpoint: host + "/reg",
		}, true},
		"one path":  {"others have the one", provider.Metadata{IntrospectionEndpoint: host + "/connect/introspect", JWKSURI: host + "/jwks"}, false},
		"other one": {"or the other", provider.Metadata{IntrospectionEndpoint: host + "/introspect", JWKSURI: host + "/.well-known/openid-configuration/jwks"}, false},
		"ours":      {"our own endpoints are none of its", provider.Metadata{RegistrationEndpoint: host + "/connect/introspection-resources"}, false},
		"nothing":   {"a server that says nothing", provider.Metadata{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.metadata.IsDuende(); got != tc.want {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
}
