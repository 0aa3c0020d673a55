// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

	// acr restricts how the user must have signed in (`acr`); another one is
	// answered with a step-up challenge (RFC 9470).
	// +optional
	ACR *ACRRequirement `json:"acr,omitempty"`

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

	// binding says whether tokens must be bound to a key. A token that is bound
	// (`cnf`) is checked whatever it says.
	// +optional
	Binding *BindingRequirement `json:"binding,omitempty"`

	// rules are conditions in CEL that must all be true, at most 16, 1,000 cost
	// units in all. One that can't be evaluated refuses.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rules []Rule `json:"rules,omitempty"`
}

// ACRRequirement restricts the authentication context class (RFC 9470).
type ACRRequirement struct {
	// values lists the classes of which `acr` must be one, 1 to 16 of at most
	// 255 characters without spaces. A token without acr is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[\x21\x23-\x5b\x5d-\x7e]+$')`,message="an acr value must be printable ASCII without spaces, quotes and backslashes"
	Values []string `json:"values,omitempty"`
}

// BindingRequirement says whether tokens must be bound to a key.
// +kubebuilder:validation:MinProperties=1
type BindingRequirement struct {
	// required is None: unbound tokens are good too; DPoP: only tokens bound by
	// RFC 9449; MTLS: only tokens bound to a certificate (RFC 8705); Any:
	// either.
	// +optional
	Required Binding `json:"required,omitempty"`
}

// Binding of a token to a key.
// +kubebuilder:validation:Enum=None;DPoP;MTLS;Any
type Binding string

const (
	// BindingNone takes unbound tokens too.
	BindingNone Binding = "None"
	// BindingDPoP is RFC 9449.
	BindingDPoP Binding = "DPoP"
	// BindingMTLS is RFC 8705.
	BindingMTLS Binding = "MTLS"
	// BindingAny is either.
	BindingAny Binding = "Any"
)

// Rule is a condition in CEL.
type Rule struct {
	// name of the rule, in refusals and metrics; 1 to 63 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9 _.]*[A-Za-z0-9])?$')",message="a rule's name must be letters, digits, spaces and - _ ."
	Name string `json:"name,omitempty"`

	// expression in CEL that must be true, at most 1024 characters. claims holds
	// what the server said about the token. request holds method, host, path,
	// query and headers (by lower-case name; without Authorization, DPoP and
	// Cookie) of the request that a gateway asks about; a rule that reads it
	// refuses where there is none (introspection, TokenReview).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`

	// message tells the caller what is wrong, at most 255 printable ASCII
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[\x20\x21\x23-\x5b\x5d-\x7e]+$')`,message="message must be printable ASCII without quotes and backslashes"
	Message string `json:"message,omitempty"`
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
