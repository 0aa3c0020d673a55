// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// An earlier object's credential goes to no other server: one that is declared
// anew under its name, for another server, is refused, and leaves alone what is
// the earlier one's when it is deleted.
func TestAnEarlierObjectsRecordIsNotCarriedToAnotherServer(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	before := w.record(c)
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	other := keycloak.New(keycloak.Options{Clients: []keycloak.Client{keycloak.Operator(operatorID, operatorPass), {ID: tokenClient, Secret: "s"}}})
	other.Start()
	t.Cleanup(other.Close)
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Name, s.Spec.Issuer = w.server+"-other", other.Issuer()
	}))
	again := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.AuthorizationServerRef.Name = w.server + "-other" })
	w.create(again)
	w.says(again, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonOwnershipConflict, "is still registered as", true)
	if other.Client(w.tenant+".orders") != nil {
		t.Error("it was registered at the other server")
	}
	if err := w.kube.Delete(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	w.gone(again)
	if after := w.record(c); after == nil || after.Current.Secret != before.Current.Secret || w.idp.Client(w.tenant+".orders") == nil {
		t.Error("what the earlier object had retained is gone")
	}
}

// Access that is withdrawn reaches the webhook though the server object is broken.
func TestAccessIsWithdrawnThoughTheServerCantBeReached(t *testing.T) {
	w, c := registered(t)
	hash := credential.Object{Name: w.server}.Hash()
	granted := func(ctx context.Context) (bool, error) {
		s := &corev1.Secret{}
		if err := w.kube.Get(ctx, client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: "server-" + hash}, s); err != nil {
			return false, err
		}
		server, err := credential.DecodeWebhookServer(s.Data)
		return slices.Contains(server.Namespaces, w.tenant), err
	}
	if ok, err := granted(t.Context()); err != nil || !ok {
		t.Fatalf("before: %t, %v", ok, err)
	}
	server := w.serverObject()
	w.ready(server)
	server.Spec.Access.NamespaceSelector.MatchLabels = map[string]string{"nobody": "has-this"}
	server.Spec.Connection.CABundle = &v1alpha1.CABundleReference{Kind: "ConfigMap", Name: "missing", Key: "ca.crt"}
	w.update(server)
	w.eventually("the namespace is taken off", func(ctx context.Context) error {
		if ok, err := granted(ctx); err != nil || ok {
			return errors.Join(err, errors.New("still granted"))
		}
		return nil
	})
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
}

// Who only refers to a server, without access, does not hold its deletion.
func TestAStrangerDoesNotHoldAServer(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	s := w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access = nil })
	w.create(s)
	w.ready(s)
	c := w.clientObject("orders")
	w.create(c)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	if err := w.kube.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.gone(s)
}

// Somebody made the mounted Secret immutable: it is replaced when it must change.
func TestAnImmutableSecretIsReplaced(t *testing.T) {
	w, c := registered(t)
	before := w.record(c)
	s := w.secret(w.tenant, "orders")
	s.Data["more"], s.Immutable = []byte("more"), new(true)
	w.update(s)
	w.eventually("it is as it was", func(ctx context.Context) error { return w.whole(ctx, c, before) })
}

// A tenant can't make the operator take a secret of its choice for the facade.
func TestAForgedSecretIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	object := credential.Object{Namespace: w.tenant, Name: "orders"}
	chosen := strings.Repeat("a", 64)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "orders", Labels: map[string]string{
			credential.LabelKind: credential.KindMounted, credential.LabelObject: object.Hash(),
			credential.LabelInstance: credential.Object{Name: w.config.Instance}.Hash(),
		}},
		Type: credential.Type, Data: map[string][]byte{"client_secret": []byte(chosen)},
	})
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	w.create(c)
	w.ready(c)
	if w.record(c).Facade.Secret.Reveal() == chosen {
		t.Error("the workload's secret is one that the tenant chose")
	}
}

// A private key that stands beside the CA goes nowhere.
func TestOnlyCertificatesOfABundle(t *testing.T) {
	cert := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	key := "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n"
	if got := string(certificatesOf([]byte("text\n" + key + cert + key + cert))); got != cert+cert {
		t.Errorf("kept %q", got)
	}
}
