// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

const sampleIssuer = "https://sso.example.com/realms/acme"

// prepare makes what the installation and the platform team make.
func (c *cluster) prepare(ctx context.Context) error {
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "introspection-system"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "introspection"}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "introspection-system", Name: "keycloak-operator"},
			Data:       map[string][]byte{"client_id": []byte("introspection-operator"), "client_secret": []byte(signInSecret)},
		},
	} {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("preparing cluster %s: %w", c.name, err)
		}
	}
	return nil
}

// begin has the old cluster's sample at work, and the new cluster's server Ready.
func (w *world) begin(t *testing.T) {
	t.Helper()
	w.signInEverywhere(t)
	manifests, err := exec.CommandContext(t.Context(), w.old.plane.Kubectl(), "kustomize", filepath.Join(tree, "config", "samples")).Output()
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.ReplaceAll(string(manifests), sampleIssuer, w.idp.Issuer())
	var servers []string
	for part := range strings.SplitSeq(whole, "\n---\n") {
		if strings.Contains(part, "kind: Namespace\n") || strings.Contains(part, "kind: ClusterAuthorizationServer\n") {
			servers = append(servers, part)
		}
	}
	if len(servers) != 2 {
		t.Fatalf("the sample has %d of a namespace and a server", len(servers))
	}
	w.apply(t, &w.old, whole)
	w.apply(t, &w.young, strings.Join(servers, "\n---\n"))
	for _, c := range []*cluster{&w.old, &w.young} {
		eventually(t, "cluster "+c.name+" is Ready", c.ready)
	}
	eventually(t, "the endpoint answers", func(ctx context.Context) error {
		l, err := mount(ctx, &w.old)
		if err != nil {
			return err
		}
		return l.ask(ctx)
	})
}

// signInEverywhere writes the operator's secret of now into both clusters' Secrets.
func (w *world) signInEverywhere(t *testing.T) {
	t.Helper()
	secret, ok := w.idp.Client("introspection-operator")["secret"].(string)
	if !ok {
		t.Fatal("the operator's client has no secret")
	}
	for _, c := range []*cluster{&w.old, &w.young} {
		s := &corev1.Secret{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "introspection-system", Name: "keycloak-operator"}, s); err != nil {
			t.Fatal(err)
		}
		s.Data["client_secret"] = []byte(secret)
		if err := c.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) apply(t *testing.T, c *cluster, manifests string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.old.plane.Kubectl(), "--kubeconfig", w.kubeconfig, "--context", c.name, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifests)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func (w *world) kubectl(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.old.plane.Kubectl(), append([]string{"--kubeconfig", w.kubeconfig}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// remove deletes the client and waits until it is gone.
func (c *cluster) remove(t *testing.T) {
	t.Helper()
	w.kubectl(t, "--context", c.name, "-n", "shop", "delete", "ic/orders", "tp/orders", "--timeout", patience.String())
}

// ready says what of a cluster is not.
func (c *cluster) ready(ctx context.Context) error {
	servers, clients, policies := &v1alpha1.ClusterAuthorizationServerList{}, &v1alpha1.IntrospectionClientList{}, &v1alpha1.TokenPolicyList{}
	if err := errors.Join(c.List(ctx, servers), c.List(ctx, clients), c.List(ctx, policies)); err != nil {
		return err
	}
	if len(servers.Items) == 0 {
		return errors.New("there is no server")
	}
	var errs []error
	for i := range servers.Items {
		errs = append(errs, isTrue("server", servers.Items[i].Status.Conditions))
	}
	for i := range clients.Items {
		errs = append(errs, isTrue("client", clients.Items[i].Status.Conditions))
	}
	for i := range policies.Items {
		errs = append(errs, isTrue("policy", policies.Items[i].Status.Conditions))
	}
	return errors.Join(errs...)
}

func isTrue(what string, conditions []metav1.Condition) error {
	ready := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return fmt.Errorf("the %s was not looked at", what)
	}
	if ready.Status != metav1.ConditionTrue {
		return fmt.Errorf("the %s: %s: %s", what, ready.Reason, ready.Message)
	}
	return nil
}

func notReady(conditions []metav1.Condition) error {
	if apimeta.IsStatusConditionFalse(conditions, v1alpha1.ConditionReady) || apimeta.IsStatusConditionPresentAndEqual(conditions, v1alpha1.ConditionReady, metav1.ConditionUnknown) {
		return nil
	}
	return errors.New("it is Ready, or was not looked at")
}
