// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package all is the list of the authorization servers that clients can be registered with. Another
// provider is a package and a line here.
package all

import (
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/duende"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
)

// Dialects are all of them, each by a name of its own, in the order in which documents show them.
// Package manual is not among them: there nothing is registered.
func Dialects() []provider.Dialect {
	return []provider.Dialect{
		keycloak.Dialect(),
		duende.Dialect(),
		oauth.Dialect(),
	}
}
