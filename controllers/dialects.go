// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/all"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/manual"
)

// dialects are the kinds of servers that clients are registered with, by name.
func dialects() map[string]provider.Dialect {
	named := map[string]provider.Dialect{}
	for _, d := range all.Dialects() {
		named[d.Name] = d
	}
	return named
}

// settings are what a server's object says to its dialect.
type settings struct {
	Dialect, RegistrationURL, FederatedIssuer string
}

// settingsOf reads the dialect's own part of a spec, under the dialect's name.
func settingsOf(server *v1alpha1.ClusterAuthorizationServer) settings {
	switch spec := &server.Spec; {
	case spec.Duende != nil:
		return settings{Dialect: "duende", RegistrationURL: spec.Duende.URL}
	case spec.OAuth != nil:
		return settings{Dialect: "oauth", RegistrationURL: spec.OAuth.RegistrationEndpoint}
	case spec.Keycloak != nil:
		return settings{Dialect: "keycloak", RegistrationURL: spec.Keycloak.AdminURL, FederatedIssuer: spec.Keycloak.ServiceAccountIssuer}
	default:
		return settings{}
	}
}

// isManual says that clients bring their credentials.
func isManual(server *v1alpha1.ClusterAuthorizationServer) bool {
	return server.Spec.Registration == v1alpha1.RegistrationManual
}

// dialect is how a server is spoken to: with registration Manual not at all.
func (s *sessions) dialect(server *v1alpha1.ClusterAuthorizationServer) provider.Dialect {
	if isManual(server) {
		return manual.Dialect()
	}
	return s.dialects[settingsOf(server).Dialect]
}

// tokensOf lays what a kind of server makes of tokens over what can be registered there:
// that does not hang on who registers.
func (s *sessions) tokensOf(server *v1alpha1.ClusterAuthorizationServer, can provider.Capabilities) provider.Capabilities {
	if kind, ok := s.dialects[settingsOf(server).Dialect]; ok && isManual(server) {
		of := kind.Capabilities
		can.AudienceCheck, can.ScopeCheck = of.AudienceCheck, of.ScopeCheck
		can.OpaqueTokens, can.JWTs = of.OpaqueTokens, of.JWTs
		can.OpaqueRevocation, can.JWTRevocation = of.OpaqueRevocation, of.JWTRevocation
	}
	return can
}

// choosesIDs says whether the server chooses client ids, and its secrets.
func choosesIDs(can provider.Capabilities) bool { return can.ClientIDs == provider.ByServer }
