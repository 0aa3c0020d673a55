// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterAuthorizationServerStatus is what the operator found.
// +kubebuilder:validation:MinProperties=0
type ClusterAuthorizationServerStatus struct {
	// conditions are Ready, Reachable, IssuerVerified and Authenticated;
	// CanaryAvailable with a canary; Reconciling and Stalled only while
	// they are true (kstatus).
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

	// endpoints that are called, rebased on spec.connection.url.
	// +optional
	Endpoints *ServerEndpoints `json:"endpoints,omitempty"`

	// capabilities that were found.
	// +optional
	Capabilities *ServerCapabilities `json:"capabilities,omitempty"`
}

// ServerEndpoints are the endpoints of an authorization server (RFC 8414
// section 2).
// +kubebuilder:validation:MinProperties=1
type ServerEndpoints struct {
	// introspection is the introspection endpoint (RFC 7662).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Introspection string `json:"introspection,omitempty"`
	// token is the token endpoint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Token string `json:"token,omitempty"`
	// revocation is the revocation endpoint (RFC 7009).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Revocation string `json:"revocation,omitempty"`
	// jwks is the address of the signing keys (RFC 7517).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	JWKS string `json:"jwks,omitempty"`
	// registration is where clients are registered: the admin API of a Keycloak
	// realm, the registration endpoints of a Duende host, or the registration
	// endpoint of RFC 7591.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Registration string `json:"registration,omitempty"`
}
