// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import "github.com/introspection-dev/introspection-operator/api/v1alpha1"

// typeAccessToken is what RFC 9068 section 2.1 has in the header of an access token.
const typeAccessToken = "at+jwt"

// tokenTypesOf are what `typ` of a server's access tokens may be. Keycloak says JWT of all its
// tokens; a claim tells there which is which. Elsewhere JWT is what an ID token says too.
func tokenTypesOf(server *v1alpha1.ClusterAuthorizationServer) []string {
	switch {
	case len(server.Spec.AccessTokens.Types) > 0:
		return server.Spec.AccessTokens.Types
	case server.Spec.Keycloak != nil:
		return []string{typeAccessToken, "JWT"}
	default:
		return []string{typeAccessToken}
	}
}

// algorithmsOf are what a server's access tokens may be signed with; nil for every asymmetric one.
func algorithmsOf(server *v1alpha1.ClusterAuthorizationServer) []string {
	var algorithms []string
	for _, a := range server.Spec.AccessTokens.Algorithms {
		algorithms = append(algorithms, string(a))
	}
	return algorithms
}
