// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IntrospectionClientStatus is what the operator did and found.
// +kubebuilder:validation:MinProperties=0
type IntrospectionClientStatus struct {
	// conditions are Ready, Registered, AudienceMapped, Verified, Published,
	// Rotating and PolicyBound; Reconciling and Stalled only while they are true
	// (kstatus). Rotating and PolicyBound do not gate Ready.
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

	// clientID at the server.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	ClientID string `json:"clientID,omitempty"`

	// registrationID is the server's own id of the registration.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	RegistrationID string `json:"registrationID,omitempty"`

	// audienceScope is the name of the client scope at the server that maps the
	// audience; clients ask for it with scope=<this name> where the mode is
	// OnRequest.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	AudienceScope string `json:"audienceScope,omitempty"`

	// audienceResource is what clients ask for with resource=<this value> (RFC
	// 8707) to have this API in `aud`, where the server maps audiences that way
	// and the mode is OnRequest.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	AudienceResource string `json:"audienceResource,omitempty"`

	// registrationAttempt is set while nobody but you can tell what is
	// registered: the answer was lost, the server refuses the credential that it
	// gave, or it lets nobody delete. It is the value of the annotation
	// introspection.dev/register-again that says that nothing is left there: the
	// operator registers once more, or lets a deleted object go.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	RegistrationAttempt string `json:"registrationAttempt,omitempty"`

	// binding names the Secret that workloads mount (Service Binding for
	// Kubernetes 1.1).
	// +optional
	Binding *LocalReference `json:"binding,omitempty"`

	// credential tells which credential the Secret holds: with endpoint Webhook
	// one of the webhook's, with Server the registered one.
	// +optional
	Credential *ClientCredential `json:"credential,omitempty"`
}

// ClientCredential tells a credential apart without giving it away.
// +kubebuilder:validation:MinProperties=1
type ClientCredential struct {
	// method is how the client proves itself at the authorization server, by the
	// registered credential.
	// +optional
	Method AuthenticationMethod `json:"method,omitempty"`
	// fingerprint is the start of the SHA-256 of the secret, in hex. It is left
	// out for a secret that a user brought: a weak one could be guessed from it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`
	// issuedAt is when the secret was made.
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`
	// expiresAt is when the authorization server ends the registered secret by
	// itself, where it said so.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// nextRotationAt is when it will be replaced, where
	// spec.rotation.interval is set.
	// +optional
	NextRotationAt *metav1.Time `json:"nextRotationAt,omitempty"`
	// previousExpiresAt is when the credential before this one ends; unset when
	// it has.
	// +optional
	PreviousExpiresAt *metav1.Time `json:"previousExpiresAt,omitempty"`
}
