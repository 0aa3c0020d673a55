// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ClientSecret shapes the Secret that workloads mount.
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.formats) || !('Env' in self.formats) || [has(self.keys.clientID) ? self.keys.clientID : 'client_id', has(self.keys.clientSecret) ? self.keys.clientSecret : 'client_secret', has(self.keys.issuer) ? self.keys.issuer : 'issuer', has(self.keys.introspectionEndpoint) ? self.keys.introspectionEndpoint : 'introspection_endpoint', has(self.keys.caCertificate) ? self.keys.caCertificate : 'ca.crt', has(self.keys.privateKey) ? self.keys.privateKey : 'private_key.pem', has(self.keys.keyID) ? self.keys.keyID : 'key_id'].all(k, !(k in ['CLIENT_ID', 'CLIENT_SECRET', 'PRIVATE_KEY_PEM', 'KEY_ID', 'ISSUER', 'INTROSPECTION_ENDPOINT', 'TOKEN_ENDPOINT', 'AUTHORIZE_URL', 'JWKS_URI']))",message="a key has the name of one that format Env adds: leave it out of keys, or Env out of formats",fieldPath=".keys"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.formats) || !('Spring' in self.formats) || [has(self.keys.clientID) ? self.keys.clientID : 'client_id', has(self.keys.clientSecret) ? self.keys.clientSecret : 'client_secret', has(self.keys.issuer) ? self.keys.issuer : 'issuer', has(self.keys.introspectionEndpoint) ? self.keys.introspectionEndpoint : 'introspection_endpoint', has(self.keys.caCertificate) ? self.keys.caCertificate : 'ca.crt', has(self.keys.privateKey) ? self.keys.privateKey : 'private_key.pem', has(self.keys.keyID) ? self.keys.keyID : 'key_id'].all(k, !k.startsWith('spring.security.oauth2.resourceserver.opaquetoken.'))",message="names that begin with spring.security.oauth2.resourceserver.opaquetoken. are those of format Spring: choose another name, or leave Spring out of formats",fieldPath=".keys"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.formats) || !('DotNet' in self.formats) || [has(self.keys.clientID) ? self.keys.clientID : 'client_id', has(self.keys.clientSecret) ? self.keys.clientSecret : 'client_secret', has(self.keys.issuer) ? self.keys.issuer : 'issuer', has(self.keys.introspectionEndpoint) ? self.keys.introspectionEndpoint : 'introspection_endpoint', has(self.keys.caCertificate) ? self.keys.caCertificate : 'ca.crt', has(self.keys.privateKey) ? self.keys.privateKey : 'private_key.pem', has(self.keys.keyID) ? self.keys.keyID : 'key_id'].all(k, !k.startsWith('OAuth2Introspection__'))",message="names that begin with OAuth2Introspection__ are those of format DotNet: choose another name, or leave DotNet out of formats",fieldPath=".keys"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.formats) || !('Quarkus' in self.formats) || [has(self.keys.clientID) ? self.keys.clientID : 'client_id', has(self.keys.clientSecret) ? self.keys.clientSecret : 'client_secret', has(self.keys.issuer) ? self.keys.issuer : 'issuer', has(self.keys.introspectionEndpoint) ? self.keys.introspectionEndpoint : 'introspection_endpoint', has(self.keys.caCertificate) ? self.keys.caCertificate : 'ca.crt', has(self.keys.privateKey) ? self.keys.privateKey : 'private_key.pem', has(self.keys.keyID) ? self.keys.keyID : 'key_id'].all(k, !k.startsWith('QUARKUS_OIDC_'))",message="names that begin with QUARKUS_OIDC_ are those of format Quarkus: choose another name, or leave Quarkus out of formats",fieldPath=".keys"
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

	// formats add keys that a framework reads without a line of code, beside the
	// standard ones; at most 4, each once. Env: the members in upper case, as
	// environment variables; Spring: Spring Boot's properties, as files for its
	// configtree; DotNet: the options of Duende's OAuth2Introspection, as
	// variables or files; Quarkus: variables of quarkus-oidc. All but Env need a
	// client secret.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Formats []SecretFormat `json:"formats,omitempty"`
}

// SecretFormat is a framework's own names for what the Secret holds.
// +kubebuilder:validation:Enum=Env;Spring;DotNet;Quarkus
type SecretFormat string

const (
	// FormatEnv are environment variables: CLIENT_ID, CLIENT_SECRET and so on.
	FormatEnv SecretFormat = "Env"
	// FormatSpring are Spring Boot's spring.security.oauth2.resourceserver.opaquetoken.*.
	FormatSpring SecretFormat = "Spring"
	// FormatDotNet are OAuth2Introspection__* of .NET's configuration.
	FormatDotNet SecretFormat = "DotNet"
	// FormatQuarkus are QUARKUS_OIDC_* of Quarkus.
	FormatQuarkus SecretFormat = "Quarkus"
)

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
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt', has(self.privateKey) ? self.privateKey : 'private_key.pem', has(self.keyID) ? self.keyID : 'key_id'].all(k, k != 'type' && k != 'provider' && k != 'token_endpoint' && k != 'jwks_uri' && k != 'authorize_url')",message="type, provider, token_endpoint, jwks_uri and authorize_url are keys of the Secret already: choose another name"
// +kubebuilder:validation:XValidation:rule="[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt', has(self.privateKey) ? self.privateKey : 'private_key.pem', has(self.keyID) ? self.keyID : 'key_id'].all(k, [has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuer) ? self.issuer : 'issuer', has(self.introspectionEndpoint) ? self.introspectionEndpoint : 'introspection_endpoint', has(self.caCertificate) ? self.caCertificate : 'ca.crt', has(self.privateKey) ? self.privateKey : 'private_key.pem', has(self.keyID) ? self.keyID : 'key_id'].exists_one(o, o == k))",message="two keys of the Secret have the same name: give each its own"
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
	// privateKey is the key of the private key (PEM, PKCS #8), at most 253
	// characters; default private_key.pem. It is there with endpoint Server and
	// method PrivateKeyJWT, in place of the secret.
	// +optional
	PrivateKey SecretKey `json:"privateKey,omitempty"`
	// keyID is the key of the private key's id (`kid`), at most 253 characters;
	// default key_id. It is there where privateKey is.
	// +optional
	KeyID SecretKey `json:"keyID,omitempty"`
}

// SecretKey is a key of a Secret, at most 253 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="a key of a Secret must be letters, digits and - _ . only"
type SecretKey string
