// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Outage says what holds while the server gives no verdict.
// +kubebuilder:validation:MinProperties=0
// +kubebuilder:validation:XValidation:rule="!has(self.staleFor) || (has(self.mode) && self.mode == 'ServeStale')",message="staleFor is for mode ServeStale: set it, or leave out staleFor",fieldPath=".staleFor"
type Outage struct {
	// mode is Deny: 503; or ServeStale: a token that was known to be good stays
	// good for staleFor past freshness.maxAge, never past its exp, and only
	// after the server failed. Default Deny.
	// +optional
	Mode OutageMode `json:"mode,omitempty"`

	// staleFor is how much older than freshness.maxAge an answer may be in an
	// outage, 1s to 10m; default 2m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="staleFor must be a duration such as 2m, from 1s to 10m"
	StaleFor *metav1.Duration `json:"staleFor,omitempty"`
}

// OutageMode says what holds while the server gives no verdict.
// +kubebuilder:validation:Enum=Deny;ServeStale
type OutageMode string

const (
	// OutageDeny answers 503; so does the empty value.
	OutageDeny OutageMode = "Deny"
	// OutageServeStale serves what was known, for a while.
	OutageServeStale OutageMode = "ServeStale"
)

// Resource says how the API is known to its clients.
// +kubebuilder:validation:MinProperties=1
type Resource struct {
	// identifier is the API's URL (RFC 9728 resource): the origin, and a path if
	// it has one, that DPoP proofs name before the path of the request; at most
	// 512 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^https?://[^/?#@]+(/[^?#]*)?$')",message="identifier must be a URL without user, query or fragment"
	Identifier string `json:"identifier,omitempty"`

	// metadataURL is where the API's metadata is (RFC 9728), told to clients in
	// challenges; at most 512 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches(r'^https://[\x21\x23-\x5b\x5d-\x7e]+$')`,message="metadataURL must be an https URL"
	MetadataURL string `json:"metadataURL,omitempty"`
}

// Surfaces says over which protocols a policy is asked, and by whom.
// +kubebuilder:validation:MinProperties=0
type Surfaces struct {
	// introspection is RFC 7662: by default for the credentials of the clients
	// in accept.
	// +optional
	// +default={}
	Introspection IntrospectionSurface `json:"introspection,omitzero"`

	// gateways are forward-auth and ext_authz: by default for all that the
	// platform declared.
	// +optional
	// +default={}
	Gateways GatewaysSurface `json:"gateways,omitzero"`

	// tokenReview is Kubernetes' TokenReview: only where it is set, and the
	// platform lists this policy.
	// +optional
	TokenReview *TokenReviewSurface `json:"tokenReview,omitempty"`
}

// IntrospectionSurface is RFC 7662.
// +kubebuilder:validation:MinProperties=0
type IntrospectionSurface struct {
	// serviceAccounts that may ask by a token of theirs, at most 32; its
	// audience is exactly the URL in status.endpoints.introspection.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	ServiceAccounts []ServiceAccountReference `json:"serviceAccounts,omitempty"`

	// exp is Token: the token's own; or Clamp: at most freshness.maxAge from
	// now, for callers that cache until exp. Default Token.
	// +optional
	Exp ExpMode `json:"exp,omitempty"`

	// boundTokens is Refuse: a token that is bound to a key is inactive here,
	// since nobody proved possession; or CallerVerifies: it is answered with
	// cnf, and the caller checks the proof. Default Refuse.
	// +optional
	BoundTokens BoundTokens `json:"boundTokens,omitempty"`
}

// ServiceAccountReference names a ServiceAccount.
type ServiceAccountReference struct {
	// namespace of the ServiceAccount, at most 63 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="namespace must be the name of a namespace: lower-case letters, digits and hyphens"
	Namespace string `json:"namespace,omitempty"`

	// name of the ServiceAccount, at most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a ServiceAccount: lower-case letters, digits, hyphens and dots"
	Name string `json:"name,omitempty"`
}

// ExpMode says which exp the introspection endpoint answers.
// +kubebuilder:validation:Enum=Token;Clamp
type ExpMode string

const (
	// ExpToken is the token's own; so is the empty value.
	ExpToken ExpMode = "Token"
	// ExpClamp is at most maxAge from now.
	ExpClamp ExpMode = "Clamp"
)

// BoundTokens says what the introspection endpoint answers about bound tokens.
// +kubebuilder:validation:Enum=Refuse;CallerVerifies
type BoundTokens string

const (
	// BoundTokensRefuse calls them inactive; so does the empty value.
	BoundTokensRefuse BoundTokens = "Refuse"
	// BoundTokensCallerVerifies answers cnf.
	BoundTokensCallerVerifies BoundTokens = "CallerVerifies" //nolint:gosec // a name, and no credential
)

// GatewaysSurface is forward-auth and ext_authz.
// +kubebuilder:validation:MinProperties=0
type GatewaysSurface struct {
	// names of the declared gateways that may ask, at most 16; default all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Names []string `json:"names,omitempty"`

	// hosts that the user may have called, without a port, at most 32; default
	// all. Compared without case; a gateway that does not tell the host is
	// refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$')",message="a host must be a DNS name or an IPv4 address, without a port"
	Hosts []string `json:"hosts,omitempty"`

	// preflight is Deny: a CORS preflight needs a token as any request, which
	// browsers do not send; or Allow: OPTIONS with Origin and
	// Access-Control-Request-Method passes without one. Default Deny.
	// +optional
	Preflight Preflight `json:"preflight,omitempty"`
}

// Preflight says what becomes of CORS preflight requests.
// +kubebuilder:validation:Enum=Deny;Allow
type Preflight string

const (
	// PreflightDeny treats them as any request; so does the empty value.
	PreflightDeny Preflight = "Deny"
	// PreflightAllow lets them pass without a token.
	PreflightAllow Preflight = "Allow"
)

// TokenReviewSurface says who a token is of to the API server.
type TokenReviewSurface struct {
	// username is CEL over claims that gives the user's name, a string that is
	// not empty; at most 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Username string `json:"username,omitempty"`

	// groups is CEL over claims that gives the groups, a list of strings;
	// default none; at most 1024 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Groups string `json:"groups,omitempty"`

	// extra are further facts about the user, at most 8. Those that the platform
	// does not list are left out.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Extra []ExtraMapping `json:"extra,omitempty"`

	// audiences are the API server's (--api-audiences) that the policy answers
	// for, 1 to 8 of at most 255 characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Audiences []string `json:"audiences,omitempty"`
}

// ExtraMapping is a further fact about a user.
type ExtraMapping struct {
	// key is a domain and a path in lower case, for example
	// example.com/tenant; at most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][-a-z0-9.]*/[-a-z0-9._/]+$')",message="key must be a domain and a path in lower case, for example example.com/tenant"
	Key string `json:"key,omitempty"`

	// expression is CEL over claims that gives the value, a string or a list of
	// strings; at most 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`
}
