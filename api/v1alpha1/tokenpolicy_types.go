// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TokenPolicy says what a good token is for an API. The webhook answers for
// it: over RFC 7662 to those who hold the client's Secret, and over HTTP
// forward-auth to the gateways that the platform declared.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tp,categories=introspection
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.accept[0].clientRef.name`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.require.scopes.allOf`
// +kubebuilder:printcolumn:name="Max Age",type=string,JSONPath=`.spec.freshness.maxAge`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type TokenPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the application team declares.
	// +required
	Spec TokenPolicySpec `json:"spec,omitzero"`

	// status is what the operator found.
	// +optional
	// +default={"observedGeneration":-1}
	Status TokenPolicyStatus `json:"status,omitzero"`
}

// TokenPolicyList is a list of TokenPolicies.
// +kubebuilder:object:root=true
type TokenPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenPolicy `json:"items"`
}

// TokenPolicySpec says what a good token is.
type TokenPolicySpec struct {
	// accept names the authorization server whose tokens are accepted, by the
	// IntrospectionClient that asks it: exactly one.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	Accept []AcceptedServer `json:"accept,omitempty"`

	// require says what a token must have, beyond being active, unexpired and of
	// that issuer.
	// +optional
	// +default={}
	Require TokenRequirements `json:"require,omitzero"`

	// freshness bounds how old the server's answer may be that an allow rests
	// on.
	// +optional
	// +default={}
	Freshness Freshness `json:"freshness,omitzero"`

	// respond says what callers learn about an accepted token.
	// +optional
	// +default={}
	Respond Response `json:"respond,omitzero"`
}

// AcceptedServer is an authorization server whose tokens are accepted.
type AcceptedServer struct {
	// clientRef names an IntrospectionClient of this namespace. It brings the
	// server, the issuer and the credentials.
	// +required
	ClientRef LocalReference `json:"clientRef,omitzero"`

	// validation is Introspect: the server is asked about each token (RFC 7662).
	// +optional
	Validation Validation `json:"validation,omitempty"`

	// opaque says what becomes of tokens that are no JWT. Refused, which is the
	// default: they are refused without a call. Accepted: they are sent to this
	// server, and to no other, since an opaque token does not say whose it is.
	// +optional
	Opaque OpaqueTokens `json:"opaque,omitempty"`

	// clients restricts which OAuth clients (`client_id`, else `azp`) tokens may
	// have been issued to.
	// +optional
	Clients *ClientRequirement `json:"clients,omitempty"`

	// tenant restricts the tenants (organisations, customers) that a token may
	// be of.
	// +optional
	Tenant *TenantRequirement `json:"tenant,omitempty"`
}

// Validation is how a token is checked.
// +kubebuilder:validation:Enum=Introspect
type Validation string

// ValidationIntrospect asks the authorization server.
const ValidationIntrospect Validation = "Introspect"

// OpaqueTokens says what becomes of tokens that are no JWT.
// +kubebuilder:validation:Enum=Refused;Accepted
type OpaqueTokens string

const (
	// OpaqueRefused refuses them without a call; so does the empty value.
	OpaqueRefused OpaqueTokens = "Refused"
	// OpaqueAccepted sends them to the server.
	OpaqueAccepted OpaqueTokens = "Accepted"
)

// ClientRequirement restricts the OAuth clients of a token.
type ClientRequirement struct {
	// allow lists the client ids, 1 to 64 of at most 255 characters. A token
	// that names none is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Allow []string `json:"allow,omitempty"`
}

// TenantRequirement restricts the tenants of a token.
type TenantRequirement struct {
	// claim names the top-level claim that holds the tenant, a string or a list
	// of which one must match; at most 128 characters.
	// +required
	Claim ClaimName `json:"claim,omitempty"`

	// values lists the tenants, 1 to 64 of at most 255 characters. A token
	// without the claim is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Values []string `json:"values,omitempty"`
}

// ClaimName is the name of a top-level claim, at most 128 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[\x21-\x7e]+$')`,message="a claim's name must be printable ASCII without spaces"
type ClaimName string

// TokenRequirements say what a token must have.
// +kubebuilder:validation:MinProperties=0
type TokenRequirements struct {
	// audiences says what `aud` must name; default the client id of the matched
	// client. To be given where that id is not ours to choose: at oauth servers
	// and with registration Manual. A token without `aud` is refused.
	// +optional
	Audiences *AudienceRequirement `json:"audiences,omitempty"`

	// scopes the token must have: allOf, anyOf or both.
	// +optional
	Scopes *ScopeRequirement `json:"scopes,omitempty"`

	// tokenTypes that are accepted, 1 to 3; default AccessToken only.
	// +optional
	// +listType=set
	// +default=["AccessToken"]
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	TokenTypes []TokenType `json:"tokenTypes,omitempty"`

	// maxAuthAge is how long ago the user may have signed in (`auth_time`), 1s
	// to 8760h; an older sign-in is answered with a step-up challenge (RFC
	// 9470).
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="maxAuthAge must be a duration such as 1h, from 1s to 8760h"
	MaxAuthAge *metav1.Duration `json:"maxAuthAge,omitempty"`

	// maxTokenAge is how long ago the token may have been issued (`iat`), 1s to
	// 8760h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="maxTokenAge must be a duration such as 12h, from 1s to 8760h"
	MaxTokenAge *metav1.Duration `json:"maxTokenAge,omitempty"`

	// clockSkew is how far `nbf`, `iat` and `auth_time` may be off our clock, 0s
	// to 5m. It never extends `exp`.
	// +optional
	// +default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('5m')",message="clockSkew must be a duration such as 30s, from 0s to 5m"
	ClockSkew *metav1.Duration `json:"clockSkew,omitempty"`
}

// AudienceRequirement says what `aud` must name.
type AudienceRequirement struct {
	// anyOf lists audiences of which the token must name one; 1 to 64 of at most
	// 255 characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	AnyOf []string `json:"anyOf,omitempty"`
}

// ScopeRequirement says which scopes a token must have (RFC 6749 section
// 3.3).
// +kubebuilder:validation:XValidation:rule="has(self.allOf) || has(self.anyOf)",message="name at least one scope in allOf or anyOf"
// +kubebuilder:validation:MinProperties=0
type ScopeRequirement struct {
	// allOf lists scopes that the token must all have; 1 to 64 of at most 255
	// characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[\x21\x23-\x5b\x5d-\x7e]+$')`,message="a scope must be printable ASCII without spaces, quotes and backslashes: list each scope by itself"
	AllOf []string `json:"allOf,omitempty"`

	// anyOf lists scopes of which the token must have one; 1 to 64 of at most
	// 255 characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[\x21\x23-\x5b\x5d-\x7e]+$')`,message="a scope must be printable ASCII without spaces, quotes and backslashes: list each scope by itself"
	AnyOf []string `json:"anyOf,omitempty"`
}

// TokenType is a kind of token.
// +kubebuilder:validation:Enum=AccessToken;IDToken;RefreshToken
type TokenType string

const (
	// AccessTokenType is an access token.
	AccessTokenType TokenType = "AccessToken"
	// IDTokenType is an OpenID Connect ID token.
	IDTokenType TokenType = "IDToken"
	// RefreshTokenType is a refresh token.
	RefreshTokenType TokenType = "RefreshToken"
)
