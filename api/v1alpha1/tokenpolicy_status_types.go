// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TokenPolicyStatus is what the operator found.
// +kubebuilder:validation:MinProperties=0
type TokenPolicyStatus struct {
	// conditions are Ready, Compiled and ClientsReady; Reconciling and Stalled
	// only while they are true (kstatus).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the conditions speak of; -1
	// before the first look.
	// +optional
	// +default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// endpoints where this policy is asked.
	// +optional
	Endpoints *PolicyEndpoints `json:"endpoints,omitempty"`

	// revocation says how long a token may be let in after its server called it
	// inactive, by surface and form of the token.
	// +optional
	// +listType=map
	// +listMapKey=surface
	// +listMapKey=tokenForm
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Revocation []RevocationBound `json:"revocation,omitempty"`
}

// RevocationBound is how long a revoked token may be let in.
type RevocationBound struct {
	// surface is Introspection, Gateways or TokenReview.
	// +required
	// +kubebuilder:validation:Enum=Introspection;Gateways;TokenReview
	Surface string `json:"surface,omitempty"`

	// tokenForm is JWT or Opaque.
	// +required
	// +kubebuilder:validation:Enum=JWT;Opaque
	TokenForm string `json:"tokenForm,omitempty"`

	// bound is a duration such as 30s, with what adds to it, or exp: until the
	// token's own end; at most 255 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Bound string `json:"bound,omitempty"`
}

// PolicyEndpoints are where a policy is asked.
// +kubebuilder:validation:MinProperties=1
type PolicyEndpoints struct {
	// introspection is the RFC 7662 endpoint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Introspection string `json:"introspection,omitempty"`
	// authorize is the base of the forward-auth endpoint, for gateways.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Authorize string `json:"authorize,omitempty"`
	// extAuthz is the address of Envoy's ext_authz (gRPC); the context
	// extensions namespace and policy name this policy.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	ExtAuthz string `json:"extAuthz,omitempty"`
	// tokenReview is the TokenReview webhook, where surfaces.tokenReview is set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	TokenReview string `json:"tokenReview,omitempty"`
}
