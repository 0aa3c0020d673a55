// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// The kinds.
const (
	serverKind = "ClusterAuthorizationServer"
	clientKind = "IntrospectionClient"
	policyKind = "TokenPolicy"
)

// minimal holds the documentation's smallest objects that are enough.
var minimal = map[string]string{
	serverKind: `
apiVersion: introspection.dev/v1alpha1
kind: ClusterAuthorizationServer
metadata: {name: corporate}
spec:
  issuer: https://sso.example.com/realms/acme
  credentials: {clientCredentials: {secretName: keycloak-operator}}
  keycloak: {tokenClients: [web, mobile]}
  access: {namespaceSelector: {matchLabels: {introspection.dev/server: corporate}}}
`,
	clientKind: `
apiVersion: introspection.dev/v1alpha1
kind: IntrospectionClient
metadata: {name: orders, namespace: shop}
spec:
  authorizationServerRef: {name: corporate}
`,
	policyKind: `
apiVersion: introspection.dev/v1alpha1
kind: TokenPolicy
metadata: {name: orders, namespace: shop}
spec:
  accept: [{clientRef: {name: orders}}]
  require: {scopes: {allOf: [orders.read]}}
`,
}

// edits change an object: path, such as spec.accept[0].clientRef.name, to value.
// A nil value is JSON's null.
type edits map[string]any

// absent as a value removes the field.
type absent struct{}

// parse reads an object.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// edited is the minimal object of a kind with edits.
func edited(t *testing.T, kind string, changes edits) *unstructured.Unstructured {
	t.Helper()
	return edit(t, parse(t, minimal[kind]), changes)
}

// edit is a copy of an object with edits, shorter paths first.
func edit(t *testing.T, object *unstructured.Unstructured, changes edits) *unstructured.Unstructured {
	t.Helper()
	object = object.DeepCopy()
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		steps := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
		object.Object = set(t, object.Object, steps, changes[path]).(map[string]any)
	}
	data, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	// Not its UnmarshalJSON, which wants a spec-less object to be whole.
	if err := yaml.Unmarshal(data, &out.Object); err != nil {
		t.Fatal(err)
	}
	return out
}

// set changes what steps lead to in node, and makes what is missing on the way.
func set(t *testing.T, node any, steps []string, value any) any {
	t.Helper()
	if len(steps) == 0 {
		return value
	}
	if index, err := strconv.Atoi(steps[0]); err == nil {
		list, _ := node.([]any)
		if index == len(list) {
			list = append(list, nil)
		}
		list[index] = set(t, list[index], steps[1:], value)
		return list
	}
	object, ok := node.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	if _, remove := value.(absent); remove && len(steps) == 1 {
		delete(object, steps[0])
		return object
	}
	object[steps[0]] = set(t, object[steps[0]], steps[1:], value)
	return object
}

// try creates an object without keeping it. Unknown fields are errors: a
// misspelt row would prove nothing.
func try(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	return cluster.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// change updates an object without keeping it.
func change(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	return cluster.Update(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// keep creates an object under a name of its own. It stays as long as the control
// plane does, the length of the package's tests.
func keep(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	object = object.DeepCopy()
	object.SetGenerateName(object.GetName() + "-")
	object.SetName("")
	if err := cluster.Create(t.Context(), object, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
		t.Fatal(err)
	}
	return object
}

// refused demands that the API server refuses, at this field and in these words.
func refused(t *testing.T, err error, field, message string) {
	t.Helper()
	var status *apierrors.StatusError
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		t.Fatalf("got %v, want it refused as invalid: %s: %s", err, field, message)
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		if cause.Field == field && strings.Contains(cause.Message, message) {
			return
		}
	}
	t.Errorf("refused, but not at %s with %q:\n%v", field, message, err)
}
