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
// +kubebuilder:validation:XValidation:rule="!has(self.spec.existingSecretName) || self.spec.existingSecretName != (has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name)",message="existingSecretName is the name of the Secret that the operator writes (secret.name, by default the object's name): name one of them differently",fieldPath=".spec.existingSecretName"
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
// +kubebuilder:validation:XValidation:rule="self.authentication.method != 'ServiceAccountJWT' || self.endpoint == 'Webhook'",message="ServiceAccountJWT needs endpoint Webhook: the ServiceAccount is the webhook's, and workloads can't have its tokens",fieldPath=".authentication.method"
// +kubebuilder:validation:XValidation:rule="self.authentication.method != 'ServiceAccountJWT' || !has(self.existingSecretName)",message="with ServiceAccountJWT there is no Secret to bring: leave out existingSecretName, or choose another method",fieldPath=".authentication.method"
// +kubebuilder:validation:XValidation:rule="!has(self.existingSecretName) || !has(self.clientID)",message="existingSecretName brings the client id too: leave out clientID",fieldPath=".clientID"
// +kubebuilder:validation:XValidation:rule="!has(self.existingSecretName) || !has(self.rotation) || self.endpoint == 'Webhook'",message="with existingSecretName and endpoint Server the only credential is the one that you bring: leave out rotation, and change that Secret",fieldPath=".rotation"
// +kubebuilder:validation:XValidation:rule="!has(self.existingSecretName) || !has(self.scopes)",message="with existingSecretName nothing is registered: leave out scopes, and set them at the server",fieldPath=".scopes"
// +kubebuilder:validation:XValidation:rule="!has(self.existingSecretName) || !has(self.audience.tokenClients)",message="with existingSecretName nothing is mapped: leave out audience.tokenClients, and map the audience at the server",fieldPath=".audience.tokenClients"
// +kubebuilder:validation:XValidation:rule="!has(self.secret.formats) || self.endpoint != 'Server' || self.authentication.method != 'PrivateKeyJWT' || self.secret.formats.all(f, f == 'Env')",message="formats Spring, DotNet and Quarkus need a client secret, and with endpoint Server and method PrivateKeyJWT there is none: leave them out, or choose method ClientSecret",fieldPath=".secret.formats"
// +kubebuilder:validation:XValidation:rule="!has(self.secret.formats) || !('Quarkus' in self.secret.formats) || !has(self.clientID) || !self.clientID.contains(':')",message="Quarkus can't sign in with a client id that has a colon (it does not encode it): leave Quarkus out of secret.formats, or choose another clientID in a new object",fieldPath=".secret.formats"
type IntrospectionClientSpec struct {
	// authorizationServerRef names the ClusterAuthorizationServer. Immutable.
	// +required
	AuthorizationServerRef ServerReference `json:"authorizationServerRef,omitzero"`

	// clientID at the server, at most 100 characters; default made by the
	// server's clientIDTemplate. It starts with a prefix that the server grants
	// this namespace. At an oauth server, which chooses ids itself, and with
	// existingSecretName it is left out. Immutable.
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

	// scopes whose tokens this API may look into, at most 32 of at most 100
	// characters, of those that the server's access.scopes lists. A Duende
	// IdentityServer answers only about tokens that have one of them; an oauth
	// server gets them as the client's scope (RFC 7591). Refused at Keycloak,
	// which goes by the audience. Not with existingSecretName.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[\x21\x23-\x5b\x5d-\x7e]+$')`,message="a scope must be printable ASCII without spaces, quotes and backslashes: list each scope by itself"
	Scopes []string `json:"scopes,omitempty"`

	// audience says how tokens come to name this API in `aud`.
	// +optional
	// +default={}
	Audience ClientAudience `json:"audience,omitzero"`

	// authentication is how the client proves itself at the server.
	// +optional
	// +default={}
	Authentication ClientAuthentication `json:"authentication,omitzero"`

	// existingSecretName names a Secret of this namespace that holds the
	// client's credential; at most 253 characters. It has the keys client_id and
	// client_secret, or client_id, private_key.pem and key_id where the method
	// is PrivateKeyJWT. Only, and always, at servers with registration Manual.
	// It is not the Secret that workloads mount.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="existingSecretName must be the name of a Secret: lower-case letters, digits, hyphens and dots"
	ExistingSecretName string `json:"existingSecretName,omitempty"`

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

	// rotation says when credentials are replaced: with endpoint Webhook the one
	// that workloads show there and the registered one, with Server the
	// registered one. Default: on demand, with an overlap of 24h.
	// +optional
	Rotation *ClientRotation `json:"rotation,omitempty"`
	// adoptionPolicy says whether a registration that exists under the client id
	// may be taken over: Never, or Unowned, which takes one that nobody owns
	// and that can obtain no token, where the server's access.adoption allows
	// it. Deletion gives it back as it was.
	// +optional
	// +default="Never"
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// deletionPolicy says what becomes of the registration when the object is
	// deleted: Delete, or Retain, which keeps it and the Secret where the
	// server's access.retain allows it.
	// +optional
	// +default="Delete"
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// management says how much the operator does. Full: everything. Observe: it
	// looks and tells what differs, and makes, repairs and rotates nothing.
	// Suspended: it does not even look. Whatever it says, a namespace that loses
	// access loses the use of its registration, and deletion is carried out as
	// deletionPolicy says.
	// +optional
	// +default="Full"
	Management Management `json:"management,omitempty"`
}

// Management is how much the operator does for a client.
// +kubebuilder:validation:Enum=Full;Observe;Suspended
type Management string

const (
	// ManagementFull keeps everything as declared.
	ManagementFull Management = "Full"
	// ManagementObserve tells what differs, and changes nothing.
	ManagementObserve Management = "Observe"
	// ManagementSuspended does not look.
	ManagementSuspended Management = "Suspended"
)

// ClientAudience says how tokens come to name an API in `aud`.
// +kubebuilder:validation:XValidation:rule="self.mode != 'Unmanaged' || !has(self.tokenClients)",message="mode Unmanaged touches no token client: leave out tokenClients, or choose another mode",fieldPath=".tokenClients"
// +kubebuilder:validation:MinProperties=0
type ClientAudience struct {
	// mode is Default: every new token of the token clients (at Duende: every
	// new token that has one of spec.scopes) names this API; OnRequest: only
	// those that were asked for with scope=<status.audienceScope>, or
	// resource=<status.audienceResource>; Unmanaged: nothing is touched.
	// +optional
	// +default="Default"
	Mode AudienceMode `json:"mode,omitempty"`

	// tokenClients are the clients whose tokens shall name this API, by client
	// id: 1 to 16 of at most 100 characters; default, and at most, those of the
	// server. At Keycloak only. Not with mode Unmanaged.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[^[:space:][:cntrl:]]+$')",message="a token client is named by its client id, without spaces"
	TokenClients []string `json:"tokenClients,omitempty"`
}

// ClientAuthentication is how a client proves itself at the server.
// +kubebuilder:validation:MinProperties=0
type ClientAuthentication struct {
	// method is ClientSecret: a shared secret (RFC 6749 section 2.3.1);
	// PrivateKeyJWT: an assertion signed by a key of the client's own (RFC 7523
	// section 2.2); or ServiceAccountJWT: the token of a Kubernetes
	// ServiceAccount that the operator makes for this client, where no secret is
	// kept anywhere. What a server can do is in its
	// status.capabilities.authenticationMethods. ServiceAccountJWT needs
	// endpoint Webhook.
	// +optional
	// +default="ClientSecret"
	Method AuthenticationMethod `json:"method,omitempty"`
}

// AuthenticationMethod is how a client proves itself.
// +kubebuilder:validation:Enum=ClientSecret;PrivateKeyJWT;ServiceAccountJWT
type AuthenticationMethod string

const (
	// MethodClientSecret is a shared secret.
	MethodClientSecret AuthenticationMethod = "ClientSecret"
	// MethodPrivateKeyJWT is an assertion signed by the client's key.
	MethodPrivateKeyJWT AuthenticationMethod = "PrivateKeyJWT"
	// MethodServiceAccountJWT is a ServiceAccount's token as the assertion.
	MethodServiceAccountJWT AuthenticationMethod = "ServiceAccountJWT"
)

// AudienceMode is how an audience is mapped.
// +kubebuilder:validation:Enum=Default;OnRequest;Unmanaged
type AudienceMode string

const (
	// AudienceDefault maps the audience onto every new token of the token
	// clients.
	AudienceDefault AudienceMode = "Default"
	// AudienceOnRequest maps it onto the tokens that ask for it.
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

// AdoptionPolicy is whether a registration that exists may be taken over.
// +kubebuilder:validation:Enum=Never;Unowned
type AdoptionPolicy string

const (
	// AdoptionNever leaves it alone.
	AdoptionNever AdoptionPolicy = "Never"
	// AdoptionUnowned takes over one that nobody owns.
	AdoptionUnowned AdoptionPolicy = "Unowned"
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
