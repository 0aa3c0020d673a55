// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

const (
	issuerPath = "/realms/" + realmName
	apiScope   = "orders.read"
	audience   = "api" // the API server's
	account    = "api" // the ServiceAccount that may ask
)

// tested is a policy: whose client asks, and how old an answer may be.
type tested struct {
	name, client string
	maxAge       time.Duration
	opaque       v1alpha1.OpaqueTokens
}

// policies: two of one client, which share what is known of a token, and one of another,
// which learns nothing of what those ask anew.
func policies() []tested {
	return []tested{
		{"orders-3s", "orders", 3 * time.Second, v1alpha1.OpaqueRefused},
		{"orders-10s", "orders", 10 * time.Second, v1alpha1.OpaqueRefused},
		{"stock-10s", "stock", 10 * time.Second, v1alpha1.OpaqueAccepted},
	}
}

func listed() []string {
	var names []string
	for _, p := range policies() {
		names = append(names, tenantNamespace+"/"+p.name)
	}
	return names
}

// objects are what the platform team and the application team declare.
func (w *world) objects() []client.Object {
	named := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	label := map[string]string{"introspection.dev/server": "corporate"}
	all := []client.Object{
		&corev1.ConfigMap{ObjectMeta: named(systemNamespace, "proxy-ca"), Data: map[string]string{"ca.crt": string(w.proxy.CAPEM())}},
		&corev1.Secret{ObjectMeta: named(systemNamespace, "keycloak-operator"), StringData: map[string]string{
			"client_id": "introspection-operator", "client_secret": w.operatorSecret,
		}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenantNamespace, Labels: label}},
		&v1alpha1.ClusterAuthorizationServer{ObjectMeta: named("", "corporate"), Spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer: w.keycloak.URL() + issuerPath,
			Connection: v1alpha1.ServerConnection{
				URL: w.proxy.URL() + issuerPath, HostHeader: v1alpha1.HostHeaderIssuer, CABundle: &v1alpha1.CABundleReference{Name: "proxy-ca"},
				Timeout: &metav1.Duration{Duration: 4 * time.Second}, // on a machine that does other things too
			},
			Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "keycloak-operator"}},
			Keycloak:    &v1alpha1.KeycloakServer{TokenClients: []string{"web"}},
			Access:      &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{MatchLabels: label}},
		}},
	}
	for _, p := range policies() {
		if p.name == p.client+"-10s" {
			all = append(all, &v1alpha1.IntrospectionClient{ObjectMeta: named(tenantNamespace, p.client), Spec: v1alpha1.IntrospectionClientSpec{
				AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"}, PolicyRef: &v1alpha1.LocalReference{Name: p.name},
			}})
		}
		all = append(all, &v1alpha1.TokenPolicy{ObjectMeta: named(tenantNamespace, p.name), Spec: v1alpha1.TokenPolicySpec{
			Accept:    []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: p.client}, Opaque: p.opaque}},
			Require:   v1alpha1.TokenRequirements{Scopes: &v1alpha1.ScopeRequirement{AllOf: []string{apiScope}}},
			Freshness: v1alpha1.Freshness{MaxAge: &metav1.Duration{Duration: p.maxAge}},
			Surfaces: v1alpha1.Surfaces{
				Introspection: v1alpha1.IntrospectionSurface{ServiceAccounts: []v1alpha1.ServiceAccountReference{{Namespace: tenantNamespace, Name: account}}},
				TokenReview:   &v1alpha1.TokenReviewSurface{Username: "claims.sub", Audiences: []string{audience}},
			},
			Respond: v1alpha1.Response{Headers: []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}}},
		}})
	}
	return all
}

// apply creates the objects, and waits until each is Ready.
func (w *world) apply(ctx context.Context) error {
	var waiting []client.Object
	for _, o := range w.objects() {
		if err := w.kube.Create(ctx, o); err != nil {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
		if conditionsOf(o) != nil {
			waiting = append(waiting, o)
		}
	}
	for _, o := range waiting {
		err := wait.PollUntilContextTimeout(ctx, pollPause, startLimit, true, func(ctx context.Context) (bool, error) {
			if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return false, client.IgnoreNotFound(err)
			}
			return apimeta.IsStatusConditionTrue(*conditionsOf(o), v1alpha1.ConditionReady), nil
		})
		if err != nil {
			return fmt.Errorf("%T %s is not Ready: %w: %+v", o, o.GetName(), err, *conditionsOf(o))
		}
	}
	return nil
}

func conditionsOf(o client.Object) *[]metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.ClusterAuthorizationServer:
		return &o.Status.Conditions
	case *v1alpha1.IntrospectionClient:
		return &o.Status.Conditions
	case *v1alpha1.TokenPolicy:
		return &o.Status.Conditions
	}
	return nil
}

// mounted is the Secret that a client's workload mounts.
func (w *world) mounted(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := w.kube.Get(ctx, client.ObjectKey{Namespace: tenantNamespace, Name: name}, secret); err != nil {
		return nil, fmt.Errorf("reading the mounted Secret: %w", err)
	}
	for _, key := range []string{"client_id", "client_secret", "ca.crt"} {
		if len(secret.Data[key]) == 0 {
			return nil, errors.New("the mounted Secret has no " + key)
		}
	}
	return secret, nil
}

// revocation is what the status of a policy promises, by surface.
func (w *world) revocation(t *testing.T, policy string) map[string]string {
	t.Helper()
	object := &v1alpha1.TokenPolicy{}
	if err := w.kube.Get(t.Context(), client.ObjectKey{Namespace: tenantNamespace, Name: policy}, object); err != nil {
		t.Fatal(err)
	}
	bounds := map[string]string{}
	for _, r := range object.Status.Revocation {
		bounds[r.Surface+" "+r.TokenForm] = r.Bound
	}
	return bounds
}
