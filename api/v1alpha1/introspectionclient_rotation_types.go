// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClientRotation says when credentials are replaced.
// +kubebuilder:validation:MinProperties=0
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || duration(self.interval) > duration(has(self.overlap) ? self.overlap : '24h')",message="a rotation begins when the overlap of the one before it is over: make interval longer than overlap (default 24h)",fieldPath=".interval"
type ClientRotation struct {
	// interval is how old a credential becomes before it is replaced, 1h to
	// 8760h (a year), less up to a tenth, so that not all are replaced at once.
	// Without it credentials are replaced only on demand, by the annotation
	// introspection.dev/rotate, or before the server ends them by itself:
	// workloads that read their Secret once at start would break. It is longer
	// than overlap.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="interval must be a duration such as 720h, from 1h to 8760h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// overlap is how long the replaced credential works on, 1m to 720h; default
	// 24h. It is a hard end, which nothing prolongs. The annotation
	// introspection.dev/revoke-previous ends it at once.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="overlap must be a duration such as 24h, from 1m to 720h"
	Overlap *metav1.Duration `json:"overlap,omitempty"`
}
