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
// +kubebuilder:validation:XValidation:rule="!has(self.keycloak) || self.issuer.matches('/realms/[^/]+$')",message="the issuer of a Keycloak realm must end in /realms/<realm>, without a slash after it",fieldPath=".issuer"
// +kubebuilder:validation:XValidation:rule="!has(self.keycloak) || has(self.keycloak.adminURL) || !has(self.connection.url) || self.connection.url.matches('/realms/[^/]+$')",message="the url of a Keycloak realm must end in /realms/<realm>, as the issuer does; if it can't, set keycloak.adminURL too",fieldPath=".connection.url"
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

	// credentials are how the operator signs in to register clients.
	// +required
	Credentials ServerCredentials `json:"credentials,omitzero"`

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
	// address of its admin API follow from the issuer.
	// +required
	Keycloak *KeycloakServer `json:"keycloak,omitempty"`

	// access says who may use this server, and for what. Without it nobody may.
	// +optional
	Access *ServerAccess `json:"access,omitempty"`
}

// ServerConnection says where and how to call an authorization server.
// +kubebuilder:validation:MinProperties=0
type ServerConnection struct {
	// url is where the server is called, for example its Service in this
	// cluster; the issuer if unset; at most 512 characters. Endpoints that the
	// server's metadata puts under the issuer are rebased on it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost|[[]::1[]])(:[0-9]+)?)(/[^?#]*)?$')",message="url must be an https URL without user, query or fragment"
	URL string `json:"url,omitempty"`

	// hostHeader is what calls carry as Host: Connection, the host of the url;
	// or Issuer, the issuer's, for servers that derive `iss` from the request
	// (Keycloak without a hostname).
	// +optional
	// +default="Connection"
	HostHeader HostHeader `json:"hostHeader,omitempty"`

	// caBundle names the PEM certificates that the server's certificate is
	// verified with; the system's if unset.
	// +optional
	CABundle *CABundleReference `json:"caBundle,omitempty"`

	// timeout of one call, 100ms to 30s.
	// +optional
	// +default="2s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('30s')",message="timeout must be a duration such as 2s, from 100ms to 30s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// limits bound the calls of the controller to this server's registration
	// endpoints.
	// +optional
	// +default={}
	Limits ServerLimits `json:"limits,omitzero"`
}

// HostHeader says which host a call carries.
// +kubebuilder:validation:Enum=Connection;Issuer
type HostHeader string

const (
	// HostHeaderConnection sends the host of the connection's URL.
	HostHeaderConnection HostHeader = "Connection"
	// HostHeaderIssuer sends the issuer's host.
	HostHeaderIssuer HostHeader = "Issuer"
)

// CABundleReference names a key of a ConfigMap or Secret in the operator's
// namespace.
type CABundleReference struct {
	// kind is ConfigMap or Secret.
	// +optional
	// +default="ConfigMap"
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind,omitempty"`

	// name of the ConfigMap or Secret, in the operator's namespace
	// (introspection-system); at most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a ConfigMap or Secret: lower-case letters, digits, hyphens and dots"
	Name string `json:"name,omitempty"`

	// key that holds the PEM certificates, at most 256 KiB of them; at most 253
	// characters.
	// +optional
	// +default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="key must be a key of a ConfigMap or Secret: letters, digits and - _ . only"
	Key string `json:"key,omitempty"`
}

// ServerLimits bound the controller's calls to one server.
// +kubebuilder:validation:MinProperties=0
type ServerLimits struct {
	// requestsPerSecond is the mean rate, 1 to 10000.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`

	// burst is how many calls may go at once above the mean rate, 1 to 10000.
	// +optional
	// +default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Burst int32 `json:"burst,omitempty"`

	// maxInFlight is how many calls may wait for an answer at once, 1 to 1000.
	// +optional
	// +default=32
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxInFlight int32 `json:"maxInFlight,omitempty"`
}

// ServerCredentials are how the operator signs in.
type ServerCredentials struct {
	// clientCredentials signs in with the OAuth 2.0 client credentials grant
	// (RFC 6749 section 4.4). The Secret, in the operator's namespace, has the
	// keys client_id and client_secret.
	// +required
	ClientCredentials *SecretReference `json:"clientCredentials,omitempty"` //nolint:kubeapilinter // a pointer, since it is one of several: the others come later
}

// KeycloakServer is what is particular to a Keycloak realm.
// +kubebuilder:validation:MinProperties=0
type KeycloakServer struct {
	// tokenClients are the clients of the realm whose tokens shall be good at
	// our APIs, by client id: the default of an IntrospectionClient's
	// spec.audience.tokenClients, and the list beyond which nothing is mapped.
	// At most 16 of at most 100 characters. Keycloak answers an introspecting
	// client `active:false` unless the token names that client in `aud`; each
	// mapped API makes every token of these clients longer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[^[:space:][:cntrl:]]+$')",message="a token client is named by its client id, without spaces"
	TokenClients []string `json:"tokenClients,omitempty"`

	// adminURL is the base of the admin API, up to and without /admin; default
	// what stands before /realms/ in the connection's url. At most 512
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost|[[]::1[]])(:[0-9]+)?)(/[^?#]*)?$')",message="adminURL must be an https URL without user, query or fragment"
	AdminURL string `json:"adminURL,omitempty"`
}

// ServerAccess says which namespaces may use a server, and for what.
type ServerAccess struct {
	// namespaceSelector selects the namespaces by their labels. An empty
	// selector selects all.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist'])",message="operator must be In, NotIn, Exists or DoesNotExist"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : !has(e.values) || size(e.values) == 0)",message="operators In and NotIn need values; Exists and DoesNotExist must have none"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// clientIDPrefixes are what a client id must start with, 1 to 16 of at most
	// 100 characters; {namespace} is replaced. Each ends in a character that no
	// namespace has (`.`, `_`, `:`, `/`), and one stands right after
	// {namespace}. Default: clientIDTemplate up to {name}.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([A-Za-z0-9._:/-]|[{]namespace[}][._:/])*$') && self.matches('[._:/]$')",message="a prefix must end in one of . _ : /, and one of them must stand right after {namespace}: else one namespace could claim another's ids"
	ClientIDPrefixes []string `json:"clientIDPrefixes,omitempty"`

	// audience bounds what may be mapped onto the token clients.
	// +optional
	// +default={}
	Audience AudienceAccess `json:"audience,omitzero"`

	// retain says whether spec.deletionPolicy Retain is allowed: a registration
	// that outlives its object.
	// +optional
	// +default="Denied"
	Retain Permission `json:"retain,omitempty"`
}

// AudienceAccess bounds audience mapping.
// +kubebuilder:validation:MinProperties=0
type AudienceAccess struct {
	// modes that an IntrospectionClient may use. Unmanaged is always allowed;
	// [Unmanaged] allows no other.
	// +optional
	// +listType=set
	// +default=["Default","OnRequest"]
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Modes []AudienceMode `json:"modes,omitempty"`

	// maxPerTokenClient is how many APIs may be mapped as Default onto one token
	// client, 1 to 1000: each makes every token of that client longer, and good
	// for one more API.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxPerTokenClient int32 `json:"maxPerTokenClient,omitempty"`
}

// Permission is Denied or Allowed.
// +kubebuilder:validation:Enum=Denied;Allowed
type Permission string

const (
	// Denied is the default.
	Denied Permission = "Denied"
	// Allowed permits it.
	Allowed Permission = "Allowed"
)
