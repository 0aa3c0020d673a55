// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Type is the type of the Secret that workloads mount (Service Binding for
// Kubernetes 1.1: servicebinding.io/<value of the key type>).
const Type = "servicebinding.io/oauth2-introspection"

// bindingType is the value of the key type.
const bindingType = "oauth2-introspection"

// Mounted is what a workload needs.
type Mounted struct {
	Provider              string
	ClientID              string
	ClientSecret          provider.Secret
	Issuer                string
	IntrospectionEndpoint string
	TokenEndpoint         string
	// AuthorizeURL is where a gateway asks for the same policy; empty where none is checked.
	AuthorizeURL string
	JWKSURI      string
	// CA are the PEM certificates for IntrospectionEndpoint; empty means the system's.
	CA string
}

// Keys renames keys; an empty name means the standard one.
type Keys struct {
	ClientID, ClientSecret, Issuer, IntrospectionEndpoint, CACertificate string
}

// Data is the Secret's data.
func (m Mounted) Data(keys Keys) map[string][]byte {
	data := map[string][]byte{}
	set := func(renamed, key, value string) {
		if renamed != "" {
			key = renamed
		}
		if value != "" {
			data[key] = []byte(value)
		}
	}
	set("", "type", bindingType)
	set("", "provider", m.Provider)
	set(keys.ClientID, "client_id", m.ClientID)
	set(keys.ClientSecret, "client_secret", m.ClientSecret.Reveal())
	set(keys.Issuer, "issuer", m.Issuer)
	set(keys.IntrospectionEndpoint, "introspection_endpoint", m.IntrospectionEndpoint)
	set("", "token_endpoint", m.TokenEndpoint)
	set("", "authorize_url", m.AuthorizeURL)
	set("", "jwks_uri", m.JWKSURI)
	set(keys.CACertificate, "ca.crt", m.CA)
	return data
}
