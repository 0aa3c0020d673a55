// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServerAccess says which namespaces may use a server, and for what.
type ServerAccess struct {
	// namespaceSelector selects the namespaces by their labels. An empty
	// selector selects all.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist'])",message="operator must be In, NotIn, Exists or DoesNotExist"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : !has(e.values) || size(e.values) == 0)",message="operators In and NotIn need values; Exists and DoesNotExist must have none"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// clientIDPrefixes are what a client id must start with, 1 to 16 of at most
	// 100 characters; {namespace} is replaced. Each ends in a character that no
	// namespace has (`.`, `_`, `:`, `/`), and one stands right after
	// {namespace}. Default: clientIDTemplate up to {name}.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([A-Za-z0-9._:/-]|[{]namespace[}][._:/])*$') && self.matches('[._:/]$')",message="a prefix must end in one of . _ : /, and one of them must stand right after {namespace}: else one namespace could claim another's ids"
	ClientIDPrefixes []string `json:"clientIDPrefixes,omitempty"`

	// scopes are those whose tokens clients may look into, at most 64 of at most
	// 100 characters; default none. At duende and oauth only: Keycloak goes by
	// the audience.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[\x21\x23-\x5b\x5d-\x7e]+$')`,message="a scope must be printable ASCII without spaces, quotes and backslashes: list each scope by itself"
	Scopes []string `json:"scopes,omitempty"`

	// audience bounds how tokens may come to name clients in `aud`.
	// +optional
	// +default={}
	Audience AudienceAccess `json:"audience,omitzero"`

	// adoption says whether spec.adoptionPolicy Unowned is allowed: to take over
	// a registration that nobody owns and that can obtain no token.
	// +optional
	// +default="Denied"
	Adoption Permission `json:"adoption,omitempty"`

	// retain says whether spec.deletionPolicy Retain is allowed: a registration
	// that outlives its object.
	// +optional
	// +default="Denied"
	Retain Permission `json:"retain,omitempty"`
}

// AudienceAccess bounds audience mapping.
// +kubebuilder:validation:MinProperties=0
type AudienceAccess struct {
	// modes that an IntrospectionClient may use. Unmanaged is always allowed;
	// [Unmanaged] allows no other.
	// +optional
	// +listType=set
	// +default=["Default","OnRequest"]
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Modes []AudienceMode `json:"modes,omitempty"`

	// maxPerTokenClient is how many APIs may be mapped as Default onto one token
	// client, 1 to 1000: each makes every token of that client longer, and good
	// for one more API.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxPerTokenClient int32 `json:"maxPerTokenClient,omitempty"`
}

// Permission is Denied or Allowed.
// +kubebuilder:validation:Enum=Denied;Allowed
type Permission string

const (
	// Denied is the default.
	Denied Permission = "Denied"
	// Allowed permits it.
	Allowed Permission = "Allowed"
)
