// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the objects of the introspection.dev group:
// ClusterAuthorizationServer, IntrospectionClient and TokenPolicy.
// +kubebuilder:object:generate=true
// +groupName=introspection.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is introspection.dev/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "introspection.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package with a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&ClusterAuthorizationServer{}, &ClusterAuthorizationServerList{},
		&IntrospectionClient{}, &IntrospectionClientList{},
		&TokenPolicy{}, &TokenPolicyList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
