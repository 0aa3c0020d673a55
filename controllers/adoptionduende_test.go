// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
)

// Our secret stands beside the host's own, and goes alone; the mapping is undone.
func TestAdoptionAtDuendeIsUndone(t *testing.T) {
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	letsAdopt(server)
	w.create(server)
	name := w.tenant + ".orders"
	idp.AddResource(duende.Resource{
		Name: name, Scopes: []string{ordersScope}, RequireResourceIndicator: true,
		Secrets: []duende.Secret{{Type: "SharedSecret", Value: duende.Hash("of the host")}},
	})
	before, _ := idp.Resource(name)
	w.start(nil)
	c := w.clientObject("orders", adopts)
	w.create(c)
	w.says(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAdoptionRefused, "scope orders.read", true)
	scoped(c)
	w.update(c)
	w.ready(c)
	if is, _ := idp.Resource(name); len(is.Secrets) != 2 || is.RequireResourceIndicator {
		t.Errorf("adopted: %d secrets, by name only: %t", len(is.Secrets), is.RequireResourceIndicator)
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	is, _ := idp.Resource(name)
	if diff := cmp.Diff(before, is); diff != "" {
		t.Errorf("given back (-was +is):\n%s", diff)
	}
}
