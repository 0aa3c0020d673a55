// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// orphanGrace is how long a record waits for its object: a backup tool, or whoever deletes
// and creates, may bring it back.
const orphanGrace = time.Hour

// sweepReconciler finalizes from the record what has no object any more: a finalizer that
// somebody stripped leaves nothing behind. Where the object is there, which is nearly
// always, it asks nobody but caches.
type sweepReconciler struct {
	*clientReconciler

	orphans *orphans
}

func (r *sweepReconciler) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("sweep").
		Watches(&v1alpha1.IntrospectionClient{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(comesAndGoes())).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofLeftover), builder.WithPredicates(comesAndGoes())).
		WithOptions(options(2)).
		Complete(r)
}

// comesAndGoes passes no changes.
func comesAndGoes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() }}
}

// ofLeftover finds the object of what would be left of it.
func (r *sweepReconciler) ofLeftover(ctx context.Context, o client.Object) requests {
	if o.GetLabels()[credential.LabelKind] == credential.KindMounted {
		return nil // its owner reference is enough, and without one it is the tenant's
	}
	return r.ofSecret(ctx, o)
}

// Reconcile looks whether an object is there, and finalizes what is left of one that is not.
func (r *sweepReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := credential.Object{Namespace: req.Namespace, Name: req.Name}
	exists, err := r.exists(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if exists {
		r.orphans.settle(object)
		return r.comeBack(ctx, object, nil, r.store.Found(ctx, object))
	}
	if r.store.Released(ctx, object) {
		return ctrl.Result{}, nil
	}
	left, err := r.store.LoadOrphan(ctx, object)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left == nil {
		r.orphans.settle(object)
		return ctrl.Result{}, nil
	}
	if left.Since.IsZero() {
		err := r.store.Missing(ctx, left, r.clock.Now())
		if err == nil && r.orphans.tell(object, v1alpha1.ReasonProgressing) {
			eventObjectMissing(r.events, left.Reference(), object.String(), left.Since.Add(orphanGrace))
		}
		if err != nil {
			return r.comeBack(ctx, object, left, err)
		}
	}
	if wait := left.Since.Add(orphanGrace).Sub(r.clock.Now()); wait > 0 {
		r.orphans.tell(object, v1alpha1.ReasonProgressing)
		return ctrl.Result{RequeueAfter: max(wait, time.Second)}, nil
	}
	err = r.sweep(ctx, object, left)
	if err == nil {
		r.orphans.settle(object)
	}
	return r.comeBack(ctx, object, left, err)
}

// exists says whether the object is there. A cache's miss is never absence, and neither is an
// answer that says that there is no such kind.
func (r *sweepReconciler) exists(ctx context.Context, name types.NamespacedName) (bool, error) {
	if err := r.Get(ctx, name, &v1alpha1.IntrospectionClient{}); err == nil {
		return true, nil
	}
	if r.store.Released(ctx, credential.Object{Namespace: name.Namespace, Name: name.Name}) {
		return false, nil
	}
	err := r.store.Reader.Get(ctx, name, &v1alpha1.IntrospectionClient{})
	if apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking whether %s is there: %w", name, err)
	}
	return true, nil
}

// comeBack says when to look again after an error, and tells it once.
func (r *sweepReconciler) comeBack(ctx context.Context, object credential.Object, left *credential.Orphan, err error) (ctrl.Result, error) {
	if err == nil {
		return ctrl.Result{}, nil
	}
	h := haltOf(err)
	if left != nil && h.reason != v1alpha1.ReasonProgressing && r.orphans.tell(object, h.reason) {
		log.FromContext(ctx).Info("what is left of an object that is gone can't be cleaned up yet", "reason", h.reason)
		eventSweepHeldUp(r.events, left.Reference(), object.String(), h)
	}
	switch h.verdict {
	case later:
		return ctrl.Result{RequeueAfter: jitter(h.after)}, nil
	case act:
		return ctrl.Result{RequeueAfter: jitter(stalledPause)}, nil
	case retry, leave:
	}
	return ctrl.Result{}, err
}

// orphans are the objects that are gone and not cleaned up after, with what was last told of each.
type orphans struct {
	mu      sync.Mutex
	told    map[credential.Object]string
	metrics *controlMetrics
}

func newOrphans(metrics *controlMetrics) *orphans {
	return &orphans{told: map[credential.Object]string{}, metrics: metrics}
}

// tell returns whether the reason is news.
func (o *orphans) tell(object credential.Object, reason string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	news := o.told[object] != reason
	o.told[object] = reason
	o.metrics.orphans.Set(float64(len(o.told)))
	return news
}

func (o *orphans) settle(object credential.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.told[object]; known {
		delete(o.told, object)
		o.metrics.orphans.Set(float64(len(o.told)))
	}
}
