// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LocalReference names an object of the same namespace. There are no
// references into other namespaces.
type LocalReference struct {
	// name of the object, in the namespace of the object that refers to it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ServerReference names a ClusterAuthorizationServer, which is cluster-scoped.
type ServerReference struct {
	// name of the ClusterAuthorizationServer. `kubectl get casrv` lists them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SecretReference names a Secret in the operator's own namespace.
type SecretReference struct {
	// secretName is the name of a Secret in the operator's namespace (introspection-system).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
}
