// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

const clusterAlias = "cluster"

// No secret anywhere: the operator signs in by its own ServiceAccount's token, and the client
// introspects by that of one made for it, both of the real API server.
func TestSecretless(t *testing.T) {
	w := newWorld(t)
	w.idp.TrustCluster(clusterAlias, clusterIssuer.URL, clusterIssuer.Client())
	w.idp.EditClient(operatorID, map[string]any{
		"clientAuthenticatorType": "federated-jwt", "secret": "nobody-knows-it",
		"attributes": map[string]any{"jwt.credential.issuer": clusterAlias, "jwt.credential.sub": "system:serviceaccount:" + w.config.SystemNamespace + ":" + controllerServiceAccount},
	})
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: controllerServiceAccount}})
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Credentials = &v1alpha1.ServerCredentials{ServiceAccountToken: v1alpha1.ServiceAccountTokenEnabled}
		s.Spec.Keycloak.ServiceAccountIssuer = clusterAlias
	}))
	w.start(nil)
	c := w.clientObject("orders", method(v1alpha1.MethodServiceAccountJWT))
	w.create(c)
	w.ready(c)
	registered := w.idp.Client(w.tenant + ".orders")
	attributes, _ := registered["attributes"].(map[string]any)
	name := credential.ServiceAccountName(credential.Object{Namespace: w.tenant, Name: "orders"})
	if registered["clientAuthenticatorType"] != "federated-jwt" || attributes["jwt.credential.sub"] != "system:serviceaccount:"+w.config.WebhookNamespace+":"+name {
		t.Errorf("registered with %v, attributes %v", registered["clientAuthenticatorType"], slices.Sorted(maps.Keys(attributes)))
	}
	if record := w.record(c); record.Current.Secret != "" || record.Current.PrivateKey != "" {
		t.Error("the record holds a secret of the server's")
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	account := &corev1.ServiceAccount{}
	if err := w.kube.Get(t.Context(), client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: name}, account); !apierrors.IsNotFound(err) {
		t.Errorf("the ServiceAccount outlived its client: %v", err)
	}
}

// A realm whose object names no identity provider can't have such clients, and says what to set.
func TestServiceAccountJWTNeedsAnIssuer(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	w.start(nil)
	c := w.clientObject("orders", method(v1alpha1.MethodServiceAccountJWT))
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonMethodNotSupported)
}
