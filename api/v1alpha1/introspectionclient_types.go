// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IntrospectionClient says that an API may ask an authorization server about
// tokens (RFC 7662). The operator registers it there, proves the registration by
// a live introspection, and writes a Secret that workloads mount.
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
	Spec IntrospectionClientSpec `json:"spec"`

	// status is what the operator did and found.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status IntrospectionClientStatus `json:"status,omitempty"`
}

// IntrospectionClientList is a list of IntrospectionClients.
// +kubebuilder:object:root=true
type IntrospectionClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IntrospectionClient `json:"items"`
}

// IntrospectionClientSpec declares one client.
// +kubebuilder:validation:XValidation:rule="self.authorizationServerRef.name == oldSelf.authorizationServerRef.name",message="authorizationServerRef is immutable: delete this object and create another"
// +kubebuilder:validation:XValidation:rule="has(self.clientID) == has(oldSelf.clientID) && (!has(self.clientID) || self.clientID == oldSelf.clientID)",message="clientID is immutable: delete this object and create another"
// +kubebuilder:validation:XValidation:rule="has(self.secret.name) == has(oldSelf.secret.name) && (!has(self.secret.name) || self.secret.name == oldSelf.secret.name)",message="secret.name is immutable: workloads mount it"
// +kubebuilder:validation:XValidation:rule="self.endpoint == 'Webhook' || !has(self.policyRef)",message="policyRef needs endpoint Webhook: no policy is checked at the server's own endpoint"
type IntrospectionClientSpec struct {
	// authorizationServerRef names the ClusterAuthorizationServer. Immutable.
	// +required
	AuthorizationServerRef ServerReference `json:"authorizationServerRef"`

	// clientID at the server; default made by the server's clientIDTemplate. It starts with a prefix
	// that the server grants this namespace. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._:/-]*$`
	ClientID string `json:"clientID,omitempty"`

	// displayName is the client's name for people, in the server's console.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// audience says how tokens come to name this API in `aud`.
	// +optional
	// +kubebuilder:default={}
	Audience ClientAudience `json:"audience,omitempty"`

	// endpoint is what the Secret is for. Webhook: our introspection endpoint, which checks a
	// TokenPolicy, with a secret that is good there only. Server: the server's own endpoint with the
	// registered credential; no policy is checked.
	// +optional
	// +kubebuilder:default=Webhook
	Endpoint Endpoint `json:"endpoint,omitempty"`

	// policyRef names the TokenPolicy, in this namespace, that answers at the endpoint in the Secret;
	// default the object's own name. It need not exist yet.
	// +optional
	PolicyRef *LocalReference `json:"policyRef,omitempty"`

	// secret is the Secret that workloads mount.
	// +optional
	// +kubebuilder:default={}
	Secret ClientSecret `json:"secret,omitempty"`

	// deletionPolicy says what becomes of the registration when the object is deleted: Delete, or
	// Retain, which keeps it and the Secret where the server's access.retain allows it.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ClientAudience says how tokens come to name an API in `aud`.
// +kubebuilder:validation:XValidation:rule="self.mode != 'Unmanaged' || !has(self.tokenClients)",message="mode Unmanaged touches no token client: leave out tokenClients"
type ClientAudience struct {
	// mode is Default: every new token of the token clients names this API; OnRequest: only those
	// that were asked for with scope=<the client scope's name>; Unmanaged: nothing is touched.
	// +optional
	// +kubebuilder:default=Default
	Mode AudienceMode `json:"mode,omitempty"`

	// tokenClients are the clients whose tokens shall name this API; default, and at most, those of
	// the server.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:Pattern=`^\S+$`
	TokenClients []string `json:"tokenClients,omitempty"`
}

// AudienceMode is how an audience is mapped.
// +kubebuilder:validation:Enum=Default;OnRequest;Unmanaged
type AudienceMode string

const (
	// AudienceDefault maps the audience onto every new token of the token clients.
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

// DeletionPolicy is what becomes of a registration when its object is deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionDelete deletes the registration and the Secret.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain keeps both.
	DeletionRetain DeletionPolicy = "Retain"
)

// ClientSecret shapes the Secret that workloads mount.
type ClientSecret struct {
	// name of the Secret; default the object's name. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`

	// labels of the Secret, beside the operator's own (introspection.dev/…, app.kubernetes.io/managed-by).
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 63 && !k.startsWith('introspection.dev/') && k != 'app.kubernetes.io/managed-by')",message="labels under introspection.dev/ and app.kubernetes.io/managed-by are the operator's; a value has at most 63 characters"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the Secret, beside the operator's own (introspection.dev/…).
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !k.startsWith('introspection.dev/'))",message="annotations under introspection.dev/ are the operator's"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// keys renames keys of the Secret. No two may be the same.
	// +optional
	Keys *SecretKeys `json:"keys,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// SecretKeys renames keys of the Secret that workloads mount.
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].all(k, k != 'type' && k != 'provider' && k != 'token_endpoint' && k != 'jwks_uri' && k != 'authorize_url')",message="type, provider, token_endpoint, jwks_uri and authorize_url are keys of the Secret already"
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].all(k, [has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt'].exists_one(o, o == k))",message="two keys of the Secret have the same name"
type SecretKeys struct {
	// clientID is the key of the client id; default client_id.
	// +optional
	ClientID SecretKey `json:"clientID,omitempty"`
	// clientSecret is the key of the secret; default client_secret.
	// +optional
	ClientSecret SecretKey `json:"clientSecret,omitempty"`
	// issuer is the key of the issuer; default issuer.
	// +optional
	Issuer SecretKey `json:"issuer,omitempty"`
	// introspectionEndpoint is the key of the endpoint's address; default introspection_endpoint.
	// +optional
	IntrospectionEndpoint SecretKey `json:"introspectionEndpoint,omitempty"`
	// caCertificate is the key of the endpoint's CA certificates; default ca.crt.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// SecretKey is a key of a Secret.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
type SecretKey string

// IntrospectionClientStatus is what the operator did and found.
type IntrospectionClientStatus struct {
	// conditions are Ready, Registered, AudienceMapped, Verified, Published and PolicyBound;
	// Reconciling and Stalled only while they are true (kstatus). PolicyBound does not gate Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the conditions speak of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// clientID at the server.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	ClientID string `json:"clientID,omitempty"`

	// registrationID is the server's own id of the registration.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	RegistrationID string `json:"registrationID,omitempty"`

	// audienceScope is the name of the client scope at the server that maps the audience; clients ask
	// for it with scope=<this name> where the mode is OnRequest.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	AudienceScope string `json:"audienceScope,omitempty"`

	// binding names the Secret that workloads mount (Service Binding for Kubernetes 1.1).
	// +optional
	Binding *LocalReference `json:"binding,omitempty"`

	// credential tells which credential the Secret holds.
	// +optional
	Credential *ClientCredential `json:"credential,omitempty"`
}

// ClientCredential tells a credential apart without giving it away.
type ClientCredential struct {
	// fingerprint is the start of the SHA-256 of the secret, in hex.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`
	// issuedAt is when the secret was made.
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`
}
