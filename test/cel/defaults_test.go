// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// maximal holds objects that between them state every field.
var maximal = map[string]string{
	"server": maximalServer, "server-duende": maximalDuende, "server-oauth": maximalOAuth, "server-secretless": maximalSecretless,
	"client": maximalClient, "client-manual": maximalManual, "policy": maximalPolicy,
}

// unlooked is the status of an object that the operator did not look at: without
// it, tools would read the object as healthy.
const unlooked = "{observedGeneration: -1}"

func TestDefaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, kind string
		with         edits
		spec         string
	}{
		"server": {
			reason: "the documentation's minimal object", kind: serverKind,
			spec: `
issuer: https://sso.example.com/realms/acme
accessTokens: {}
connection:
  hostHeader: Connection
  timeout: 2s
  limits: {requestsPerSecond: 50, burst: 100, maxInFlight: 32}
registration: Managed
credentials: {clientCredentials: {secretName: keycloak-operator}}
clientIDTemplate: "{namespace}.{name}"
keycloak: {tokenClients: [web, mobile]}
access:
  namespaceSelector: {matchLabels: {introspection.dev/server: corporate}}
  audience: {modes: [Default, OnRequest], maxPerTokenClient: 50}
  adoption: Denied
  retain: Denied
`,
		},
		"server without access": {
			reason: "nobody may use it: no default must grant anything", kind: serverKind, with: edits{"spec.access": absent{}},
			spec: `
issuer: https://sso.example.com/realms/acme
accessTokens: {}
connection:
  hostHeader: Connection
  timeout: 2s
  limits: {requestsPerSecond: 50, burst: 100, maxInFlight: 32}
registration: Managed
credentials: {clientCredentials: {secretName: keycloak-operator}}
clientIDTemplate: "{namespace}.{name}"
keycloak: {tokenClients: [web, mobile]}
`,
		},
		"server with a CA": {
			reason: "the reference's own defaults, and those of a section that is half there", kind: serverKind,
			with: edits{"spec.connection": map[string]any{"caBundle": map[string]any{"name": "corp-ca"}, "limits": map[string]any{"burst": 1}}, "spec.access": nil},
			spec: `
issuer: https://sso.example.com/realms/acme
accessTokens: {}
connection:
  caBundle: {kind: ConfigMap, name: corp-ca, key: ca.crt}
  hostHeader: Connection
  timeout: 2s
  limits: {requestsPerSecond: 50, burst: 1, maxInFlight: 32}
registration: Managed
credentials: {clientCredentials: {secretName: keycloak-operator}}
clientIDTemplate: "{namespace}.{name}"
keycloak: {tokenClients: [web, mobile]}
`,
		},
		"client": {
			reason: "the documentation's minimal object", kind: clientKind,
			spec: `
authorizationServerRef: {name: corporate}
audience: {mode: Default}
authentication: {method: ClientSecret}
adoptionPolicy: Never
deletionPolicy: Delete
endpoint: Webhook
management: Full
secret: {}
`,
		},
		"policy": {
			reason: "the documentation's minimal object; validation of an entry and maxAge, which Local does not have, are in code", kind: policyKind,
			spec: `
accept: [{clientRef: {name: orders}}]
require: {scopes: {allOf: [orders.read]}, tokenTypes: [AccessToken], clockSkew: 30s}
freshness: {}
outage: {}
surfaces: {introspection: {}, gateways: {}}
respond: {}
`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := keep(t, edited(t, tc.kind, tc.with))
			if diff := cmp.Diff(value(t, tc.spec), kept.Object["spec"]); diff != "" {
				t.Errorf("%s: spec (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(value(t, unlooked), kept.Object["status"]); diff != "" {
				t.Errorf("%s: status (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMaximal states every field there is, and finds all of it again.
func TestMaximal(t *testing.T) {
	t.Parallel()
	stated := map[string]map[string]bool{serverKind: {}, clientKind: {}, policyKind: {}}
	for name, text := range maximal {
		object := parse(t, text)
		kept := keep(t, object)
		if diff := cmp.Diff(value(t, text).(map[string]any)["spec"], kept.Object["spec"]); diff != "" {
			t.Errorf("%s: spec (-want +got):\n%s", name, diff)
		}
		paths("spec", object.Object["spec"], stated[object.GetKind()])
	}
	for kind, schema := range schemas(t) {
		walk("spec", schema.Properties["spec"], func(field string, _ apiextensionsv1.JSONSchemaProps) {
			if !stated[kind][strings.ReplaceAll(field, "[*]", "[]")] {
				t.Errorf("no maximal %s states %s", kind, field)
			}
		})
	}
}

// paths are the fields that a value states, with [] for the entries of lists and
// for what hangs below, in case it is a map with keys of the user's.
func paths(field string, value any, found map[string]bool) {
	found[field] = true
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			paths(field+"."+key, below, found)
			found[field+"[]"] = true
		}
	case []any:
		for _, item := range value {
			paths(field+"[]", item, found)
		}
	}
}

// TestNoDefaultsInLists: tools that compare what they applied with what is there
// would see them as drift for ever.
func TestNoDefaultsInLists(t *testing.T) {
	t.Parallel()
	for kind, schema := range schemas(t) {
		walk("spec", schema.Properties["spec"], func(field string, s apiextensionsv1.JSONSchemaProps) {
			if s.Default != nil && strings.ContainsAny(field, "[") {
				t.Errorf("%s %s has a default inside a list or map", kind, field)
			}
		})
	}
}

// TestAppliedAgain applies as Flux and Argo CD do. The second time may store the
// default of status.observedGeneration, and nothing that the object's owner sees;
// from then on an apply is no write.
func TestAppliedAgain(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string]map[string]string{"minimal": minimal, "maximal": maximal} {
		for which, text := range texts {
			t.Run(name+"/"+which, func(t *testing.T) {
				t.Parallel()
				object := parse(t, text)
				object.SetName(name + "-" + strings.ToLower(which) + "-applied")
				first, second, third := apply(t, object), apply(t, object), apply(t, object)
				if first.GetGeneration() != third.GetGeneration() || second.GetResourceVersion() != third.GetResourceVersion() {
					t.Errorf("applying the same again wrote:\n%s", cmp.Diff(first.Object, third.Object))
				}
			})
		}
	}
}

func apply(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	object = object.DeepCopy()
	if err := cluster.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("pipeline")); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestTypedObjects creates minimal objects by the Go types: what they leave unset
// must reach the server as absent, not as zeros that it refuses or takes literally.
func TestTypedObjects(t *testing.T) {
	t.Parallel()
	meta := metav1.ObjectMeta{GenerateName: "typed-", Namespace: namespace}
	server := &v1alpha1.ClusterAuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "typed-"},
		Spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer:      "https://sso.example.com/realms/acme",
			Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "keycloak-operator"}},
			Keycloak:    &v1alpha1.KeycloakServer{},
			Access:      &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{}},
		},
	}
	introspection := &v1alpha1.IntrospectionClient{
		ObjectMeta: meta, Spec: v1alpha1.IntrospectionClientSpec{AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"}},
	}
	policy := &v1alpha1.TokenPolicy{
		ObjectMeta: meta, Spec: v1alpha1.TokenPolicySpec{Accept: []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}}},
	}
	for _, object := range []client.Object{server, introspection, policy} {
		if err := cluster.Create(t.Context(), object); err != nil {
			t.Errorf("%T: %v", object, err)
		}
	}
	got := map[string]any{
		"timeout":  server.Spec.Connection.Timeout.Duration.String(),
		"burst":    server.Spec.Connection.Limits.Burst,
		"modes":    server.Spec.Access.Audience.Modes,
		"mode":     introspection.Spec.Audience.Mode,
		"method":   introspection.Spec.Authentication.Method,
		"manual":   server.Spec.Registration,
		"types":    policy.Spec.Require.TokenTypes,
		"maxAge":   policy.Spec.Freshness.MaxAge == nil,
		"observed": []int64{server.Status.ObservedGeneration, introspection.Status.ObservedGeneration, policy.Status.ObservedGeneration},
	}
	want := map[string]any{
		"timeout":  "2s",
		"burst":    int32(100),
		"modes":    []v1alpha1.AudienceMode{v1alpha1.AudienceDefault, v1alpha1.AudienceOnRequest},
		"mode":     v1alpha1.AudienceDefault,
		"method":   v1alpha1.MethodClientSecret,
		"manual":   v1alpha1.RegistrationManaged,
		"types":    []v1alpha1.TokenType{v1alpha1.AccessTokenType},
		"maxAge":   true,
		"observed": []int64{-1, -1, -1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// value reads YAML as the API server answers: whole numbers are integers.
func value(t *testing.T, text string) any {
	t.Helper()
	wrapped := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := wrapped.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Value","value":` + string(data) + `}`)); err != nil {
		t.Fatal(err)
	}
	return wrapped.Object["value"]
}
