// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterAuthorizationServer is an OAuth 2.0 authorization server that
// IntrospectionClients are registered with. The platform team declares it,
// and says which namespaces may use it and for what. Without spec.access
// nobody may.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=casrv,categories=introspection
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.status.capabilities.provider`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ClusterAuthorizationServer struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the platform team declares.
	// +required
	Spec ClusterAuthorizationServerSpec `json:"spec,omitzero"`

	// status is what the operator found.
	// +optional
	// +default={"observedGeneration":-1}
	Status ClusterAuthorizationServerStatus `json:"status,omitzero"`
}

// ClusterAuthorizationServerList is a list of ClusterAuthorizationServers.
// +kubebuilder:object:root=true
type ClusterAuthorizationServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterAuthorizationServer `json:"items"`
}

// ClusterAuthorizationServerSpec declares one authorization server.
// +kubebuilder:validation:XValidation:rule="self.issuer == oldSelf.issuer",message="issuer is immutable, since clients are registered with it: create another ClusterAuthorizationServer",fieldPath=".issuer"
// +kubebuilder:validation:XValidation:rule="self.registration == oldSelf.registration",message="registration is immutable, since it says whose the clients' credentials are: create another ClusterAuthorizationServer",fieldPath=".registration"
// +kubebuilder:validation:XValidation:rule="[has(self.keycloak), has(self.duende), has(self.oauth)].exists_one(d, d)",message="say what kind of server it is: exactly one of keycloak, duende and oauth"
// +kubebuilder:validation:XValidation:rule="has(self.keycloak) == has(oldSelf.keycloak) && has(self.duende) == has(oldSelf.duende) && has(self.oauth) == has(oldSelf.oauth)",message="the kind of server (keycloak, duende or oauth) is immutable, since clients are registered in its way: create another ClusterAuthorizationServer"
// +kubebuilder:validation:XValidation:rule="self.registration == 'Manual' || has(self.oauth) || has(self.credentials)",message="set credentials: the operator must sign in to register clients, except at an oauth server with open registration",fieldPath=".credentials"
// +kubebuilder:validation:XValidation:rule="self.registration != 'Manual' || !has(self.credentials)",message="with registration Manual nothing is registered: leave out credentials",fieldPath=".credentials"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || !has(self.credentials.serviceAccountToken) || has(self.keycloak)",message="serviceAccountToken is for keycloak: use clientCredentials",fieldPath=".credentials.serviceAccountToken"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || !has(self.credentials.serviceAccountToken) || !has(self.keycloak) || has(self.keycloak.serviceAccountIssuer)",message="serviceAccountToken needs keycloak.serviceAccountIssuer: the alias of the realm's identity provider that trusts this cluster's ServiceAccount tokens",fieldPath=".keycloak.serviceAccountIssuer"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || !has(self.credentials.initialAccessToken) || has(self.oauth)",message="initialAccessToken is for oauth (RFC 7591): use clientCredentials",fieldPath=".credentials.initialAccessToken"
// +kubebuilder:validation:XValidation:rule="!has(self.keycloak) || self.issuer.matches('/realms/[^/]+$')",message="the issuer of a Keycloak realm must end in /realms/<realm>, without a slash after it",fieldPath=".issuer"
// +kubebuilder:validation:XValidation:rule="!has(self.keycloak) || has(self.keycloak.adminURL) || !has(self.connection.url) || self.connection.url.matches('/realms/[^/]+$')",message="the url of a Keycloak realm must end in /realms/<realm>, as the issuer does; if it can't, set keycloak.adminURL too",fieldPath=".connection.url"
// +kubebuilder:validation:XValidation:rule="!has(self.canary) || !has(self.credentials) || !has(self.credentials.clientCredentials) || self.canary.secretName != self.credentials.clientCredentials.secretName",message="canary must be a client of its own, which may do nothing but get tokens: name another Secret than credentials.clientCredentials does",fieldPath=".canary.secretName"
type ClusterAuthorizationServerSpec struct {
	// issuer is the exact value of `iss` in the server's tokens and of `issuer`
	// in its metadata (RFC 8414), compared byte for byte; at most 512
	// characters. https, or http on a loopback address where the operator's flag
	// --allow-insecure-loopback permits it. Immutable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost|[[]::1[]])(:[0-9]+)?)(/[^?#]*)?$')",message="issuer must be an https URL without user, query or fragment"
	Issuer string `json:"issuer,omitempty"`

	// connection says where and how to call the server.
	// +optional
	// +default={}
	Connection ServerConnection `json:"connection,omitzero"`

	// accessTokens says what the server's JWTs look like, for policies that
	// verify them.
	// +optional
	// +default={}
	AccessTokens AccessTokenForm `json:"accessTokens,omitzero"`

	// registration is Managed: the operator registers clients; or Manual:
	// nothing is registered, and clients bring their credentials in
	// spec.existingSecretName. Immutable.
	// +optional
	// +default="Managed"
	Registration RegistrationMode `json:"registration,omitempty"`

	// credentials are how the operator signs in to register clients. Required
	// with registration Managed, except at an oauth server where anybody may
	// register; forbidden with Manual.
	// +optional
	Credentials *ServerCredentials `json:"credentials,omitempty"`

	// clientIDTemplate makes the client id of an IntrospectionClient that states
	// none; at most 64 characters. {namespace} and {name} are replaced; after
	// {namespace} stands a character that no namespace has (`.`, `_`, `:`, `/`),
	// so that no namespace can make another's id. Two clusters on one realm:
	// "eu-1.{namespace}.{name}".
	// +optional
	// +default="{namespace}.{name}"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9][A-Za-z0-9._:/-]*)?[{]namespace[}][._:/][A-Za-z0-9._:/-]*[{]name[}][A-Za-z0-9._:/-]*$')",message="clientIDTemplate must hold {namespace}, one of . _ : / right after it, and then {name}; besides them letters, digits and . _ : / -"
	ClientIDTemplate string `json:"clientIDTemplate,omitempty"`

	// keycloak says that the server is a Keycloak realm. The realm and the
	// address of its admin API follow from the issuer. Exactly one of keycloak,
	// duende and oauth is set, with registration Manual too; which one is
	// immutable.
	// +optional
	Keycloak *KeycloakServer `json:"keycloak,omitempty"`

	// duende says that the server is a Duende IdentityServer that hosts our
	// registration endpoints.
	// +optional
	Duende *DuendeServer `json:"duende,omitempty"`

	// oauth says that the server registers clients by RFC 7591, and lets them be
	// managed by RFC 7592 if it can.
	// +optional
	OAuth *OAuthServer `json:"oauth,omitempty"`

	// canary is a client of its own at the server that can get tokens by the
	// client credentials grant: its Secret holds client_id and client_secret, or
	// client_id, private_key.pem and key_id. With it a client is Verified when a
	// live token was called active, and how long a revocation takes is measured.
	// +optional
	Canary *SecretReference `json:"canary,omitempty"`

	// access says who may use this server, and for what. Without it nobody may.
	// +optional
	Access *ServerAccess `json:"access,omitempty"`
}

// RegistrationMode says who registers clients.
// +kubebuilder:validation:Enum=Managed;Manual
type RegistrationMode string

const (
	// RegistrationManaged means: the operator does.
	RegistrationManaged RegistrationMode = "Managed"
	// RegistrationManual means: somebody else does, and brings credentials.
	RegistrationManual RegistrationMode = "Manual"
)
