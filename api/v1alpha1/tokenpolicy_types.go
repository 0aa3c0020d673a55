// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TokenPolicy says what a good token is for an API. The webhook answers for
// it: over RFC 7662 to those who hold the client's Secret, over HTTP
// forward-auth and Envoy's ext_authz to the gateways that the platform
// declared, and over TokenReview to the API server where the platform lists
// this policy.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tp,categories=introspection
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.accept[0].clientRef.name`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.require.scopes.allOf`
// +kubebuilder:printcolumn:name="Max Age",type=string,JSONPath=`.spec.freshness.maxAge`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type TokenPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the application team declares.
	// +required
	Spec TokenPolicySpec `json:"spec,omitzero"`

	// status is what the operator found.
	// +optional
	// +default={"observedGeneration":-1}
	Status TokenPolicyStatus `json:"status,omitzero"`
}

// TokenPolicyList is a list of TokenPolicies.
// +kubebuilder:object:root=true
type TokenPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenPolicy `json:"items"`
}

// TokenPolicySpec says what a good token is.
// +kubebuilder:validation:XValidation:rule="!has(self.freshness) || !has(self.freshness.maxAge) || self.accept.exists(a, !has(a.validation) || a.validation != 'Local')",message="with validation Local no server is asked, and a revoked token is good until its exp: leave out freshness.maxAge, or set validation to LocalThenIntrospect",fieldPath=".freshness.maxAge"
// +kubebuilder:validation:XValidation:rule="!has(self.outage) || !has(self.outage.mode) || self.outage.mode != 'ServeStale' || self.accept.exists(a, !has(a.validation) || a.validation != 'Local')",message="with validation Local no answer can be stale: leave out outage",fieldPath=".outage"
// +kubebuilder:validation:XValidation:rule="!has(self.require) || !has(self.require.binding) || !has(self.require.binding.required) || !(self.require.binding.required in ['DPoP','Any']) || (has(self.resource) && has(self.resource.identifier))",message="a DPoP proof names the URL of the API: set resource.identifier",fieldPath=".require.binding"
// +kubebuilder:validation:XValidation:rule="self.accept.size() < 2 || !has(self.respond) || !has(self.respond.headers) || !self.respond.headers.exists(h, has(h.claim) && h.claim == 'sub') || self.respond.headers.exists(h, has(h.claim) && h.claim == 'iss')",message="with several servers a subject is unique beside its issuer only: add a header for the claim iss",fieldPath=".respond.headers"
type TokenPolicySpec struct {
	// accept names the authorization servers whose tokens are accepted, each by
	// the IntrospectionClient that asks it, 1 to 8. A token goes to the one
	// whose issuer it names, and to no other; an opaque one to the entry that
	// accepts opaque tokens.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, b.clientRef.name == a.clientRef.name))",message="each client may stand in one entry only"
	// +kubebuilder:validation:XValidation:rule="self.filter(a, has(a.opaque) && a.opaque == 'Accepted').size() < 2",message="an opaque token may be sent to one server only: set opaque Accepted in at most one entry"
	Accept []AcceptedServer `json:"accept,omitempty"`

	// require says what a token must have, beyond being active, unexpired and of
	// that issuer.
	// +optional
	// +default={}
	Require TokenRequirements `json:"require,omitzero"`

	// freshness bounds how old the server's answer may be that an allow rests
	// on.
	// +optional
	// +default={}
	Freshness Freshness `json:"freshness,omitzero"`

	// outage says what holds while the server gives no verdict.
	// +optional
	// +default={}
	Outage Outage `json:"outage,omitzero"`

	// resource says how the API is known to its clients.
	// +optional
	Resource *Resource `json:"resource,omitempty"`

	// surfaces says over which protocols the policy is asked, and by whom.
	// +optional
	// +default={}
	Surfaces Surfaces `json:"surfaces,omitzero"`

	// respond says what callers learn about an accepted token.
	// +optional
	// +default={}
	Respond Response `json:"respond,omitzero"`
}

// AcceptedServer is an authorization server whose tokens are accepted.
type AcceptedServer struct {
	// clientRef names an IntrospectionClient of this namespace. It brings the
	// server, the issuer and the credentials.
	// +required
	ClientRef LocalReference `json:"clientRef,omitzero"`

	// validation is how a JWT is checked. Introspect: the server is asked about
	// each (RFC 7662). Local: the signature is verified with the server's keys,
	// and nobody is asked: a revoked token is good until its exp.
	// LocalThenIntrospect: both, so that a token with a bad signature costs no
	// call. Default LocalThenIntrospect where the server publishes keys, else
	// Introspect.
	// +optional
	Validation Validation `json:"validation,omitempty"`

	// opaque says what becomes of tokens that are no JWT. Refused, which is the
	// default: they are refused without a call. Accepted: they are sent to this
	// server, and to no other, since an opaque token does not say whose it is.
	// +optional
	Opaque OpaqueTokens `json:"opaque,omitempty"`

	// clients restricts which OAuth clients (`client_id`, else `azp`) tokens may
	// have been issued to.
	// +optional
	Clients *ClientRequirement `json:"clients,omitempty"`

	// subjects restricts which subjects (`sub`) tokens may be of.
	// +optional
	Subjects *SubjectRequirement `json:"subjects,omitempty"`

	// tenant restricts the tenants (organisations, customers) that a token may
	// be of.
	// +optional
	Tenant *TenantRequirement `json:"tenant,omitempty"`
}

// Validation is how a token is checked.
// +kubebuilder:validation:Enum=Introspect;Local;LocalThenIntrospect
type Validation string

const (
	// ValidationIntrospect asks the authorization server.
	ValidationIntrospect Validation = "Introspect"
	// ValidationLocal verifies the signature, and asks nobody.
	ValidationLocal Validation = "Local"
	// ValidationLocalThenIntrospect verifies the signature, then asks.
	ValidationLocalThenIntrospect Validation = "LocalThenIntrospect"
)

// OpaqueTokens says what becomes of tokens that are no JWT.
// +kubebuilder:validation:Enum=Refused;Accepted
type OpaqueTokens string

const (
	// OpaqueRefused refuses them without a call; so does the empty value.
	OpaqueRefused OpaqueTokens = "Refused"
	// OpaqueAccepted sends them to the server.
	OpaqueAccepted OpaqueTokens = "Accepted"
)

// ClientRequirement restricts the OAuth clients of a token.
type ClientRequirement struct {
	// allow lists the client ids, 1 to 64 of at most 255 characters. A token
	// that names none is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Allow []string `json:"allow,omitempty"`
}

// SubjectRequirement restricts the subjects of a token.
type SubjectRequirement struct {
	// allow lists the subjects, 1 to 64 of at most 255 characters. A token that
	// names none is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Allow []string `json:"allow,omitempty"`
}

// TenantRequirement restricts the tenants of a token.
type TenantRequirement struct {
	// claim names the top-level claim that holds the tenant, a string or a list
	// of which one must match; at most 128 characters.
	// +required
	Claim ClaimName `json:"claim,omitempty"`

	// values lists the tenants, 1 to 64 of at most 255 characters. A token
	// without the claim is refused.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Values []string `json:"values,omitempty"`
}

// ClaimName is the name of a top-level claim, at most 128 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[\x21-\x7e]+$')`,message="a claim's name must be printable ASCII without spaces"
type ClaimName string
