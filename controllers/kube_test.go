// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// A cache that lags behind our own last write must not make us believe that the
// status is right: an object that was mended would stay broken.
func TestAStatusThatTheCacheDoesNotKnowYetIsReplaced(t *testing.T) {
	w := newWorld(t)
	c := w.clientObject("orders")
	w.create(c)
	writer := newStatusWriter(w.kube)
	ready := func(value metav1.ConditionStatus) *v1alpha1.IntrospectionClientStatus {
		s := &v1alpha1.IntrospectionClientStatus{ObservedGeneration: 1}
		apimeta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: value, Reason: "R"})
		return s
	}
	well := ready(metav1.ConditionTrue)
	for _, step := range []struct {
		before, after *v1alpha1.IntrospectionClientStatus
	}{
		{&v1alpha1.IntrospectionClientStatus{}, well},
		{well, ready(metav1.ConditionFalse)},
		{well.DeepCopy(), well}, // what was read is older than what was written last
	} {
		if err := writer.apply(t.Context(), c, step.before, step.after); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.kube.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
	if !apimeta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("it stays broken:%s", describe(c.Status.Conditions))
	}
	version := c.ResourceVersion
	if err := writer.apply(t.Context(), c, well, well); err != nil {
		t.Fatal(err)
	}
	if err := w.kube.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil || c.ResourceVersion != version {
		t.Errorf("nothing changed, and it was written (%v)", err)
	}
}

// A look that starts from a read older than our own last write, and ends early, must not
// write back what was true before.
func TestAStatusThatTheCacheDoesNotKnowYetIsBuiltOn(t *testing.T) {
	w := newWorld(t)
	c := w.clientObject("orders")
	w.create(c)
	stale := c.DeepCopy()
	writer := newStatusWriter(w.kube)
	if err := writer.apply(t.Context(), c, &c.Status, &v1alpha1.IntrospectionClientStatus{ObservedGeneration: 1, ClientID: "known"}); err != nil {
		t.Fatal(err)
	}
	newest(writer, stale, &stale.Status)
	if stale.Status.ClientID != "known" {
		t.Errorf("the older status is built on: %+v", stale.Status)
	}
	if err := w.kube.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
	c.Status.ClientID = "somebody wrote after us"
	newest(writer, c, &c.Status)
	if c.Status.ClientID == "known" {
		t.Error("what was read after our write was replaced by it")
	}
}
