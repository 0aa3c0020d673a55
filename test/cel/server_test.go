// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

// maximalServer states every field.
const maximalServer = `
apiVersion: introspection.dev/v1alpha1
kind: ClusterAuthorizationServer
metadata: {name: corporate}
spec:
  issuer: https://sso.example.com/realms/acme
  connection:
    url: https://keycloak.identity.svc:8443/realms/acme
    hostHeader: Issuer
    caBundle: {kind: Secret, name: corp-ca, key: bundle.pem}
    timeout: 1.5s
    limits: {requestsPerSecond: 10000, burst: 10000, maxInFlight: 1000}
  accessTokens: {algorithms: [RS256, EdDSA], types: [at+jwt, JWT]}
  registration: Managed
  credentials: {clientCredentials: {secretName: keycloak-operator}}
  clientIDTemplate: "eu-1.{namespace}.{name}"
  keycloak: {tokenClients: [web, mobile], adminURL: "https://keycloak.identity.svc:8443", serviceAccountIssuer: kubernetes}
  access:
    namespaceSelector:
      matchLabels: {introspection.dev/server: corporate}
      matchExpressions:
      - {key: team, operator: In, values: [shop, billing]}
      - {key: sandbox, operator: DoesNotExist}
    clientIDPrefixes: ["{namespace}.", "eu-1.{namespace}."]
    scopes: [orders.read, "https://example.com/scope"]
    audience: {modes: [Default, OnRequest, Unmanaged], maxPerTokenClient: 1000}
    adoption: Allowed
    retain: Allowed
`

// names are legal and illegal names of objects.
var (
	badNames  = []any{"Corp", "corp_ca", "-corp", "corp.", "a..b", "a b", "a/b"}
	goodNames = []any{"corp", "corp-ca", "c", "corp.example", "1a"}
	badKeys   = []any{"a b", "a/b", ".", "..", "..data", "ü"}
	goodKeys  = []any{"ca.crt", "CA_CERT", ".a", "-"}
)

const notAURL = " must be an https URL without user, query or fragment"

func serverRefusals() map[string]row {
	const (
		prefixes   = "spec.access.clientIDPrefixes"
		clients    = "spec.keycloak.tokenClients"
		algorithms = "spec.accessTokens.algorithms"
		types      = "spec.accessTokens.types"
		modes      = "spec.access.audience.modes"
		selectors  = "spec.access.namespaceSelector.matchExpressions"
	)
	ca := edits{"spec.connection.caBundle.name": "corp-ca"}
	expression := edits{selectors: []any{map[string]any{"key": "team", "operator": "Exists"}}}
	return tables(
		bounds(map[string]bound{
			algorithms:                      {reason: "none would refuse all", least: 1, most: 10, of: algorithmList},
			types:                           {reason: "none would refuse all", least: 1, most: 8, of: list},
			types + "[0]":                   {reason: "a media type", least: 1, most: 64, of: text},
			"spec.issuer":                   {reason: "compared with every token", least: 1, most: 512, of: address},
			"spec.connection.url":           {reason: "a URL", least: 1, most: 512, of: address},
			"spec.keycloak.adminURL":        {reason: "a URL", least: 1, most: 512, of: address},
			"spec.connection.timeout":       {reason: "a duration", most: 16, of: seconds},
			"spec.clientIDTemplate":         {reason: "an id has at most 100 characters", least: 1, most: 64, of: template},
			clients:                         {reason: "each costs calls", most: 16, of: list},
			clients + "[0]":                 {reason: "a client id", least: 1, most: 100, of: text},
			prefixes:                        {reason: "none would leave nobody an id: leave it out instead", least: 1, most: 16, of: prefixList},
			prefixes + "[0]":                {reason: "an id has at most 100 characters", least: 1, most: 100, of: prefix},
			modes:                           {reason: "none is said by [Unmanaged]", least: 1, most: 3, of: modeList},
			"spec.connection.caBundle.name": {reason: "a name of Kubernetes", with: ca, least: 1, most: 253, of: text},
			"spec.connection.caBundle.key":  {reason: "a key of Kubernetes", with: ca, least: 1, most: 253, of: text},
			"spec.credentials.clientCredentials.secretName": {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.canary.secretName":                        {reason: "a name of Kubernetes", least: 1, most: 253, of: text},
			"spec.connection.limits.requestsPerSecond":      {reason: "0 would stop all calls", least: 1, most: 10000, of: number},
			"spec.connection.limits.burst":                  {reason: "0 would stop all calls", least: 1, most: 10000, of: number},
			"spec.connection.limits.maxInFlight":            {reason: "0 would stop all calls", least: 1, most: 1000, of: number},
			"spec.access.audience.maxPerTokenClient":        {reason: "tokens grow with it", least: 1, most: 1000, of: number},
		}),
		choices(map[string]choice{
			algorithms + "[0]":              {reason: "asymmetric ones", values: signatures()},
			"spec.connection.hostHeader":    {reason: "two ways", values: []string{"Connection", "Issuer"}},
			"spec.connection.caBundle.kind": {reason: "two kinds", with: ca, values: []string{"ConfigMap", "Secret"}},
			"spec.access.adoption":          {reason: "a permission", values: []string{"Denied", "Allowed"}},
			"spec.access.retain":            {reason: "a permission", values: []string{"Denied", "Allowed"}},
			modes + "[0]":                   {reason: "three modes", values: []string{"Default", "OnRequest", "Unmanaged"}},
		}),
		sets(map[string]row{
			algorithms: {reason: "twice is a slip", refused: edits{algorithms: "RS256"}, accepted: edits{algorithms: "ES256"}},
			types:      {reason: "twice is a slip", refused: edits{types: "JWT"}, accepted: edits{types: "at+jwt"}},
			clients:    {reason: "twice is a slip", refused: edits{clients: "web"}, accepted: edits{clients: "Web"}},
			prefixes:   {reason: "twice is a slip", refused: edits{prefixes: "a."}, accepted: edits{prefixes: "b."}},
			modes:      {reason: "twice is a slip", refused: edits{modes: "Default"}, accepted: edits{modes: "OnRequest"}},
		}),
		needs(map[string]row{
			"spec":                          {reason: "else spec: null would evade immutability"},
			"spec.issuer":                   {reason: "nothing stands in for it"},
			"spec.access.namespaceSelector": {reason: "an empty one selects all, and should be written"},
			"spec.connection.caBundle.name": {reason: "a reference", with: edits{"spec.connection.caBundle": map[string]any{"key": "a"}, "spec.connection.caBundle.name": "a"}},
			"spec.credentials.clientCredentials.secretName": {reason: "a reference"},
			"spec.canary.secretName":                        {reason: "a reference"},
			selectors + "[0].key":                           {reason: "Kubernetes' own", with: expression},
			selectors + "[0].operator":                      {reason: "Kubernetes' own", with: expression},
		}),
		rules(serverRules()),
		dialectRefusals(),
		map[string]row{
			"spec null": {reason: "as kubectl apply sends it", refused: edits{"spec": nil}, field: "spec", message: "Required value"},
		},
	)
}

func serverRules() map[string]rule {
	const selector = "spec.access.namespaceSelector"
	ca := edits{"spec.connection.caBundle.name": "corp-ca"}
	return map[string]rule{
		"spec.accessTokens.types[0]": {reason: "it could never match", message: "a type must be letters, digits and + . _ -, for example at+jwt", refused: []any{"application/at+jwt", "at jwt", "ü"}, accepted: []any{"at+jwt", "JWT"}},
		"spec.issuer": {
			reason: "it is called, and compared byte for byte", message: "issuer" + notAURL,
			refused: []any{
				"http://sso.example.com/realms/acme", "https://user:pass@sso.example.com/realms/acme", "https://sso.example.com/realms/acme?a=b/realms/acme",
				"https://sso.example.com/#/realms/acme", "https:///realms/acme", "https://:8443/realms/acme", "sso.example.com/realms/acme",
				"https://sso.example.com /realms/acme", "https://sso.example.com\n/realms/acme", "http://localhost.example.com/realms/acme", "http://127.0.0.1.example.com/realms/acme",
				"file:///realms/acme",
			},
			accepted: []any{
				"https://sso.example.com/realms/acme", "https://sso.example.com:8443/auth/realms/acme", "http://127.0.0.1:8080/realms/acme",
				"http://localhost/realms/acme", "http://[::1]:8080/realms/acme", "https://[2001:db8::1]/realms/a%20b",
			},
		},
		"spec.issuer realm": {
			reason:   "a Keycloak's issuer is its realm's address",
			message:  "the issuer of a Keycloak realm must end in /realms/<realm>, without a slash after it",
			refused:  []any{"https://sso.example.com", "https://sso.example.com/realms/acme/", "https://sso.example.com/realms/", "https://sso.example.com/realms/acme/x"},
			accepted: []any{"https://sso.example.com/realms/acme"},
		},
		"spec.connection.url": {
			reason: "it is called with credentials", message: "url" + notAURL,
			refused:  []any{"http://keycloak.identity.svc/realms/acme", "https://a@keycloak/realms/acme", "https:///realms/acme"},
			accepted: []any{"https://keycloak.identity.svc:8443/realms/acme", "http://127.0.0.1:8080/realms/acme"},
		},
		"spec.connection.url realm": {
			reason: "endpoints of the issuer are rebased on it", message: "the url of a Keycloak realm must end in /realms/<realm>, as the issuer does; if it can't, set keycloak.adminURL too",
			refused:  []any{"https://keycloak.identity.svc:8443", "https://keycloak.identity.svc:8443/realms/acme/"},
			accepted: []any{"https://keycloak.identity.svc:8443/realms/acme"},
		},
		"spec.keycloak.adminURL": {
			reason: "it is called with credentials", message: "adminURL" + notAURL,
			refused:  []any{"http://keycloak.identity.svc", "https://keycloak/?a", "keycloak"},
			accepted: []any{"https://keycloak.identity.svc:8443", "https://keycloak/auth", "http://localhost:8080/"},
		},
		"spec.connection.timeout": {
			reason: "a call that never ends holds a place in maxInFlight", message: "timeout must be a duration such as 2s, from 100ms to 30s",
			refused:  []any{"99ms", "31s", "0s", "-2s", "2", "1d", "", "999999h999999h"},
			accepted: []any{"100ms", "30s", "0.5s", "1s500ms"},
		},
		"spec.connection.caBundle.name":                 {reason: "it could never be found", with: ca, message: "name must be the name of a ConfigMap or Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.connection.caBundle.key":                  {reason: "it could never be found", with: ca, message: "key must be a key of a ConfigMap or Secret: letters, digits and - _ . only", refused: badKeys, accepted: goodKeys},
		"spec.credentials.clientCredentials.secretName": {reason: "it could never be found", message: "secretName must be the name of a Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.canary.secretName":                        {reason: "it could never be found", message: "secretName must be the name of a Secret: lower-case letters, digits, hyphens and dots", refused: badNames, accepted: goodNames},
		"spec.canary.secretName own": {
			reason: "the operator's client may manage all others, and its tokens shall prove nothing", message: "canary must be a client of its own, which may do nothing but get tokens: name another Secret than credentials.clientCredentials does",
			refused: []any{"keycloak-operator"}, accepted: []any{"keycloak-canary"},
		},
		"spec.clientIDTemplate": {
			reason:   "no namespace may make another's id",
			message:  "clientIDTemplate must hold {namespace}, one of . _ : / right after it, and then {name}; besides them letters, digits and . _ : / -",
			refused:  []any{"{namespace}-{name}", "{namespace}{name}", "{name}.{namespace}", "{namespace}x.{name}", "{name}", "{namespace}.", "{namespace}.{name}.{uid}", "{namespace} .{name}", ".{namespace}.{name}"},
			accepted: []any{"{namespace}.{name}", "eu-1.{namespace}.{name}", "{namespace}/{name}", "{namespace}_api_{name}", "eu{namespace}:{name}-x"},
		},
		"spec.keycloak.tokenClients[0]": {reason: "a list in one item is a slip", message: "a token client is named by its client id, without spaces", refused: []any{"web mobile", "web\n", " "}, accepted: []any{"web,mobile", "https://app.example.com/"}},
		"spec.access.clientIDPrefixes[0]": {
			reason:   "namespace shop must not reach the ids of shop-2",
			message:  "a prefix must end in one of . _ : /, and one of them must stand right after {namespace}: else one namespace could claim another's ids",
			refused:  []any{"{namespace}", "{namespace}-", "shop", "{namespace}x.", "{name}.", "{namespace}.{namespace}", "a b."},
			accepted: []any{"{namespace}.", "eu-1.{namespace}/", "shop.", "{namespace}.{namespace}_"},
		},
		selector: {
			reason: "Kubernetes' own schema of a selector takes any operator", message: "operator must be In, NotIn, Exists or DoesNotExist",
			refused:  []any{expressions("in", "a"), expressions("Equals", "a")},
			accepted: []any{expressions("In", "a"), map[string]any{}},
		},
		selector + " values": {
			reason: "it could never match", message: "operators In and NotIn need values; Exists and DoesNotExist must have none",
			refused:  []any{expressions("In"), expressions("NotIn"), expressions("Exists", "a"), expressions("DoesNotExist", "a")},
			accepted: []any{expressions("In", "a"), expressions("NotIn", "a", "b"), expressions("Exists"), expressions("DoesNotExist")},
		},
	}
}

func expressions(operator string, values ...string) any {
	return map[string]any{"matchExpressions": []any{map[string]any{"key": "team", "operator": operator, "values": values}}}
}

func template(size int) any {
	const rest = "{namespace}.{name}"
	if size == 0 {
		return ""
	}
	return text(max(0, size-len(rest))).(string) + rest
}

func prefix(size int) any {
	if size == 0 {
		return ""
	}
	return text(size-1).(string) + "."
}

func prefixList(size int) any {
	items := list(size).([]any)
	for i := range items {
		items[i] = items[i].(string) + "."
	}
	return items
}

func modeList(size int) any {
	modes := []any{"Default", "OnRequest", "Unmanaged", "Default"}
	return modes[:size]
}

func signatures() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// algorithmList of a size; the eleventh is one of them again.
func algorithmList(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = signatures()[i%len(signatures())]
	}
	return items
}
