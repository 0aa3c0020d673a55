// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import "strings"

// IsDuendeDCR says that an address is that of Duende's own dynamic client registration, as hosts leave it.
// It makes clients, and a client there may introspect its own tokens only: it is of no use to us.
func IsDuendeDCR(address string) bool {
	return strings.HasSuffix(strings.TrimSuffix(address, "/"), "/connect/dcr")
}

// IsDuende knows a Duende IdentityServer by the endpoint that only it has, or by two paths that it shares
// with no other server. Whatever speaks RFC 7591 there is dynamic client registration.
func (m Metadata) IsDuende() bool {
	return IsDuendeDCR(m.RegistrationEndpoint) ||
		strings.HasSuffix(m.IntrospectionEndpoint, "/connect/introspect") &&
			strings.HasSuffix(m.JWKSURI, "/.well-known/openid-configuration/jwks")
}
