// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Type is the type of the Secret that workloads mount (Service Binding for
// Kubernetes 1.1: servicebinding.io/<value of the key type>).
const Type = "servicebinding.io/oauth2-introspection"

// bindingType is the value of the key type.
const bindingType = "oauth2-introspection"

// Keys of Secrets that hold a client's credential: of ours, and of those that users bring.
const (
	KeyClientID     = "client_id"
	KeyClientSecret = "client_secret"
	KeyPrivateKey   = "private_key.pem"
	KeyKeyID        = "key_id"
)

// Mounted is what a workload needs.
type Mounted struct {
	Provider     string
	ClientID     string
	ClientSecret provider.Secret
	// PrivateKey, a PEM file, and KeyID stand in place of a secret where the client signs assertions.
	PrivateKey            provider.Secret
	KeyID                 string
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
	ClientID, ClientSecret, PrivateKey, KeyID, Issuer, IntrospectionEndpoint, CACertificate string
}

// standard are the members under Service Binding's and the field's names.
func (m Mounted) standard(keys Keys) map[string]string {
	return map[string]string{
		"type":                             bindingType,
		"provider":                         m.Provider,
		cmp.Or(keys.ClientID, KeyClientID): m.ClientID,
		cmp.Or(keys.ClientSecret, KeyClientSecret):                   m.ClientSecret.Reveal(),
		cmp.Or(keys.PrivateKey, KeyPrivateKey):                       m.PrivateKey.Reveal(),
		cmp.Or(keys.KeyID, KeyKeyID):                                 m.KeyID,
		cmp.Or(keys.Issuer, "issuer"):                                m.Issuer,
		cmp.Or(keys.IntrospectionEndpoint, "introspection_endpoint"): m.IntrospectionEndpoint,
		"token_endpoint":                                             m.TokenEndpoint,
		"authorize_url":                                              m.AuthorizeURL,
		"jwks_uri":                                                   m.JWKSURI,
		cmp.Or(keys.CACertificate, "ca.crt"):                         m.CA,
	}
}
