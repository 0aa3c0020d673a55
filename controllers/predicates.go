// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// declared passes what a user changes, and a finalizer that somebody took off;
// not our own status.
func declared() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || // deleted and made anew while the watch was down
			e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			!slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers())
	}}
}

// serverChanged passes what matters to a server's clients.
func serverChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.ClusterAuthorizationServer)
		after, ok2 := e.ObjectNew.(*v1alpha1.ClusterAuthorizationServer)
		return !ok1 || !ok2 || before.UID != after.UID || before.Generation != after.Generation ||
			readyReason(before) != readyReason(after) ||
			!equality.Semantic.DeepEqual(before.Status.Endpoints, after.Status.Endpoints) ||
			!slices.Equal(methodsOf(before), methodsOf(after))
	}}
}

// abilitiesChanged passes what matters to the policies of a server's clients.
func abilitiesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.ClusterAuthorizationServer)
		after, ok2 := e.ObjectNew.(*v1alpha1.ClusterAuthorizationServer)
		return !ok1 || !ok2 || before.UID != after.UID ||
			!equality.Semantic.DeepEqual(before.Status.Endpoints, after.Status.Endpoints) ||
			!equality.Semantic.DeepEqual(before.Status.Capabilities, after.Status.Capabilities)
	}}
}

// methodsOf are the ways in which clients can prove themselves there.
func methodsOf(s *v1alpha1.ClusterAuthorizationServer) []string {
	if s.Status.Capabilities == nil {
		return nil
	}
	return s.Status.Capabilities.AuthenticationMethods
}

// readyReason is what clients repeat of a server: it has no reason of the past.
func readyReason(s *v1alpha1.ClusterAuthorizationServer) string {
	if c := apimeta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

// conditionsChanged passes changes of the named conditions, and of the spec.
func conditionsChanged(of func(client.Object) *status, types ...string) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := of(e.ObjectOld), of(e.ObjectNew)
		if before == nil || after == nil || before.generation != after.generation || e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
			return true
		}
		return slices.ContainsFunc(types, func(t string) bool {
			return apimeta.IsStatusConditionTrue(*before.conditions, t) != apimeta.IsStatusConditionTrue(*after.conditions, t)
		})
	}}
}

func statusOf(o client.Object) *status {
	switch o := o.(type) {
	case *v1alpha1.IntrospectionClient:
		return &status{&o.Status.Conditions, o.Generation}
	case *v1alpha1.TokenPolicy:
		return &status{&o.Status.Conditions, o.Generation}
	default:
		return nil
	}
}

// labelsChanged passes what access hangs on.
func labelsChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}

// byOthers passes what we did not write ourselves.
func byOthers(store *credential.Store) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !store.WroteLast(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return !store.WroteLast(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			store.Forget(e.Object)
			return true
		},
	}
}
