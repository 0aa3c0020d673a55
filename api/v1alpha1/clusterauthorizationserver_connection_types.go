// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// AccessTokenForm says what a server's JWTs look like.
// +kubebuilder:validation:MinProperties=0
type AccessTokenForm struct {
	// algorithms that access tokens may be signed with (RFC 7518), 1 to 10;
	// default all that are listed here. HS and none are never taken.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Algorithms []SignatureAlgorithm `json:"algorithms,omitempty"`

	// types that the header's typ may name, 1 to 8, compared without case and
	// without application/. Default at+jwt (RFC 9068), and JWT for keycloak.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9+._-]+$')",message="a type must be letters, digits and + . _ -, for example at+jwt"
	Types []string `json:"types,omitempty"`
}

// SignatureAlgorithm is an asymmetric signature (RFC 7518 section 3.1, RFC 8037).
// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
type SignatureAlgorithm string
