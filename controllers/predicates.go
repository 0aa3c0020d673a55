// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
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

// byOthers has those looked at whose Secrets we did not write ourselves. Of a write of ours the
// watch may tell before the call returns: that is waited for, and holds no other event up.
func byOthers(store *credential.Store, whose func(context.Context, client.Object) requests) handler.EventHandler {
	heard := func(ctx context.Context, now client.Object, q queue, objects ...client.Object) {
		judge := func() {
			if store.WroteLast(now) {
				return
			}
			for _, o := range objects {
				for _, req := range whose(ctx, o) {
					q.Add(req)
				}
			}
		}
		under := store.UnderWay(now)
		if under == nil {
			judge()
			return
		}
		go func() {
			select {
			case <-under:
				judge()
			case <-ctx.Done():
			}
		}()
	}
	return handler.WithLowPriorityWhenUnchanged(handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { heard(ctx, e.Object, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			heard(ctx, e.ObjectNew, q, e.ObjectOld, e.ObjectNew) // by its old labels, and by the new
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			store.Forget(e.Object)
			heard(ctx, e.Object, q, e.Object)
		},
	})
}
