// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ServerCredentials are how the operator signs in: exactly one way.
// +kubebuilder:validation:XValidation:rule="[has(self.clientCredentials), has(self.serviceAccountToken), has(self.initialAccessToken)].exists_one(c, c)",message="set exactly one of clientCredentials, serviceAccountToken and initialAccessToken"
// +kubebuilder:validation:MinProperties=0
type ServerCredentials struct {
	// clientCredentials signs in with the OAuth 2.0 client credentials grant
	// (RFC 6749 section 4.4). The Secret, in the operator's namespace, has the
	// keys client_id and client_secret; or client_id, private_key.pem (P-256)
	// and key_id, to sign an assertion instead (RFC 7523).
	// +optional
	ClientCredentials *SecretReference `json:"clientCredentials,omitempty"`

	// serviceAccountToken is Enabled: the operator's own ServiceAccount is its
	// client, and no secret is kept anywhere. Only with keycloak, and it needs
	// keycloak.serviceAccountIssuer.
	// +optional
	ServiceAccountToken ServiceAccountToken `json:"serviceAccountToken,omitempty"`

	// initialAccessToken opens the registration endpoint (RFC 7591 section
	// 3.1). The Secret, in the operator's namespace, has the key token. Only
	// with oauth.
	// +optional
	InitialAccessToken *SecretReference `json:"initialAccessToken,omitempty"`
}

// ServiceAccountToken says whether a ServiceAccount's token signs in.
// +kubebuilder:validation:Enum=Enabled
type ServiceAccountToken string

// ServiceAccountTokenEnabled signs in with the operator's ServiceAccount.
const ServiceAccountTokenEnabled ServiceAccountToken = "Enabled"

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

	// serviceAccountIssuer is the alias of the realm's identity provider (of
	// type Kubernetes) that trusts this cluster's ServiceAccount tokens; at most
	// 255 characters. credentials.serviceAccountToken needs it, and so do
	// clients with authentication.method ServiceAccountJWT.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^[:space:][:cntrl:]/?#%]+$')",message="serviceAccountIssuer must be the alias of an identity provider, without spaces and / ? # %"
	ServiceAccountIssuer string `json:"serviceAccountIssuer,omitempty"`
}

// DuendeServer is what is particular to a Duende IdentityServer.
// +kubebuilder:validation:MinProperties=0
type DuendeServer struct {
	// url is the base of the registration endpoints; default
	// /connect/introspection-resources below the connection's url. At most 512
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost|[[]::1[]])(:[0-9]+)?)(/[^?#]*)?$')",message="url must be an https URL without user, query or fragment"
	URL string `json:"url,omitempty"`
}

// OAuthServer is what is particular to a server that speaks RFC 7591.
// +kubebuilder:validation:MinProperties=0
type OAuthServer struct {
	// registrationEndpoint is where clients are registered (RFC 7591); default
	// registration_endpoint of the server's metadata. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getHostname() != '' && self.matches('^(https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost|[[]::1[]])(:[0-9]+)?)(/[^?#]*)?$')",message="registrationEndpoint must be an https URL without user, query or fragment"
	RegistrationEndpoint string `json:"registrationEndpoint,omitempty"`
}
