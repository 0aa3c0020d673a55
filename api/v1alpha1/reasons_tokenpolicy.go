// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of a TokenPolicy.
const (
	// ReasonAudienceRequired: require.audiences is unset, and the client's id is not ours to choose.
	// Do: require.audiences.anyOf: what aud of the tokens holds.
	ReasonAudienceRequired = "AudienceRequired"
	// ReasonInvalidPolicy: the policy does not compile.
	// Do: correct the fields that the message names.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ReasonClientNotFound: a clientRef names no IntrospectionClient of this namespace.
	// Do: create it, or correct accept.
	ReasonClientNotFound = "ClientNotFound"
	// ReasonClientNotReady: a client is not Verified and Published yet.
	// Do: kubectl describe the client.
	ReasonClientNotReady = "ClientNotReady"
	// ReasonDuplicateIssuer: two entries of accept are of one issuer.
	// Do: leave one out: a token's iss does not tell which of them to ask by.
	ReasonDuplicateIssuer = "DuplicateIssuer"
	// ReasonNoKeys: an entry verifies signatures, and its server publishes no keys.
	// Do: validation Introspect in that entry.
	ReasonNoKeys = "NoKeys"
	// ReasonUnsupportedTokenForm: the server introspects no tokens of the form that the policy takes.
	// Do: validation Local in that entry, or opaque tokens with opaque Accepted.
	ReasonUnsupportedTokenForm = "UnsupportedTokenForm"
)
