// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "maps"

// Servers that state every field that a Keycloak's object can't.
const (
	maximalDuende = `
apiVersion: introspection.dev/v1alpha1
kind: ClusterAuthorizationServer
metadata: {name: duende}
spec:
  issuer: https://id.example.com
  accessTokens: {}
  connection: {hostHeader: Connection, timeout: 2s, limits: {requestsPerSecond: 50, burst: 100, maxInFlight: 32}}
  registration: Managed
  credentials: {clientCredentials: {secretName: duende-operator}}
  canary: {secretName: duende-canary}
  clientIDTemplate: "{namespace}.{name}"
  duende: {url: "https://id.example.com/introspection"}
`
	maximalOAuth = `
apiVersion: introspection.dev/v1alpha1
kind: ClusterAuthorizationServer
metadata: {name: oauth}
spec:
  issuer: https://as.example.com
  accessTokens: {}
  connection: {hostHeader: Connection, timeout: 2s, limits: {requestsPerSecond: 50, burst: 100, maxInFlight: 32}}
  registration: Managed
  credentials: {initialAccessToken: {secretName: as-registration}}
  clientIDTemplate: "{namespace}.{name}"
  oauth: {registrationEndpoint: "https://as.example.com/register"}
`
	maximalSecretless = `
apiVersion: introspection.dev/v1alpha1
kind: ClusterAuthorizationServer
metadata: {name: secretless}
spec:
  issuer: https://sso.example.com/realms/acme
  accessTokens: {}
  connection: {hostHeader: Connection, timeout: 2s, limits: {requestsPerSecond: 50, burst: 100, maxInFlight: 32}}
  registration: Managed
  credentials: {serviceAccountToken: Enabled}
  clientIDTemplate: "{namespace}.{name}"
  keycloak: {serviceAccountIssuer: kubernetes}
`
)

// The dialects beside the minimal object's keycloak, by edits.
func duende(more edits) edits {
	return with(edits{"spec.keycloak": absent{}, "spec.duende": map[string]any{}}, more)
}

func oauth(more edits) edits {
	return with(edits{"spec.keycloak": absent{}, "spec.oauth": map[string]any{}}, more)
}

// with is one edit after another.
func with(first, more edits) edits {
	maps.Copy(first, more)
	return first
}

// dialectRefusals are about the kind of server, and how the operator signs in there.
func dialectRefusals() map[string]row {
	const (
		scopes  = "spec.access.scopes"
		token   = "spec.credentials.initialAccessToken"
		account = "spec.credentials.serviceAccountToken"
		alias   = "spec.keycloak.serviceAccountIssuer"
	)
	open := edits{"spec.credentials": map[string]any{"initialAccessToken": map[string]any{"secretName": "a"}}}
	secretless := edits{"spec.credentials": map[string]any{"serviceAccountToken": "Enabled"}, alias: "kubernetes"}
	return tables(
		bounds(map[string]bound{
			"spec.duende.url":                 {reason: "a URL", with: duende(nil), least: 1, most: 512, of: address},
			"spec.oauth.registrationEndpoint": {reason: "a URL", with: oauth(nil), least: 1, most: 512, of: address},
			alias:                             {reason: "Keycloak's bound", least: 1, most: 255, of: text},
			token + ".secretName":             {reason: "a name of Kubernetes", with: oauth(open), least: 1, most: 253, of: text},
			scopes:                            {reason: "bounded", most: 64, of: list},
			scopes + "[0]":                    {reason: "bounded", least: 1, most: 100, of: text},
		}),
		choices(map[string]choice{
			"spec.registration": {reason: "two ways", with: oauth(edits{"spec.credentials": absent{}}), values: []string{"Managed", "Manual"}},
			account:             {reason: "off is said by leaving it out", with: secretless, values: []string{"Enabled"}},
		}),
		sets(map[string]row{
			scopes: {reason: "twice is a slip", refused: edits{scopes: "a"}, accepted: edits{scopes: "A"}},
		}),
		needs(map[string]row{
			token + ".secretName": {reason: "a reference", with: oauth(open)},
		}),
		rules(map[string]rule{
			"spec.duende.url": {
				reason: "it is called with credentials", with: duende(nil), message: "url" + notAURL,
				refused:  []any{"http://id.example.com/introspection", "https://id.example.com/?a", "id.example.com"},
				accepted: []any{"https://id.example.com/introspection", "http://localhost:5001/"},
			},
			"spec.oauth.registrationEndpoint": {
				reason: "it is called with credentials", with: oauth(nil), message: "registrationEndpoint" + notAURL,
				refused:  []any{"http://as.example.com/register", "https://a:b@as.example.com/register", "/register"},
				accepted: []any{"https://as.example.com/register", "http://127.0.0.1:3000/reg"},
			},
			alias:                 {reason: "it is a segment of a path", message: "serviceAccountIssuer must be the alias of an identity provider, without spaces and / ? # %", refused: []any{"a b", "a/b", "a?b", "a#b", "a%2Fb", "a\n"}, accepted: []any{"kubernetes", "Cluster_eu-1.x"}},
			token + ".secretName": {reason: "it could never be found", with: oauth(open), message: "secretName must be the name of a Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
			scopes + "[0]":        {reason: "it could never match", message: badScope, refused: badScopes, accepted: goodScopes},
			"spec.credentials": {
				reason: "which of them would it be?", message: "set exactly one of clientCredentials, serviceAccountToken and initialAccessToken",
				with: edits{alias: "kubernetes"},
				refused: []any{
					map[string]any{},
					map[string]any{"clientCredentials": map[string]any{"secretName": "a"}, "serviceAccountToken": "Enabled"},
					map[string]any{"clientCredentials": map[string]any{"secretName": "a"}, "initialAccessToken": map[string]any{"secretName": "a"}},
				},
				accepted: []any{map[string]any{"clientCredentials": map[string]any{"secretName": "a"}}, map[string]any{"serviceAccountToken": "Enabled"}},
			},
		}),
		dialectRows(account, token, alias),
	)
}

// dialectRows hold fields against each other.
func dialectRows(account, token, alias string) map[string]row {
	const one = "say what kind of server it is: exactly one of keycloak, duende and oauth"
	secretless := edits{"spec.credentials": map[string]any{"serviceAccountToken": "Enabled"}}
	initial := edits{"spec.credentials": map[string]any{"initialAccessToken": map[string]any{"secretName": "a"}}}
	return map[string]row{
		"no dialect": {
			reason: "null is none; without token clients it is one", refused: edits{"spec.keycloak": nil},
			field: "spec", message: one, accepted: edits{"spec.keycloak": map[string]any{}},
		},
		"two dialects": {
			reason: "which of them would it be?", refused: edits{"spec.duende": map[string]any{}},
			field: "spec", message: one, accepted: duende(edits{"spec.issuer": "https://id.example.com"}),
		},
		"three dialects": {
			reason: "which of them would it be?", refused: edits{"spec.duende": map[string]any{}, "spec.oauth": map[string]any{}},
			field: "spec", message: one, accepted: oauth(edits{"spec.issuer": "https://as.example.com", "spec.connection.url": "https://as.svc"}),
		},
		"manual without a dialect": {
			reason: "it says what the server does at introspection", with: edits{"spec.registration": "Manual", "spec.credentials": absent{}},
			refused: edits{"spec.keycloak": absent{}}, field: "spec", message: one, accepted: duende(nil),
		},
		"no credentials": {
			reason: "only an open registration endpoint takes that", refused: edits{"spec.credentials": absent{}},
			field: "spec.credentials", message: "set credentials: the operator must sign in to register clients, except at an oauth server with open registration",
			accepted: oauth(edits{"spec.credentials": absent{}}),
		},
		"no credentials at duende": {
			reason: "its endpoints are never open", with: duende(nil), refused: edits{"spec.credentials": nil},
			field: "spec.credentials", message: "set credentials: the operator must sign in to register clients, except at an oauth server with open registration",
			accepted: edits{"spec.registration": "Manual", "spec.credentials": absent{}},
		},
		"credentials with manual": {
			reason: "a credential that nothing needs", refused: edits{"spec.registration": "Manual"},
			field: "spec.credentials", message: "with registration Manual nothing is registered: leave out credentials",
			accepted: edits{"spec.registration": "Manual", "spec.credentials": absent{}},
		},
		"service account at duende": {
			reason: "no other kind of server takes it", refused: duende(secretless),
			field: account, message: "serviceAccountToken is for keycloak: use clientCredentials",
			accepted: with(edits{alias: "kubernetes"}, secretless),
		},
		"service account without an issuer": {
			reason: "Keycloak finds the client by it", refused: secretless,
			field: alias, message: "serviceAccountToken needs keycloak.serviceAccountIssuer: the alias of the realm's identity provider that trusts this cluster's ServiceAccount tokens",
			accepted: with(edits{alias: "kubernetes"}, secretless),
		},
		"initial access token at keycloak": {
			reason: "the admin API takes none", refused: initial,
			field: token, message: "initialAccessToken is for oauth (RFC 7591): use clientCredentials", accepted: oauth(initial),
		},
	}
}
