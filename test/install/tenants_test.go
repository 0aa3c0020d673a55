// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	clients  = "introspectionclients.introspection.dev"
	policies = "tokenpolicies.introspection.dev"
	servers  = "clusterauthorizationservers.introspection.dev"
)

// tenantsMayNothing: before the installation nobody's role knows our kinds, so that
// what is found later is the installation's work.
func tenantsMayNothing(t *testing.T, c *cluster) {
	t.Helper()
	for _, name := range []string{"admin", "edit", "view"} {
		client, _ := c.person(t, name)
		check(t, client, map[string]access{
			name + " before": {"no role names our kinds yet", clients, tenantNamespace, "", all},
		})
	}
}

// tenantRights: who may edit or view a namespace may edit or view our kinds there,
// once the controller-manager has aggregated the roles.
func tenantRights(t *testing.T, c *cluster) {
	t.Helper()
	editor, config := c.person(t, "edit")
	viewer, _ := c.person(t, "view")
	admin, _ := c.person(t, "admin")
	auditor, _ := c.person(t, "auditor")
	binder, _ := c.person(t, "binder")
	eventually(t, "the roles are aggregated", func(ctx context.Context) (bool, error) {
		edit, err := mayI(ctx, editor, "create", clients, tenantNamespace)
		if err != nil || !edit {
			return false, err
		}
		administer, err := mayI(ctx, admin, "create", clients, tenantNamespace)
		if err != nil || !administer {
			return false, err
		}
		audit, err := mayI(ctx, auditor, "get", servers, "")
		if err != nil || !audit {
			return false, err
		}
		return mayI(ctx, binder, "get", clients, tenantNamespace)
	})

	owner := map[string]access{
		"clients":          {"their own", clients, tenantNamespace, all, ""},
		"policies":         {"their own", policies, tenantNamespace, all, ""},
		"client status":    {"a forged Ready would be believed", clients + "/status", tenantNamespace, "", "update,patch"},
		"policy status":    {"the same", policies + "/status", tenantNamespace, "", "update,patch"},
		"finalizers":       {"the controller's", clients + "/finalizers", tenantNamespace, "", "update,patch"},
		"servers":          {"where the operator sends its credentials is the platform's word", servers, "", "", all},
		"server status":    {"the same", servers + "/status", "", "", "update,patch"},
		"other namespaces": {"a role in one namespace", clients, "default", "", all},
		"records":          {"the operator's", "secrets", controllerNamespace, "", all},
		"forged hints":     {"Events in the webhook's namespace are believed", "events.events.k8s.io", webhookNamespace, "", "create,patch"},
	}
	reader := map[string]access{
		"clients":  {"to see whether it works", clients, tenantNamespace, read, write},
		"policies": {"the same", policies, tenantNamespace, read, write},
		"servers":  {"cluster-scoped: a role in a namespace does not show them", servers, "", "", all},
	}
	t.Run("edit", func(t *testing.T) { check(t, editor, owner) })
	t.Run("admin", func(t *testing.T) { check(t, admin, owner) })
	t.Run("view", func(t *testing.T) { check(t, viewer, reader) })
	t.Run("auditor", func(t *testing.T) {
		check(t, auditor, map[string]access{
			"servers": {"view in the whole cluster", servers, "", read, write},
			"clients": {"the same", clients, "", read, write},
			"secrets": {"view shows none", "secrets", "", "", all},
		})
	})
	t.Run("service binding", func(t *testing.T) {
		check(t, binder, map[string]access{
			"clients":  {"to read status.binding.name, of any namespace", clients, "", read, write},
			"policies": {"nothing is bound to one", policies, "", "", all},
			"servers":  {"nor to one of these", servers, "", "", all},
		})
	})
	t.Run("writing", func(t *testing.T) { editorWrites(t, dynamic.NewForConfigOrDie(config)) })
}

// editorWrites does it: a client of one's own, and a status that one would like.
func editorWrites(t *testing.T, editor dynamic.Interface) {
	t.Helper()
	resource := editor.Resource(schema.GroupVersionResource{Group: "introspection.dev", Version: "v1alpha1", Resource: "introspectionclients"}).Namespace(tenantNamespace)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "introspection.dev/v1alpha1",
		"kind":       "IntrospectionClient",
		"metadata":   map[string]any{"name": "invoices"},
		"spec":       map[string]any{"authorizationServerRef": map[string]any{"name": "corporate"}},
	}}
	made, err := resource.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(made.Object, "forged", "status", "clientID"); err != nil {
		t.Fatal(err)
	}
	if _, err := resource.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a status by hand: got %v, want Forbidden", err)
	}
	updated, err := resource.Update(t.Context(), made, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if found, _, _ := unstructured.NestedString(updated.Object, "status", "clientID"); found != "" {
		t.Errorf("a status written beside the spec stayed: %q", found)
	}
}
