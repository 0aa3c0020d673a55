// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ServerCapabilities are what a server was found to be able to do.
// +kubebuilder:validation:MinProperties=1
type ServerCapabilities struct {
	// provider is the dialect: keycloak, duende or oauth.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Provider string `json:"provider,omitempty"`
	// rights of the operator's sign-in: Manage when it is known to be allowed to
	// manage clients, Unknown when that shows at the first registration.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Rights string `json:"rights,omitempty"`
	// introspectionAuthMethods are the ways to authenticate at the introspection
	// endpoint, in the words of the metadata (RFC 8414).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	IntrospectionAuthMethods []string `json:"introspectionAuthMethods,omitempty"`
	// authenticationMethods are the values that a client's
	// spec.authentication.method may have here: ClientSecret, PrivateKeyJWT,
	// ServiceAccountJWT.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	AuthenticationMethods []string `json:"authenticationMethods,omitempty"`
	// overlap is how an old and a new secret of one client live side by side.
	// Expiring: both work, and the old one ends by itself; Dual: both work until
	// the old one is taken away; None: the new one ends the old one at once, or
	// there is never a new one; Unknown: it shows at the first client. Keys
	// always stand side by side.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Overlap string `json:"overlap,omitempty"`
	// clientIDs says who chooses client ids: Operator (by clientIDTemplate and
	// spec.clientID), Server, or User (they come in the Secret that a client
	// brings).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	ClientIDs string `json:"clientIDs,omitempty"`
	// read says whether registrations can be read, and drift be seen: Yes, No or
	// Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Read string `json:"read,omitempty"`
	// update says whether registrations can be changed: Yes, No or Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Update string `json:"update,omitempty"`
	// delete says whether registrations can be deleted: Yes, No or Unknown. With
	// No, only deletionPolicy Retain works.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Delete string `json:"delete,omitempty"`
	// disable says whether a registration can be put out of use and kept: Yes or
	// No. With No, registrations of a namespace that loses access are deleted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Disable string `json:"disable,omitempty"`
	// restore says whether a registration that the server lost comes back with
	// the same client id and secret: Yes, No or Unknown. With No, the server
	// gives it others, and workloads of clients with endpoint Server get them;
	// those with endpoint Webhook keep theirs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Restore string `json:"restore,omitempty"`
	// audienceModes are the modes that the operator can bring about: of Default,
	// OnRequest, Unmanaged.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	AudienceModes []AudienceMode `json:"audienceModes,omitempty"`
	// audienceCheck is what the server makes of `aud` at introspection.
	// Enforced: a token that does not name the client is inactive for it;
	// Ignored: it is not looked at, so that a TokenPolicy must; Unknown: servers
	// of this kind differ.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	AudienceCheck string `json:"audienceCheck,omitempty"`
	// scopeCheck is what the server makes of `scope` at introspection. Enforced:
	// a token is inactive for a client that has none of its scopes; Ignored and
	// Unknown as in audienceCheck.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	ScopeCheck string `json:"scopeCheck,omitempty"`
	// tokenForms says which tokens the server introspects.
	// +optional
	TokenForms TokenForms `json:"tokenForms,omitzero"`
	// revocation says when a revoked token is inactive.
	// +optional
	Revocation TokenRevocation `json:"revocation,omitzero"`
}

// TokenForms says which forms of token can be introspected.
// +kubebuilder:validation:MinProperties=0
type TokenForms struct {
	// opaque says whether opaque tokens can be introspected: Yes, No or Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Opaque string `json:"opaque,omitempty"`
	// jwt says whether JWTs can be introspected: Yes, No or Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	JWT string `json:"jwt,omitempty"`
}

// TokenRevocation says when a revoked token (RFC 7009) is inactive at the
// server. The cache of the webhook comes on top: spec.freshness.maxAge of a
// TokenPolicy.
// +kubebuilder:validation:MinProperties=0
type TokenRevocation struct {
	// opaque says when a revoked opaque token is inactive: Immediate (at the
	// next introspection), Never (at its end only) or Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Opaque string `json:"opaque,omitempty"`
	// jwt says when a revoked JWT is inactive: Immediate (at the next
	// introspection), Never (at its end only) or Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	JWT string `json:"jwt,omitempty"`
}
