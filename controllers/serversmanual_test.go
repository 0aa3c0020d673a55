// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// bring writes the Secret that a user brings.
func (w *world) bring(clientID, secret string) {
	w.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "brought"}, Data: map[string][]byte{"client_id": []byte(clientID), "client_secret": []byte(secret)}}
	if err := w.kube.Update(w.t.Context(), s); err != nil {
		w.create(s)
	}
}

func TestManual(t *testing.T) {
	w := newWorld(t)
	idp, _ := w.oauthServer(oauth.Options{Clients: []oauth.Client{{ID: "theirs", Secret: "one"}, {ID: "next", Secret: "two"}}})
	server := w.manualServer(idp.Issuer())
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.ExistingSecretName = "brought" })
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonExistingSecretNotFound)
	w.bring("theirs", "wrong")
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
	w.bring("theirs", "one")
	w.ready(c)
	w.bring("next", "not yet")
	words := w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
	projected, err := credential.DecodeWebhookClient(w.secret(w.config.WebhookNamespace, credential.KindClient+"-"+credential.Object{Namespace: w.tenant, Name: "orders"}.Hash()).Data)
	if err != nil || !projected.Verified || projected.Credentials[0].Secret != "one" || !strings.Contains(words, "in use") {
		t.Errorf("the one that works is not in use any more: %v, %s", err, words)
	}
	w.bring("next", "two")
	w.ready(c)
	w.eventually("the new one is in use", func(ctx context.Context) error {
		if r := w.recordNow(ctx, c); r.ClientID != "next" || r.Next != nil || r.Current.Secret != "two" {
			return fmt.Errorf("client id %s", r.ClientID)
		}
		return nil
	})
	for _, call := range idp.Calls() {
		if strings.HasSuffix(call.Path, "/register") {
			t.Errorf("something was registered: %s", call)
		}
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	w.secret(w.tenant, "brought")
}

func TestExistingSecretsAreForManualServers(t *testing.T) {
	w := newWorld(t)
	_, server := w.oauthServer(oauth.Options{})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.ExistingSecretName = "brought" })
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonExistingSecretNotAllowed)
}

// A Secret that a user breaks is told, and what worked goes on.
func TestABrokenBroughtSecretTakesNobodyOut(t *testing.T) {
	w := newWorld(t)
	idp, _ := w.oauthServer(oauth.Options{Clients: []oauth.Client{{ID: "theirs", Secret: "one"}}})
	w.create(w.manualServer(idp.Issuer()))
	w.start(nil)
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.ExistingSecretName = "brought" })
	w.create(c)
	w.bring("theirs", "one")
	w.ready(c)
	w.bring("theirs", "\xff\xfe")
	w.condition(c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonExistingSecretInvalid)
	name := credential.KindClient + "-" + credential.Object{Namespace: w.tenant, Name: "orders"}.Hash()
	projected, err := credential.DecodeWebhookClient(w.secret(w.config.WebhookNamespace, name).Data)
	if err != nil || len(projected.Credentials) != 1 || projected.Credentials[0].Secret != "one" {
		t.Errorf("the webhook knows %d credentials (%v)", len(projected.Credentials), err)
	}
	if c.Status.Credential.Fingerprint == "" {
		t.Error("the workload's own secret has no fingerprint")
	}
}
