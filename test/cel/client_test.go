// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "strings"

// maximalClient states every field.
const maximalClient = `
apiVersion: introspection.dev/v1alpha1
kind: IntrospectionClient
metadata: {name: orders, namespace: shop}
spec:
  authorizationServerRef: {name: corporate}
  clientID: shop.orders
  displayName: Orders API (größer)
  scopes: [orders.read, "https://example.com/scope"]
  audience: {mode: OnRequest, tokenClients: [web]}
  authentication: {method: ServiceAccountJWT}
  endpoint: Webhook
  policyRef: {name: orders}
  secret:
    name: orders-introspection
    labels: {team: shop, example.com/tier: ""}
    annotations: {reloader.example.com/match: "true", Note: "any text: ü"}
    keys: {clientID: CLIENT_ID, clientSecret: CLIENT_SECRET, issuer: ISSUER, introspectionEndpoint: ENDPOINT, caCertificate: bundle.pem, privateKey: key.pem, keyID: KID}
    formats: [Spring, DotNet, Quarkus]
  rotation: {interval: 720h, overlap: 24h}
  adoptionPolicy: Unowned
  deletionPolicy: Retain
  management: Observe
`

// maximalManual states what a client that is registered by the operator can't.
const maximalManual = `
apiVersion: introspection.dev/v1alpha1
kind: IntrospectionClient
metadata: {name: billing, namespace: shop}
spec:
  authorizationServerRef: {name: by-hand}
  audience: {mode: Unmanaged}
  authentication: {method: PrivateKeyJWT}
  existingSecretName: billing-client
  endpoint: Server
  secret: {name: billing}
  adoptionPolicy: Never
  deletionPolicy: Delete
  management: Full
`

const (
	takenKeys = "type, provider, token_endpoint, jwks_uri and authorize_url are keys of the Secret already: choose another name"
	sameKeys  = "two keys of the Secret have the same name: give each its own"
)

func clientRefusals() map[string]row {
	const (
		server  = "spec.authorizationServerRef"
		clients = "spec.audience.tokenClients"
		formats = "spec.secret.formats"
		within  = "a rotation begins when the overlap of the one before it is over: make interval longer than overlap (default 24h)"
	)
	return tables(
		bounds(map[string]bound{
			server + ".name":                         {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.clientID":                          {reason: "servers break beyond 255, and ids are shown to people", least: 1, most: 100, of: text},
			"spec.displayName":                       {reason: "shown to people", least: 1, most: 100, of: text},
			"spec.policyRef.name":                    {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.secret.name":                       {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.secret.labels":                     {reason: "bounded", most: 32, of: dictionary},
			"spec.secret.annotations":                {reason: "bounded", most: 32, of: dictionary},
			"spec.existingSecretName":                {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.scopes":                            {reason: "bounded; none is said by leaving it out", least: 1, most: 32, of: list},
			"spec.scopes[0]":                         {reason: "bounded", least: 1, most: 100, of: text},
			clients:                                  {reason: "none is said by mode Unmanaged", least: 1, most: 16, of: list},
			clients + "[0]":                          {reason: "a client id", least: 1, most: 100, of: text},
			"spec.rotation.interval":                 {reason: "a duration", with: edits{"spec.rotation": map[string]any{"overlap": "1m"}}, most: 16, of: hours},
			"spec.rotation.overlap":                  {reason: "a duration", most: 16, of: hours},
			"spec.secret.labels[team]":               {reason: "Kubernetes' bound", with: edits{"spec.secret.labels": map[string]any{}}, most: 63, of: text},
			"spec.secret.annotations[note]":          {reason: "bounded", with: edits{"spec.secret.annotations": map[string]any{}}, most: 1024, of: text},
			"spec.secret.keys.clientID":              {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.clientSecret":          {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.issuer":                {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.introspectionEndpoint": {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.caCertificate":         {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.privateKey":            {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
			"spec.secret.keys.keyID":                 {reason: "Kubernetes' bound", least: 1, most: 253, of: text},
		}),
		choices(map[string]choice{
			"spec.authentication.method": {reason: "three ways", values: []string{"ClientSecret", "PrivateKeyJWT", "ServiceAccountJWT"}},
			"spec.audience.mode":         {reason: "three modes", values: []string{"Default", "OnRequest", "Unmanaged"}},
			"spec.endpoint":              {reason: "two endpoints", values: []string{"Webhook", "Server"}},
			"spec.adoptionPolicy":        {reason: "two ways", values: []string{"Never", "Unowned"}},
			"spec.management":            {reason: "three ways", values: []string{"Full", "Observe", "Suspended"}},
			"spec.deletionPolicy":        {reason: "two ends", values: []string{"Delete", "Retain"}},
			"spec.secret.formats[0]":     {reason: "four formats", values: []string{"Env", "Spring", "DotNet", "Quarkus"}},
		}),
		sets(map[string]row{
			clients:       {reason: "twice is a slip", refused: edits{clients: "web"}, accepted: edits{clients: "Web"}},
			"spec.scopes": {reason: "twice is a slip", refused: edits{"spec.scopes": "a"}, accepted: edits{"spec.scopes": "A"}},
			formats:       {reason: "twice is a slip", refused: edits{formats: "Env"}, accepted: edits{formats: "Spring"}},
		}),
		needs(map[string]row{
			"spec":                {reason: "else spec: null would evade immutability"},
			server:                {reason: "nothing stands in for it"},
			server + ".name":      {reason: "a reference"},
			"spec.policyRef.name": {reason: "a reference", with: edits{"spec.policyRef.name": "orders"}},
		}),
		rules(clientRules()),
		bringRefusals(),
		formatRefusals(formats),
		map[string]row{
			"service account at the server's endpoint": {
				reason: "the workload could not have its token", refused: edits{"spec.authentication.method": "ServiceAccountJWT", "spec.endpoint": "Server"},
				field: "spec.authentication.method", message: "ServiceAccountJWT needs endpoint Webhook: the ServiceAccount is the webhook's, and workloads can't have its tokens",
				accepted: edits{"spec.authentication.method": "PrivateKeyJWT", "spec.endpoint": "Server"},
			},
			"rotated within the usual overlap": {
				reason: "a third credential would be made while two work", refused: edits{"spec.rotation": map[string]any{"interval": "24h"}},
				field: "spec.rotation.interval", message: within, accepted: edits{"spec.rotation": map[string]any{"interval": "25h"}},
			},
			"rotated within its overlap": {
				reason: "a third credential would be made while two work", refused: edits{"spec.rotation": map[string]any{"interval": "2h", "overlap": "2h"}},
				field: "spec.rotation.interval", message: within, accepted: edits{"spec.rotation": map[string]any{"interval": "2h", "overlap": "1h"}},
			},
			"spec null": {reason: "as kubectl apply sends it", refused: edits{"spec": nil}, field: "spec", message: "Required value"},
			"unmanaged with token clients": {
				reason: "nothing would be mapped onto them", refused: edits{"spec.audience": map[string]any{"mode": "Unmanaged", "tokenClients": []any{"web"}}},
				field: clients, message: "mode Unmanaged touches no token client: leave out tokenClients, or choose another mode",
				accepted: edits{"spec.audience": map[string]any{"mode": "OnRequest", "tokenClients": []any{"web"}}},
			},
			"policy at the server's endpoint": {
				reason: "the user would think that it is checked", refused: edits{"spec.endpoint": "Server", "spec.policyRef.name": "orders"},
				field: "spec.policyRef", message: "policyRef needs endpoint Webhook: no policy is checked at the server's own endpoint",
				accepted: edits{"spec.endpoint": "Webhook", "spec.policyRef.name": "orders"},
			},
		},
	)
}

// formatRefusals are about keys that frameworks read.
func formatRefusals(formats string) map[string]row {
	const (
		noSecret = "formats Spring, DotNet and Quarkus need a client secret, and with endpoint Server and method PrivateKeyJWT there is none: leave them out, or choose method ClientSecret"
		opaque   = "spring.security.oauth2.resourceserver.opaquetoken."
	)
	all := []any{"Env", "Spring", "DotNet", "Quarkus"}
	rows := map[string]row{
		"no format":       {reason: "none is said by leaving it out", refused: edits{formats: []any{}}, field: formats, message: "should have at least 1 items", accepted: edits{formats: []any{"Env"}}},
		"a fifth format":  {reason: "there are four", refused: edits{formats: append(all[:4:4], "Env")}, field: formats, message: "Too many: 5: must have at most 4 items", accepted: edits{formats: all}},
		"formats and key": {reason: "Env has the key", with: edits{"spec.authentication.method": "PrivateKeyJWT"}, refused: edits{"spec.endpoint": "Server", formats: all}, field: formats, message: noSecret, accepted: edits{"spec.endpoint": "Server", formats: []any{"Env"}}},
	}
	rows["quarkus and a colon"] = row{
		reason: "the id would end at the colon", with: edits{formats: []any{"Quarkus"}}, refused: edits{"spec.clientID": "shop:orders"},
		field: formats, message: "Quarkus can't sign in with a client id that has a colon (it does not encode it): leave Quarkus out of secret.formats, or choose another clientID in a new object",
		accepted: edits{"spec.clientID": "shop.orders/v1"},
	}
	for _, format := range all[1:] {
		rows[format.(string)+" without a secret"] = row{
			reason: "it would be half a configuration", with: edits{formats: []any{format}, "spec.authentication.method": "PrivateKeyJWT"},
			refused: edits{"spec.endpoint": "Server"}, field: formats, message: noSecret, accepted: edits{"spec.endpoint": "Webhook"},
		}
	}
	for format, taken := range map[string]struct {
		message string
		names   []string
		free    string
	}{
		"Env": {
			"a key has the name of one that format Env adds: leave it out of keys, or Env out of formats",
			[]string{"CLIENT_ID", "CLIENT_SECRET", "PRIVATE_KEY_PEM", "KEY_ID", "ISSUER", "INTROSPECTION_ENDPOINT", "TOKEN_ENDPOINT", "AUTHORIZE_URL", "JWKS_URI"},
			"CA",
		},
		"Spring": {
			"names that begin with " + opaque + " are those of format Spring: choose another name, or leave Spring out of formats",
			[]string{opaque + "introspection-uri", opaque + "client-id"},
			"spring.ssl.bundle.pem.introspection.truststore.certificate",
		},
		"DotNet": {
			"names that begin with OAuth2Introspection__ are those of format DotNet: choose another name, or leave DotNet out of formats",
			[]string{"OAuth2Introspection__ClientId"},
			"OAuth2Introspection",
		},
		"Quarkus": {
			"names that begin with QUARKUS_OIDC_ are those of format Quarkus: choose another name, or leave Quarkus out of formats",
			[]string{"QUARKUS_OIDC_CLIENT_ID"},
			"QUARKUS",
		},
	} {
		for _, field := range []string{"clientID", "clientSecret", "issuer", "introspectionEndpoint", "caCertificate", "privateKey", "keyID"} {
			for _, name := range taken.names {
				rows[format+" has "+name+" already, "+field] = row{
					reason: "one would overwrite the other", with: edits{formats: []any{format}}, refused: edits{"spec.secret.keys": keys(field, name)},
					field: "spec.secret.keys", message: taken.message, accepted: edits{"spec.secret.keys": keys(field, taken.free)},
				}
			}
		}
	}
	return rows
}

// bringRefusals are about a credential that a client brings: what it comes with is not said again.
func bringRefusals() map[string]row {
	const (
		existing = "spec.existingSecretName"
		ours     = "existingSecretName is the name of the Secret that the operator writes (secret.name, by default the object's name): name one of them differently"
	)
	brought := edits{existing: "orders-client"}
	return map[string]row{
		"brought and a client id": {
			reason: "two ids", with: brought, refused: edits{"spec.clientID": "shop.orders"},
			field: "spec.clientID", message: "existingSecretName brings the client id too: leave out clientID", accepted: edits{"spec.displayName": "Orders"},
		},
		"brought and scopes": {
			reason: "nobody would register them", with: brought, refused: edits{"spec.scopes": []any{"a"}},
			field: "spec.scopes", message: "with existingSecretName nothing is registered: leave out scopes, and set them at the server", accepted: edits{"spec.endpoint": "Server"},
		},
		"brought and token clients": {
			reason: "nobody would map it", with: brought, refused: edits{"spec.audience.tokenClients": []any{"web"}},
			field: "spec.audience.tokenClients", message: "with existingSecretName nothing is mapped: leave out audience.tokenClients, and map the audience at the server",
			accepted: edits{"spec.audience.mode": "Unmanaged"},
		},
		"brought and a service account": {
			reason: "two credentials", with: brought, refused: edits{"spec.authentication.method": "ServiceAccountJWT"},
			field: "spec.authentication.method", message: "with ServiceAccountJWT there is no Secret to bring: leave out existingSecretName, or choose another method",
			accepted: edits{"spec.authentication.method": "PrivateKeyJWT"},
		},
		"brought and rotated at the server's endpoint": {
			reason: "there is nothing of ours to rotate", with: edits{existing: "orders-client", "spec.rotation.interval": "720h"}, refused: edits{"spec.endpoint": "Server"},
			field: "spec.rotation", message: "with existingSecretName and endpoint Server the only credential is the one that you bring: leave out rotation, and change that Secret",
			accepted: edits{"spec.endpoint": "Webhook"},
		},
		"brought in the object's name": {
			reason: "the operator writes that one", refused: edits{existing: "orders"}, field: existing, message: ours, accepted: edits{existing: "orders", "spec.secret.name": "mounted"},
		},
		"brought in the mounted Secret": {
			reason: "the operator writes that one", with: edits{"spec.secret.name": "mounted"}, refused: edits{existing: "mounted"},
			field: existing, message: ours, accepted: edits{existing: "orders"},
		},
	}
}

func clientRules() map[string]rule {
	key := rule{reason: "Kubernetes refuses the Secret", message: "a key of a Secret must be letters, digits and - _ . only", refused: badKeys, accepted: goodKeys[1:]}
	long := strings.Repeat("a", 64)
	return map[string]rule{
		"spec.authorizationServerRef.name": {reason: "it could never be found", message: "name must be the name of a ClusterAuthorizationServer: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.policyRef.name":              {reason: "it could never be found", message: "name must be the name of an object: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.secret.name":                 {reason: "Kubernetes refuses the Secret", message: "name must be the name of a Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.clientID":                    {reason: "it is in Basic credentials, URLs and prefixes", message: "clientID must start with a letter or digit and hold only letters, digits and . _ : / -", refused: []any{"shop orders", ".orders", "shop.örders", "a\n", "a%b"}, accepted: []any{"shop.orders", "Shop:orders/v1_x-y", "1"}},
		"spec.existingSecretName":          {reason: "it could never be found", message: "existingSecretName must be the name of a Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.scopes[0]":                   {reason: "no token could have it", message: badScope, refused: badScopes, accepted: goodScopes},
		"spec.rotation.interval":           {reason: "workloads read their Secret again after each", with: edits{"spec.rotation": map[string]any{"overlap": "1m"}}, message: "interval must be a duration such as 720h, from 1h to 8760h", refused: []any{"59m", "8761h", "-1h", "30d", "720", ""}, accepted: []any{"1h", "8760h", "2h30m"}},
		"spec.rotation.overlap":            {reason: "a leaked one works as long", message: "overlap must be a duration such as 24h, from 1m to 720h", refused: []any{"59s", "721h", "-1h", "1d", "24", ""}, accepted: []any{"1m", "720h", "1h30m"}},
		"spec.displayName":                 {reason: "one line in consoles and logs", message: "displayName must be one line, without control characters", refused: []any{"Orders\nAPI", "\tOrders", "a\u0000"}, accepted: []any{"Orders API", "Aufträge ©"}},
		"spec.audience.tokenClients[0]":    {reason: "a list in one item is a slip", message: "a token client is named by its client id, without spaces", refused: []any{"web mobile", "web\n"}, accepted: []any{"web"}},
		"spec.secret.labels": {
			reason: "what is ours is found by them", message: "labels under introspection.dev/ and app.kubernetes.io/managed-by are the operator's own: leave them out",
			refused:  []any{map[string]any{"introspection.dev/kind": "mounted"}, map[string]any{"app.kubernetes.io/managed-by": "me"}},
			accepted: []any{map[string]any{"introspection.dev": "mounted"}, map[string]any{"app.kubernetes.io/name": "me"}, map[string]any{}},
		},
		"spec.secret.labels keys": {
			reason: "Kubernetes refuses the Secret", message: "a label's key must be a name of at most 63 letters, digits and - _ . after, if you like, a DNS prefix and a slash",
			refused:  []any{map[string]any{"a b": ""}, map[string]any{"a/b/c": ""}, map[string]any{"/b": ""}, map[string]any{"a/": ""}, map[string]any{long: ""}, map[string]any{"A.example/b": ""}, map[string]any{"-a": ""}},
			accepted: []any{map[string]any{"a_b": ""}, map[string]any{"a.example/B": ""}, map[string]any{long[1:]: ""}},
		},
		"spec.secret.labels[team]": {
			reason: "Kubernetes refuses the Secret", with: edits{"spec.secret.labels": map[string]any{}}, message: "a label's value must be letters, digits and - _ . and start and end with a letter or digit",
			refused: []any{"a b", "-a", "a-", "ü"}, accepted: []any{"a_b", "", "A.1"},
		},
		"spec.secret.annotations": {
			reason: "what is ours is found by them", message: "annotations under introspection.dev/ are the operator's own: leave them out",
			refused:  []any{map[string]any{"introspection.dev/object": "a/b"}},
			accepted: []any{map[string]any{"introspection.dev": "any text"}, map[string]any{}},
		},
		"spec.secret.annotations keys": {
			reason: "Kubernetes refuses the Secret", message: "an annotation's key must be a name of at most 63 letters, digits and - _ . after, if you like, a DNS prefix and a slash",
			refused:  []any{map[string]any{"a b": ""}, map[string]any{"a/b/c": ""}, map[string]any{long: ""}},
			accepted: []any{map[string]any{"a_b": ""}, map[string]any{"a.example/B": "any text: ü"}},
		},
		"spec.secret.keys.clientID":              key,
		"spec.secret.keys.clientSecret":          key,
		"spec.secret.keys.issuer":                key,
		"spec.secret.keys.introspectionEndpoint": key,
		"spec.secret.keys.caCertificate":         key,
		"spec.secret.keys.privateKey":            key,
		"spec.secret.keys.keyID":                 key,
		"spec.secret.keys": {
			reason: "one would overwrite the other", message: takenKeys,
			refused:  []any{keys("clientID", "type"), keys("clientSecret", "provider"), keys("issuer", "token_endpoint"), keys("introspectionEndpoint", "jwks_uri"), keys("caCertificate", "authorize_url"), keys("privateKey", "type"), keys("keyID", "provider")},
			accepted: []any{keys("clientID", "Type"), map[string]any{}},
		},
		"spec.secret.keys same": {
			reason: "one would overwrite the other", message: sameKeys,
			refused:  []any{keys("clientID", "A", "clientSecret", "A"), keys("clientID", "client_secret"), keys("issuer", "ca.crt"), keys("caCertificate", "introspection_endpoint"), keys("privateKey", "client_secret"), keys("keyID", "private_key.pem"), keys("clientID", "key_id")},
			accepted: []any{keys("clientID", "A", "clientSecret", "a"), keys("clientID", "client_secret", "clientSecret", "client_id"), keys("clientID", "client_id")},
		},
	}
}

// keys renames keys of the Secret: field, name, field, name.
func keys(pairs ...string) any {
	renamed := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		renamed[pairs[i]] = pairs[i+1]
	}
	return renamed
}
