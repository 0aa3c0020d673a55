// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IntrospectionClient says that an API may ask an authorization server about
// tokens (RFC 7662). The operator registers it there, proves the
// registration by a live introspection, and writes a Secret that workloads
// mount.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ic,categories=introspection
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.spec.authorizationServerRef.name`
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.binding.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Policy",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="PolicyBound")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:selectablefield:JSONPath=`.spec.authorizationServerRef.name`
type IntrospectionClient struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the application team declares.
	// +required
	Spec IntrospectionClientSpec `json:"spec,omitzero"`

	// status is what the operator did and found.
	// +optional
	// +default={"observedGeneration":-1}
	Status IntrospectionClientStatus `json:"status,omitzero"`
}

// IntrospectionClientList is a list of IntrospectionClients.
// +kubebuilder:object:root=true
type IntrospectionClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IntrospectionClient `json:"items"`
}

// IntrospectionClientSpec declares one client.
// +kubebuilder:validation:XValidation:rule="self.authorizationServerRef.name == oldSelf.authorizationServerRef.name",message="authorizationServerRef is immutable: delete this object and create another",fieldPath=".authorizationServerRef"
// +kubebuilder:validation:XValidation:rule="has(self.clientID) == has(oldSelf.clientID) && (!has(self.clientID) || self.clientID == oldSelf.clientID)",message="clientID is immutable, and can't be set or removed later: delete this object and create another",fieldPath=".clientID"
// +kubebuilder:validation:XValidation:rule="has(self.secret.name) == has(oldSelf.secret.name) && (!has(self.secret.name) || self.secret.name == oldSelf.secret.name)",message="secret.name is immutable, and can't be set or removed later, since workloads mount it: delete this object and create another",fieldPath=".secret.name"
// +kubebuilder:validation:XValidation:rule="self.endpoint == 'Webhook' || !has(self.policyRef)",message="policyRef needs endpoint Webhook: no policy is checked at the server's own endpoint",fieldPath=".policyRef"
type IntrospectionClientSpec struct {
	// authorizationServerRef names the ClusterAuthorizationServer. Immutable.
	// +required
	AuthorizationServerRef ServerReference `json:"authorizationServerRef,omitzero"`

	// clientID at the server, at most 100 characters; default made by the
	// server's clientIDTemplate. It starts with a prefix that the server grants
	// this namespace. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9._:/-]*$')",message="clientID must start with a letter or digit and hold only letters, digits and . _ : / -"
	ClientID string `json:"clientID,omitempty"`

	// displayName is the client's name for people, in the server's console; one
	// line of at most 100 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^[:cntrl:]]+$')",message="displayName must be one line, without control characters"
	DisplayName string `json:"displayName,omitempty"`

	// audience says how tokens come to name this API in `aud`.
	// +optional
	// +default={}
	Audience ClientAudience `json:"audience,omitzero"`

	// endpoint is what the Secret is for. Webhook: our introspection endpoint,
	// which checks a TokenPolicy, with a secret that is good there only. Server:
	// the server's own endpoint with the registered credential; no policy is
	// checked.
	// +optional
	// +default="Webhook"
	Endpoint Endpoint `json:"endpoint,omitempty"`

	// policyRef names the TokenPolicy, in this namespace, that answers at the
	// endpoint in the Secret; default the object's own name. It need not exist
	// yet. Only with endpoint Webhook.
	// +optional
	PolicyRef *LocalReference `json:"policyRef,omitempty"`

	// secret is the Secret that workloads mount.
	// +optional
	// +default={}
	Secret ClientSecret `json:"secret,omitzero"`

	// deletionPolicy says what becomes of the registration when the object is
	// deleted: Delete, or Retain, which keeps it and the Secret where the
	// server's access.retain allows it.
	// +optional
	// +default="Delete"
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ClientAudience says how tokens come to name an API in `aud`.
// +kubebuilder:validation:XValidation:rule="self.mode != 'Unmanaged' || !has(self.tokenClients)",message="mode Unmanaged touches no token client: leave out tokenClients, or choose another mode",fieldPath=".tokenClients"
// +kubebuilder:validation:MinProperties=0
type ClientAudience struct {
	// mode is Default: every new token of the token clients names this API;
	// OnRequest: only those that were asked for with scope=<the name in
	// status.audienceScope>; Unmanaged: nothing is touched.
	// +optional
	// +default="Default"
	Mode AudienceMode `json:"mode,omitempty"`

	// tokenClients are the clients whose tokens shall name this API, by client
	// id: 1 to 16 of at most 100 characters; default, and at most, those of the
	// server. Not with mode Unmanaged.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[^[:space:][:cntrl:]]+$')",message="a token client is named by its client id, without spaces"
	TokenClients []string `json:"tokenClients,omitempty"`
}

// AudienceMode is how an audience is mapped.
// +kubebuilder:validation:Enum=Default;OnRequest;Unmanaged
type AudienceMode string

const (
	// AudienceDefault maps the audience onto every new token of the token
	// clients.
	AudienceDefault AudienceMode = "Default"
	// AudienceOnRequest maps it onto the tokens that ask for it by scope.
	AudienceOnRequest AudienceMode = "OnRequest"
	// AudienceUnmanaged touches nothing.
	AudienceUnmanaged AudienceMode = "Unmanaged"
)

// Endpoint is what a mounted Secret is for.
// +kubebuilder:validation:Enum=Webhook;Server
type Endpoint string

const (
	// EndpointWebhook is our introspection endpoint.
	EndpointWebhook Endpoint = "Webhook"
	// EndpointServer is the authorization server's own.
	EndpointServer Endpoint = "Server"
)

// DeletionPolicy is what becomes of a registration when its object is
// deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionDelete deletes the registration and the Secret.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain keeps both.
	DeletionRetain DeletionPolicy = "Retain"
)

// ClientSecret shapes the Secret that workloads mount.
// +kubebuilder:validation:MinProperties=0
type ClientSecret struct {
	// name of the Secret, at most 253 characters; default the object's name.
	// Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a Secret: lower-case letters, digits, hyphens and dots"
	Name string `json:"name,omitempty"`

	// labels of the Secret, at most 32, beside the operator's own
	// (introspection.dev/…, app.kubernetes.io/managed-by).
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('introspection.dev/') && k != 'app.kubernetes.io/managed-by')",message="labels under introspection.dev/ and app.kubernetes.io/managed-by are the operator's own: leave them out"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="a label's key must be a name of at most 63 letters, digits and - _ . after, if you like, a DNS prefix and a slash"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the Secret, at most 32, beside the operator's own
	// (introspection.dev/…).
	// +optional
	// +kubebuilder:validation:MinProperties=0
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('introspection.dev/'))",message="annotations under introspection.dev/ are the operator's own: leave them out"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-zA-Z0-9]([-a-zA-Z0-9.]{0,251}[a-zA-Z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="an annotation's key must be a name of at most 63 letters, digits and - _ . after, if you like, a DNS prefix and a slash"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// keys renames keys of the Secret. No two may be the same.
	// +optional
	Keys *SecretKeys `json:"keys,omitempty"`
}

// LabelValue is the value of a label, at most 63 characters.
// +kubebuilder:validation:MinLength=0
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')",message="a label's value must be letters, digits and - _ . and start and end with a letter or digit"
type LabelValue string

// AnnotationValue is the value of an annotation, at most 1024 characters.
// +kubebuilder:validation:MinLength=0
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// SecretKeys renames keys of the Secret that workloads mount.
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].all(k, k != 'type' && k != 'provider' && k != 'token_endpoint' && k != 'jwks_uri' && k != 'authorize_url')",message="type, provider, token_endpoint, jwks_uri and authorize_url are keys of the Secret already: choose another name"
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].all(k, [has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].exists_one(o, o == k))",message="two keys of the Secret have the same name: give each its own"
// +kubebuilder:validation:MinProperties=0
type SecretKeys struct {
	// clientID is the key of the client id, at most 253 characters; default
	// client_id.
	// +optional
	ClientID SecretKey `json:"clientID,omitempty"`
	// clientSecret is the key of the secret, at most 253 characters; default
	// client_secret.
	// +optional
	ClientSecret SecretKey `json:"clientSecret,omitempty"`
	// issuer is the key of the issuer, at most 253 characters; default issuer.
	// +optional
	Issuer SecretKey `json:"issuer,omitempty"`
	// introspectionEndpoint is the key of the endpoint's address, at most 253
	// characters; default introspection_endpoint.
	// +optional
	IntrospectionEndpoint SecretKey `json:"introspectionEndpoint,omitempty"`
	// caCertificate is the key of the endpoint's CA certificates, at most 253
	// characters; default ca.crt.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// SecretKey is a key of a Secret, at most 253 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="a key of a Secret must be letters, digits and - _ . only"
type SecretKey string
