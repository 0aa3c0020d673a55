// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// webhookRights: the process that meets traffic can't read a sign-in credential or
// a tenant's Secret, and can't write anything that is believed.
func webhookRights(t *testing.T, c *cluster) {
	t.Helper()
	webhook := c.serviceAccount(t, webhookNamespace, "webhook")
	check(t, webhook, map[string]access{
		"policies":               {"the snapshot", "tokenpolicies.introspection.dev", "", read, write},
		"policy status":          {"a verdict of its own on a policy would be believed", "tokenpolicies.introspection.dev/status", "", "", "get,update,patch"},
		"clients":                {"it gets projections, not objects", "introspectionclients.introspection.dev", "", "", all},
		"client status":          {"a forged Ready", "introspectionclients.introspection.dev/status", "", "", "get,update,patch"},
		"servers":                {"they name sign-in Secrets and who has access", "clusterauthorizationservers.introspection.dev", "", "", all},
		"own Secrets":            {"what the controller wrote for it", "secrets", webhookNamespace, read, write},
		"records":                {"sign-in credentials, CA key", "secrets", controllerNamespace, "", all},
		"a tenant's Secrets":     {"CVE-2025-1974: an endpoint beside all Secrets", "secrets", tenantNamespace, "", all},
		"all Secrets":            {"the same", "secrets", "", "", all},
		"hints":                  {"to the controller", "events.events.k8s.io", webhookNamespace, "create", read + ",update,patch,delete"},
		"hints elsewhere":        {"Events that people read as the operator's", "events.events.k8s.io", tenantNamespace, "", all},
		"old Events":             {"not used", "events", webhookNamespace, "", all},
		"tokens here":            {"client assertions; of which accounts is narrowed at admission", "serviceaccounts/token", webhookNamespace, "create", ""},
		"tokens there":           {"the controller's token is all Secrets", "serviceaccounts/token", controllerNamespace, "", "create"},
		"ServiceAccounts":        {"not its business", "serviceaccounts", webhookNamespace, "", all + ",impersonate"},
		"impersonation":          {"nobody else", "users", "", "", "impersonate"},
		"ConfigMaps":             {"its file is mounted by the kubelet", "configmaps", webhookNamespace, "", all},
		"CA bundles":             {"they come with the projections", "configmaps", controllerNamespace, "", all},
		"leases":                 {"replicas don't elect", "leases.coordination.k8s.io", webhookNamespace, "", all},
		"namespaces":             {"access is worked out by the controller", "namespaces", "", "", all},
		"own pods":               {"a process that starts pods reads what they mount", "pods", webhookNamespace, "", all},
		"exec":                   {"the same", "pods/exec", webhookNamespace, "", "create,get"},
		"own Deployment":         {"the same", "deployments.apps", webhookNamespace, "", all},
		"roles":                  {"no right to more rights", "roles.rbac.authorization.k8s.io", webhookNamespace, "", all + ",bind,escalate"},
		"CRDs":                   {"not its business", "customresourcedefinitions.apiextensions.k8s.io", "", "", all},
		"anything, all verbs":    {"no wildcard", "*.*", "", "", "*"},
		"token and access tries": {"callers' tokens are verified by the cluster's keys", "tokenreviews.authentication.k8s.io", "", "", "create"},
	})

	policies := "tokenpolicies.introspection.dev " + read
	exactly(t, c, webhook, webhookNamespace, policies, "secrets "+read, "events.events.k8s.io create", "serviceaccounts/token create")
	exactly(t, c, webhook, controllerNamespace, policies)
	exactly(t, c, webhook, tenantNamespace, policies)

	for _, path := range []string{"/.well-known/openid-configuration", "/openid/v1/jwks"} {
		if _, err := webhook.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(t.Context()); err != nil {
			t.Errorf("what callers' tokens are verified by: %v", err)
		}
	}
	if _, err := webhook.CoreV1().Secrets(webhookNamespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("its own Secrets: %v", err)
	}
	if _, err := webhook.CoreV1().Secrets(controllerNamespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the records: got %v, want Forbidden", err)
	}
	_, err := webhook.CoreV1().ServiceAccounts(controllerNamespace).CreateToken(t.Context(), "controller", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("a token of the controller: got %v, want Forbidden", err)
	}
}

// controllerRights: no more than its list.
func controllerRights(t *testing.T, c *cluster) {
	t.Helper()
	controller := c.serviceAccount(t, controllerNamespace, "controller")
	check(t, controller, map[string]access{
		"servers":           {"finalizers by merge patch", "clusterauthorizationservers.introspection.dev", "", read + ",patch", "create,update,delete,deletecollection"},
		"clients":           {"the same", "introspectionclients.introspection.dev", "", read + ",patch", "create,update,delete,deletecollection"},
		"policies":          {"no finalizer", "tokenpolicies.introspection.dev", "", read, write},
		"client status":     {"what it found", "introspectionclients.introspection.dev/status", "", "patch", "update"},
		"policy status":     {"what it found", "tokenpolicies.introspection.dev/status", "", "patch", "update"},
		"server status":     {"what it found", "clusterauthorizationservers.introspection.dev/status", "", "patch", "update"},
		"Secrets":           {"mounted Secrets, everywhere; what it may write is narrowed at admission", "secrets", "", read + ",create,update,delete", "patch,deletecollection"},
		"namespaces":        {"access goes by their labels", "namespaces", "", read, write},
		"CA bundles":        {"in its own namespace", "configmaps", controllerNamespace, read, write},
		"others' ConfigMap": {"no reference crosses namespaces", "configmaps", tenantNamespace, "", all},
		"leases":            {"one leader", "leases.coordination.k8s.io", controllerNamespace, "get,create,update", "delete,deletecollection"},
		"others' leases":    {"another's leader", "leases.coordination.k8s.io", "kube-system", "", all},
		"events":            {"about our objects", "events.events.k8s.io", "", "create,patch", "get,list,watch,update,delete"},
		"hints":             {"only those of the webhook's namespace are believed", "events.events.k8s.io", webhookNamespace, read, "delete"},
		"others' hints":     {"a tenant may write there what he likes", "events.events.k8s.io", tenantNamespace, "create", read},
		"nodes":             {"not its business", "nodes", "", "", all},
		"pods":              {"whoever starts pods is every ServiceAccount", "pods", controllerNamespace, "", all},
		"deployments":       {"the same", "deployments.apps", tenantNamespace, "", all},
		"cluster roles":     {"no right to more rights", "clusterroles.rbac.authorization.k8s.io", "", "", all + ",bind,escalate"},
		"role bindings":     {"the same", "rolebindings.rbac.authorization.k8s.io", controllerNamespace, "", all},
		"accounts":          {"of its clients; which ones is narrowed at admission", "serviceaccounts", webhookNamespace, "create,delete", read + ",update,patch,deletecollection,impersonate"},
		"others' accounts":  {"not its business", "serviceaccounts", tenantNamespace, "", all},
		"tokens":            {"to prove a client by; of which accounts is narrowed at admission", "serviceaccounts/token", webhookNamespace, "create", ""},
		"tokens here":       {"its own only, by name", "serviceaccounts/token", controllerNamespace, "", "create"},
		"tokens there":      {"nobody's", "serviceaccounts/token", tenantNamespace, "", "create"},
		"impersonation":     {"nobody else", "users", "", "", "impersonate"},
		"CRDs":              {"the installation's", "customresourcedefinitions.apiextensions.k8s.io", "", "", all},
		"admission":         {"it can't lift what narrows its Secrets", "validatingadmissionpolicies.admissionregistration.k8s.io", "", "", all},
		"its own binding":   {"the same", "validatingadmissionpolicybindings.admissionregistration.k8s.io", "", "", all},
	})

	everywhere := []string{
		"clusterauthorizationservers.introspection.dev " + read + ",patch",
		"introspectionclients.introspection.dev " + read + ",patch",
		"tokenpolicies.introspection.dev " + read,
		"clusterauthorizationservers/status.introspection.dev patch",
		"introspectionclients/status.introspection.dev patch",
		"tokenpolicies/status.introspection.dev patch",
		"introspectionclients/finalizers.introspection.dev update",
		"namespaces " + read,
		"secrets " + read + ",create,update,delete",
		"events.events.k8s.io create,patch",
	}
	exactly(t, c, controller, tenantNamespace, everywhere...)
	exactly(t, c, controller, webhookNamespace, append([]string{
		"events.events.k8s.io " + read, "serviceaccounts create,delete", "serviceaccounts/token create",
	}, everywhere...)...)
	exactly(t, c, controller, controllerNamespace, append([]string{
		"configmaps " + read, "leases.coordination.k8s.io get,create,update", "events create,patch", "serviceaccounts/token create",
	}, everywhere...)...)
}

// controllerSecrets: RBAC has to give it all Secrets; admission takes back those
// that are none of its business.
func controllerSecrets(t *testing.T, c *cluster) {
	t.Helper()
	controller := c.serviceAccount(t, controllerNamespace, "controller")
	const mounted = corev1.SecretType("servicebinding.io/oauth2-introspection")
	const account = corev1.SecretTypeServiceAccountToken

	tenants, err := c.admin.CoreV1().Secrets(tenantNamespace).Create(t.Context(), secret("database", corev1.SecretTypeOpaque), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The API server takes a moment until a new policy is in force.
	eventually(t, "the admission policy is in force", func(ctx context.Context) (bool, error) {
		_, err := controller.CoreV1().Secrets(tenantNamespace).Create(ctx, secret("early", corev1.SecretTypeOpaque), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err), nil
	})

	create := func(namespace, name string, kind corev1.SecretType) func() error {
		return func() error {
			_, err := controller.CoreV1().Secrets(namespace).Create(t.Context(), secret(name, kind), metav1.CreateOptions{})
			return err
		}
	}
	cases := map[string]struct {
		reason  string
		do      func() error
		allowed bool
	}{
		"record":               {"its own", create(controllerNamespace, "record-probe", corev1.SecretTypeOpaque), true},
		"certificate":          {"the webhook's", create(webhookNamespace, "certificate-probe", corev1.SecretTypeOpaque), true},
		"mounted":              {"what it is for", create(tenantNamespace, "mounted-probe", mounted), true},
		"a tenant's new":       {"not its type", create(tenantNamespace, "opaque-probe", corev1.SecretTypeOpaque), false},
		"kube-system":          {"a token of any controller of the cluster", create("kube-system", "token-probe", account), false},
		"a token of its own":   {"of the webhook's identity, without end", create(webhookNamespace, "token-probe", account), false},
		"a tenant's, changed":  {"somebody's database", func() error { return update(t.Context(), controller, tenants) }, false},
		"a tenant's, deleted":  {"the same", func() error { return remove(t.Context(), controller, tenants) }, false},
		"its own, deleted":     {"with the object", func() error { return remove(t.Context(), controller, ownMounted(t, controller, mounted)) }, true},
		"others are untouched": {"the policy is about the controller only", func() error { return update(t.Context(), c.admin, tenants) }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.do()
			switch {
			case tc.allowed && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case !tc.allowed && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "writes no Secret but its own")):
				t.Errorf("%s: got %v, want a refusal by the admission policy", tc.reason, err)
			}
		})
	}
}

func secret(name string, kind corev1.SecretType) *corev1.Secret {
	made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind}
	if kind == corev1.SecretTypeServiceAccountToken {
		made.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
	}
	return made
}

func ownMounted(t *testing.T, client *kubernetes.Clientset, kind corev1.SecretType) *corev1.Secret {
	t.Helper()
	made, err := client.CoreV1().Secrets(tenantNamespace).Create(t.Context(), secret("short-lived", kind), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func update(ctx context.Context, client *kubernetes.Clientset, found *corev1.Secret) error {
	changed := found.DeepCopy()
	changed.ResourceVersion = ""
	changed.Data = map[string][]byte{"password": []byte("changed")}
	_, err := client.CoreV1().Secrets(found.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
	return err
}

func remove(ctx context.Context, client *kubernetes.Clientset, found *corev1.Secret) error {
	return client.CoreV1().Secrets(found.Namespace).Delete(ctx, found.Name, metav1.DeleteOptions{})
}
