// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LocalReference names an object of the same namespace. There are no
// references into other namespaces.
type LocalReference struct {
	// name of the object, in the namespace of the object that refers to it; at
	// most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of an object: lower-case letters, digits, hyphens and dots"
	Name string `json:"name,omitempty"`
}

// ServerReference names a ClusterAuthorizationServer, which is
// cluster-scoped.
type ServerReference struct {
	// name of the ClusterAuthorizationServer, at most 253 characters. `kubectl
	// get casrv` lists them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a ClusterAuthorizationServer: lower-case letters, digits, hyphens and dots"
	Name string `json:"name,omitempty"`
}

// SecretReference names a Secret in the operator's own namespace.
type SecretReference struct {
	// secretName is the name of a Secret in the operator's namespace
	// (introspection-system); at most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="secretName must be the name of a Secret: lower-case letters, digits, hyphens and dots"
	SecretName string `json:"secretName,omitempty"`
}
