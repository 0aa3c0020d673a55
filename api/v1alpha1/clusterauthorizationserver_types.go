// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterAuthorizationServer is an OAuth 2.0 authorization server that
// IntrospectionClients are registered with. The platform team declares it, and
// says which namespaces may use it and for what. Without spec.access nobody may.
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
	Spec ClusterAuthorizationServerSpec `json:"spec"`

	// status is what the operator found.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ClusterAuthorizationServerStatus `json:"status,omitempty"`
}

// ClusterAuthorizationServerList is a list of ClusterAuthorizationServers.
// +kubebuilder:object:root=true
type ClusterAuthorizationServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterAuthorizationServer `json:"items"`
}

// ClusterAuthorizationServerSpec declares one authorization server.
// +kubebuilder:validation:XValidation:rule="self.issuer == oldSelf.issuer",message="issuer is immutable: clients are registered with it; create another ClusterAuthorizationServer"
// +kubebuilder:validation:XValidation:rule="!has(self.keycloak) || self.issuer.matches('/realms/[^/]+$')",message="the issuer of a Keycloak realm ends in /realms/<realm>, without a slash after it"
type ClusterAuthorizationServerSpec struct {
	// issuer is the exact value of `iss` in the server's tokens and of `issuer` in its
	// metadata (RFC 8414), compared byte for byte. https, or http on a loopback address
	// where the operator's flag --allow-insecure-loopback permits it. Immutable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https://[^/?#@\\\\s]+|http://(127\\\\.0\\\\.0\\\\.1|localhost|\\\\[::1\\\\])(:[0-9]+)?)(/[^?#\\\\s]*)?$')",message="issuer must be an https URL without user, query or fragment"
	Issuer string `json:"issuer"`

	// connection says where and how to call the server.
	// +optional
	// +kubebuilder:default={}
	Connection ServerConnection `json:"connection,omitempty"`

	// credentials are how the operator signs in to register clients.
	// +required
	Credentials ServerCredentials `json:"credentials"`

	// clientIDTemplate makes the client id of an IntrospectionClient that states none.
	// {namespace} and {name} are replaced; between them stands at least one character that
	// no namespace has (`.`, `_`, `:`, `/`), so that no namespace can make another's id.
	// Two clusters on one realm: "eu-1.{namespace}.{name}".
	// +optional
	// +kubebuilder:default="{namespace}.{name}"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._:/-]*[{]namespace[}][._:/][A-Za-z0-9._:/-]*[{]name[}][A-Za-z0-9._:/-]*$')",message="clientIDTemplate must hold {namespace}, then one of . _ : /, then {name}"
	ClientIDTemplate string `json:"clientIDTemplate,omitempty"`

	// keycloak says that the server is a Keycloak realm. The realm and the address of its
	// admin API follow from the issuer.
	// +required
	Keycloak *KeycloakServer `json:"keycloak,omitempty"`

	// access says who may use this server, and for what. Without it nobody may.
	// +optional
	Access *ServerAccess `json:"access,omitempty"`
}

// ServerConnection says where and how to call an authorization server.
type ServerConnection struct {
	// url is where the server is called, for example its Service in this cluster; the
	// issuer if unset. Endpoints that the server's metadata puts under the issuer are
	// rebased on it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https://[^/?#@\\\\s]+|http://(127\\\\.0\\\\.0\\\\.1|localhost|\\\\[::1\\\\])(:[0-9]+)?)(/[^?#\\\\s]*)?$')",message="url must be an https URL without user, query or fragment"
	URL string `json:"url,omitempty"`

	// hostHeader is what calls carry as Host: Connection, the host of the url; or Issuer, the
	// issuer's, for servers that derive `iss` from the request (Keycloak without a hostname).
	// +optional
	// +kubebuilder:default=Connection
	HostHeader HostHeader `json:"hostHeader,omitempty"`

	// caBundle names the PEM certificates that the server's certificate is verified with;
	// the system's if unset.
	// +optional
	CABundle *CABundleReference `json:"caBundle,omitempty"`

	// timeout of one call, at most 30s.
	// +optional
	// +kubebuilder:default="2s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('30s')",message="timeout must be between 100ms and 30s"
	Timeout metav1.Duration `json:"timeout,omitempty"`

	// limits bound the calls of the controller to this server's registration endpoints.
	// +optional
	// +kubebuilder:default={}
	Limits ServerLimits `json:"limits,omitempty"`
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

// CABundleReference names a key of a ConfigMap or Secret in the operator's namespace.
type CABundleReference struct {
	// kind is ConfigMap or Secret.
	// +optional
	// +kubebuilder:default=ConfigMap
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind,omitempty"`

	// name of the ConfigMap or Secret, in the operator's namespace (introspection-system).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key that holds the PEM certificates, at most 256 KiB.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// ServerLimits bound the controller's calls to one server.
type ServerLimits struct {
	// requestsPerSecond is the mean rate, 1 to 10000.
	// +optional
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`

	// burst is how many calls may go at once above the mean rate, 1 to 10000.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Burst int32 `json:"burst,omitempty"`

	// maxInFlight is how many calls may wait for an answer at once, 1 to 1000.
	// +optional
	// +kubebuilder:default=32
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxInFlight int32 `json:"maxInFlight,omitempty"`
}

// ServerCredentials are how the operator signs in.
type ServerCredentials struct {
	// clientCredentials signs in with the OAuth 2.0 client credentials grant (RFC 6749 section 4.4).
	// The Secret, in the operator's namespace, has the keys client_id and client_secret.
	// +required
	ClientCredentials *SecretReference `json:"clientCredentials,omitempty"`
}

// KeycloakServer is what is particular to a Keycloak realm.
type KeycloakServer struct {
	// tokenClients are the clients of the realm whose tokens shall be good at our APIs: the
	// default of an IntrospectionClient's spec.audience.tokenClients, and the list beyond which
	// nothing is mapped. Keycloak answers an introspecting client `active:false` unless the token
	// names that client in `aud`; each mapped API makes every token of these clients longer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:Pattern=`^\S+$`
	TokenClients []string `json:"tokenClients,omitempty"`

	// adminURL is the base of the admin API, up to and without /admin; default what stands before
	// /realms/ in the connection's url.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https://[^/?#@\\\\s]+|http://(127\\\\.0\\\\.0\\\\.1|localhost|\\\\[::1\\\\])(:[0-9]+)?)(/[^?#\\\\s]*)?$')",message="adminURL must be an https URL without user, query or fragment"
	AdminURL string `json:"adminURL,omitempty"`
}

// ServerAccess says which namespaces may use a server, and for what.
type ServerAccess struct {
	// namespaceSelector selects the namespaces by their labels. An empty selector selects all.
	// +required
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// clientIDPrefixes are what a client id must start with; {namespace} is replaced. Each ends in
	// a character that no namespace has (`.`, `_`, `:`, `/`). Default: clientIDTemplate up to {name}.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.all(p, p.matches('^([A-Za-z0-9._:/-]|[{]namespace[}])*[._:/]$'))",message="each prefix must end in one of . _ : / and may hold {namespace}"
	ClientIDPrefixes []string `json:"clientIDPrefixes,omitempty"`

	// audience bounds what may be mapped onto the token clients.
	// +optional
	// +kubebuilder:default={}
	Audience AudienceAccess `json:"audience,omitempty"`

	// retain says whether spec.deletionPolicy Retain is allowed: a registration that outlives its object.
	// +optional
	// +kubebuilder:default=Denied
	Retain Permission `json:"retain,omitempty"`
}

// AudienceAccess bounds audience mapping.
type AudienceAccess struct {
	// modes that an IntrospectionClient may use. Unmanaged is always allowed.
	// +optional
	// +listType=set
	// +kubebuilder:default={"Default","OnRequest"}
	// +kubebuilder:validation:MaxItems=3
	Modes []AudienceMode `json:"modes,omitempty"`

	// maxPerTokenClient is how many APIs may be mapped as Default onto one token client, 1 to 1000:
	// each makes every token of that client longer, and good for one more API.
	// +optional
	// +kubebuilder:default=50
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

// ClusterAuthorizationServerStatus is what the operator found.
type ClusterAuthorizationServerStatus struct {
	// conditions are Ready, Reachable, IssuerVerified and Authenticated; Reconciling and Stalled
	// only while they are true (kstatus).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the conditions speak of; -1 before the first look.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// endpoints that are called, rebased on spec.connection.url.
	// +optional
	Endpoints *ServerEndpoints `json:"endpoints,omitempty"`

	// capabilities that were found.
	// +optional
	Capabilities *ServerCapabilities `json:"capabilities,omitempty"`
}

// ServerEndpoints are the endpoints of an authorization server (RFC 8414 section 2).
type ServerEndpoints struct {
	// introspection is the introspection endpoint (RFC 7662).
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Introspection string `json:"introspection,omitempty"`
	// token is the token endpoint.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Token string `json:"token,omitempty"`
	// revocation is the revocation endpoint (RFC 7009).
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Revocation string `json:"revocation,omitempty"`
	// jwks is the address of the signing keys (RFC 7517).
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	JWKS string `json:"jwks,omitempty"`
	// registration is where clients are registered: the admin API of a Keycloak realm.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Registration string `json:"registration,omitempty"`
}

// ServerCapabilities are what a server was found to be able to do.
type ServerCapabilities struct {
	// provider is the dialect: keycloak.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Provider string `json:"provider,omitempty"`
	// rights of the operator's sign-in: Manage when its token says that it may manage clients,
	// Unknown when the token does not say.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Rights string `json:"rights,omitempty"`
	// introspectionAuthMethods are the ways to authenticate at the introspection endpoint (RFC 8414).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	IntrospectionAuthMethods []string `json:"introspectionAuthMethods,omitempty"`
}
