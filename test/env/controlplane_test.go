// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/introspection-dev/introspection-operator/test/env"
)

func TestControlPlane(t *testing.T) {
	cp := env.ControlPlaneForTest(t, env.ControlPlaneOptions{ControllerManager: true})
	admin := clients(t, cp.Config())

	t.Run("what has no owner any more is collected", func(t *testing.T) { collectsGarbage(t, admin) })
	t.Run("a namespace is emptied and goes", func(t *testing.T) { deletesNamespace(t, admin) })
	t.Run("an aggregated role is filled", func(t *testing.T) { aggregatesRole(t, admin) })
	t.Run("a service account may do what it is granted", func(t *testing.T) { limitsServiceAccount(t, cp, admin) })
	t.Run("kubectl works by a kubeconfig", func(t *testing.T) { kubectlWorks(t, cp) })
}

func collectsGarbage(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	owner, err := admin.CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reference := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}
	for name, owners := range map[string][]metav1.OwnerReference{"owned": {reference}, "free": nil} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}
		if _, err := admin.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.CoreV1().ConfigMaps("default").Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().Secrets("default").Get(ctx, "owned", metav1.GetOptions{})
		return absent(err)
	})
	if _, err := admin.CoreV1().Secrets("default").Get(t.Context(), "free", metav1.GetOptions{}); err != nil {
		t.Error("the Secret without an owner:", err)
	}
}

func deletesNamespace(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	const name = "goes"
	if _, err := admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "inside"}}
	if _, err := admin.CoreV1().Secrets(name).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := admin.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		return absent(err)
	})
}

func aggregatesRole(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	rules := []rbacv1.PolicyRule{{APIGroups: []string{"introspection.dev"}, Resources: []string{"tokenpolicies"}, Verbs: []string{"get"}}}
	part := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "part", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
		Rules:      rules,
	}
	if _, err := admin.RbacV1().ClusterRoles().Create(t.Context(), part, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		view, err := admin.RbacV1().ClusterRoles().Get(ctx, "view", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, rule := range view.Rules {
			if cmp.Equal(rule, rules[0]) {
				return nil
			}
		}
		return errors.New("the role view has no rule of ours")
	})
}

func limitsServiceAccount(t *testing.T, cp *env.ControlPlane, admin kubernetes.Interface) {
	t.Helper()
	cfg, err := cp.ServiceAccountConfig(t.Context(), "shop", "reader")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cp.ServiceAccountConfig(t.Context(), "shop", "reader"); err != nil || again.BearerToken == "" {
		t.Error("a second time:", err)
	}
	reader := clients(t, cfg)
	list := func() error {
		_, err := reader.CoreV1().ConfigMaps("shop").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("without a grant: %v", err)
	}
	role := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "shop", Name: "reader"}},
	}
	if _, err := admin.RbacV1().RoleBindings("shop").Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(context.Context) error { return list() })
	if _, err := reader.CoreV1().Secrets("shop").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("beyond the grant: %v", err)
	}
}

func kubectlWorks(t *testing.T, cp *env.ControlPlane) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "admin.kubeconfig")
	if err := cp.WriteKubeconfig(kubeconfig, cp.Config()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), cp.Kubectl(), "--kubeconfig", kubeconfig, "get", "namespaces", "--output=name").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "namespace/default") {
		t.Errorf("kubectl: %v %s", err, out)
	}
}

func TestControlPlaneMissing(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	_, err := env.StartControlPlane(t.Context(), env.ControlPlaneOptions{})
	if err == nil || !strings.Contains(err.Error(), "make envtest") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

func clients(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func absent(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return errors.New("still there")
}
