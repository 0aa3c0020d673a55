// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// patience is for what other processes of the cluster do: they tell nobody when they are done.
const patience = time.Minute

// cluster is a real control plane, and how to reach it.
type cluster struct {
	plane      *env.ControlPlane
	admin      *kubernetes.Clientset
	kubeconfig []string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	plane := env.ControlPlaneForTest(t, env.ControlPlaneOptions{ControllerManager: true})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(path, plane.Config()); err != nil {
		t.Fatal(err)
	}
	return &cluster{plane: plane, admin: clientset(t, plane.Config()), kubeconfig: []string{"KUBECONFIG=" + path, "HELM_CACHE_HOME=" + t.TempDir()}}
}

func clientset(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1 // hundreds of questions, and nobody else to be kind to
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// serviceAccount is a client that is that account, by a token of its own.
func (c *cluster) serviceAccount(t *testing.T, namespace, name string) *kubernetes.Clientset {
	t.Helper()
	config, err := c.plane.ServiceAccountConfig(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return clientset(t, config)
}

// eventually waits for what another process of the cluster does.
func eventually(t *testing.T, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, done); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// installation is a way to install, and what it renders.
type installation struct {
	reason  string
	install func(t *testing.T, c *cluster)
	objects func(t *testing.T) []*unstructured.Unstructured
}

func installations() map[string]installation {
	return map[string]installation{
		"kustomize": {
			reason: "config/default, and once more: an upgrade",
			install: func(t *testing.T, c *cluster) {
				t.Helper()
				for range 2 {
					must(t, c.kubeconfig, kubectl(t), "apply", "--server-side", "-k", kustomization)
				}
			},
			objects: func(t *testing.T) []*unstructured.Unstructured { t.Helper(); return renderKustomize(t, kustomization) },
		},
		"chart": {
			reason: "as the documentation says, and an upgrade that declares gateways",
			install: func(t *testing.T, c *cluster) {
				t.Helper()
				where := []string{release, chart, "--namespace", controllerNamespace}
				must(t, c.kubeconfig, helm(t), append([]string{"install", "--create-namespace"}, where...)...)
				must(t, c.kubeconfig, kubectl(t), "label", "namespace", controllerNamespace, "pod-security.kubernetes.io/enforce=restricted")
				must(t, c.kubeconfig, helm(t), append([]string{"upgrade", "--values", valuesFile(t, gateways)}, where...)...)
			},
			objects: func(t *testing.T) []*unstructured.Unstructured { t.Helper(); return renderChart(t) },
		},
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	for name, tc := range installations() {
		// One after the other: two control planes at once are slow on a small machine.
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			c := startCluster(t)
			bindTenants(t, c)
			tenantsMayNothing(t, c)

			tc.install(t, c)
			must(t, c.kubeconfig, kubectl(t), "wait", "--for=condition=Established", "--timeout=60s", "crd",
				"clusterauthorizationservers.introspection.dev", "introspectionclients.introspection.dev", "tokenpolicies.introspection.dev")

			t.Run("everything is there", func(t *testing.T) { everythingIsThere(t, c, tc.objects(t)) })
			t.Run("samples", func(t *testing.T) { samplesApply(t, c) })
			t.Run("pod security", func(t *testing.T) { podsAreRestricted(t, c, tc.objects(t)) })
			t.Run("webhook", func(t *testing.T) { webhookRights(t, c) })
			t.Run("controller", func(t *testing.T) { controllerRights(t, c) })
			t.Run("controller's Secrets", func(t *testing.T) { controllerSecrets(t, c) })
			t.Run("controller's ServiceAccounts", func(t *testing.T) { controllerAccounts(t, c) })
			t.Run("tokens", func(t *testing.T) { operatorTokens(t, c) })
			t.Run("tenants", func(t *testing.T) { tenantRights(t, c) })
			if name == "chart" {
				t.Run("uninstall", func(t *testing.T) { uninstallKeepsData(t, c) })
			}
		})
	}
}

// samplesApply takes the samples of each kind of server, the one of config/samples last.
// Their objects have the same names, and no server turns into one of another kind.
func samplesApply(t *testing.T, c *cluster) {
	t.Helper()
	const samples = "../../config/samples"
	kustomizations, err := filepath.Glob(samples + "/*/kustomization.yaml")
	if err != nil || len(kustomizations) < 3 {
		t.Fatalf("%d samples beside a Keycloak's: %v", len(kustomizations), err)
	}
	for _, file := range append(kustomizations, samples+"/kustomization.yaml") {
		must(t, c.kubeconfig, kubectl(t), "delete", "clusterauthorizationservers,introspectionclients,tokenpolicies", "--all", "--all-namespaces")
		must(t, c.kubeconfig, kubectl(t), "apply", "--server-side", "-k", filepath.Dir(file))
	}
}

// everythingIsThere asks the server for each object that was rendered.
func everythingIsThere(t *testing.T, c *cluster, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == "ConfigMap" {
			continue // its name or content is the installation's own
		}
		args := []string{"get", object.GetKind() + "." + object.GroupVersionKind().Version + "." + object.GroupVersionKind().Group, object.GetName()}
		if namespace := object.GetNamespace(); namespace != "" {
			args = append(args, "--namespace", namespace)
		}
		if _, err := command(t.Context(), c.kubeconfig, kubectl(t), args...); err != nil {
			t.Errorf("%s was rendered and is not there: %v", key(object), err)
		}
	}
}

// podsAreRestricted creates each Deployment's pod where it will run.
func podsAreRestricted(t *testing.T, c *cluster, objects []*unstructured.Unstructured) {
	t.Helper()
	pods := 0
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		template, _, err := unstructured.NestedMap(object.Object, "spec", "template")
		if err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, pod); err != nil {
			t.Fatal(err)
		}
		pods++
		pod.Name, pod.Namespace = "probe-"+object.GetName(), object.GetNamespace()
		if _, err := c.admin.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Errorf("the pod of %s is refused: %v", object.GetName(), err)
		}
		// The namespace does enforce it: the same pod with more rights is refused.
		pod.Name, pod.Spec.HostNetwork = "probe-host", true
		if _, err := c.admin.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("a pod on the host's network in %s: got %v, want Forbidden", pod.Namespace, err)
		}
	}
	if pods != 2 {
		t.Errorf("%d Deployments were rendered, want 2", pods)
	}
}

// uninstallKeepsData: what only exists once outlives the chart.
func uninstallKeepsData(t *testing.T, c *cluster) {
	t.Helper()
	must(t, c.kubeconfig, helm(t), "uninstall", release, "--namespace", controllerNamespace)
	must(t, c.kubeconfig, kubectl(t), "get", "introspectionclient", "orders", "--namespace", tenantNamespace)
	must(t, c.kubeconfig, kubectl(t), "get", "secret", "record-probe", "--namespace", controllerNamespace)
	eventually(t, "the webhook's namespace, which holds copies only, goes", func(ctx context.Context) (bool, error) {
		_, err := c.admin.CoreV1().Namespaces().Get(ctx, webhookNamespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// bindTenants makes a namespace, and people with the roles that every cluster has.
func bindTenants(t *testing.T, c *cluster) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenantNamespace}}
	if _, err := c.admin.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	role := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	user := func(name string) []rbacv1.Subject {
		return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}
	}
	for _, name := range []string{"admin", "edit", "view"} {
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: role(name), Subjects: user(name)}
		if _, err := c.admin.RbacV1().RoleBindings(tenantNamespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// A Service Binding implementation's role aggregates whatever bears its label (Service
	// Binding for Kubernetes 1.1).
	binder := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "binder"},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
			{MatchLabels: map[string]string{"servicebinding.io/controller": "true"}},
		}},
	}
	if _, err := c.admin.RbacV1().ClusterRoles().Create(t.Context(), binder, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for person, name := range map[string]string{"auditor": "view", "binder": "binder"} {
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: person}, RoleRef: role(name), Subjects: user(person)}
		if _, err := c.admin.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
