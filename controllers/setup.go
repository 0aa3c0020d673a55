// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// Fields that the cache indexes.
const (
	// indexServer finds the IntrospectionClients of a server.
	indexServer = "spec.authorizationServerRef.name"
	// indexExisting finds the IntrospectionClients whose credential is in a Secret.
	indexExisting = "spec.existingSecretName"
	// indexClient finds the TokenPolicies of an IntrospectionClient.
	indexClient = "spec.accept.clientRef.name"
)

type clientEvent = event.TypedGenericEvent[*v1alpha1.IntrospectionClient]

// Setup registers the control plane's controllers with a manager.
func Setup(ctx context.Context, mgr manager.Manager, config Config) error {
	if err := index(ctx, mgr); err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making a client for Events: %w", err)
	}
	metrics, err := newControlMetrics(config.Registerer)
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	brought, err := broughtSecrets(mgr)
	if err != nil {
		return err
	}
	open := newSessions(mgr.GetAPIReader(), config, newMint(mgr.GetClient(), config.Clock))
	store := &credential.Store{
		Reader: mgr.GetAPIReader(), Writer: mgr.GetClient(), Watched: mgr.GetClient(),
		SystemNamespace: config.SystemNamespace, WebhookNamespace: config.WebhookNamespace, Instance: config.Instance,
		Clock: config.Clock,
	}
	bundleChanged, hinted := make(chan clientEvent), make(chan clientEvent)
	certificates := &certificateReconciler{config: config, store: store, clock: config.Clock, changed: bundleChanged}
	clients := &clientReconciler{
		Client: mgr.GetClient(), config: config, store: store, sessions: open,
		bundle: certificates.Bundle, events: mgr.GetEventRecorder(fieldManager), metrics: metrics, clock: config.Clock,
		statuses: newStatusWriter(mgr.GetClient()), attention: newAttention(config.Clock),
	}
	hints := &hintWatcher{
		events: kube.EventsV1().Events(config.WebhookNamespace), clock: config.Clock, log: mgr.GetLogger().WithName("hints"),
		heard: clients.hear(hinted), last: map[heardHint]time.Time{},
	}
	for _, register := range []func() error{
		func() error { return certificates.register(mgr) },
		func() error {
			return (&serverReconciler{
				Client: mgr.GetClient(), config: config, store: store, sessions: open, statuses: newStatusWriter(mgr.GetClient()),
			}).register(mgr)
		},
		func() error { return clients.register(mgr, bundleChanged, hinted, brought) },
		func() error { return (&sweepReconciler{clients, newOrphans(metrics)}).register(mgr) },
		func() error {
			return (&policyReconciler{Client: mgr.GetClient(), config: config, statuses: newStatusWriter(mgr.GetClient())}).register(mgr)
		},
		func() error { return mgr.Add(hints) },
		func() error { return mgr.Add(&revocationProbe{clients: clients, bound: revocationBound}) },
	} {
		if err := register(); err != nil {
			return fmt.Errorf("registering a controller: %w", err)
		}
	}
	return nil
}

// broughtSecrets watches Secrets that users bring. It is a cache of its own, since the
// other one holds only ours; and keeps of each no more than that it changed.
func broughtSecrets(mgr manager.Manager) (cache.Cache, error) {
	brought, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultTransform: func(o any) (any, error) {
			m, ok := o.(*metav1.PartialObjectMetadata)
			if !ok {
				return o, nil
			}
			return &metav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: metav1.ObjectMeta{
				Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
			}}, nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making a cache for Secrets that users bring: %w", err)
	}
	if err := mgr.Add(brought); err != nil {
		return nil, fmt.Errorf("adding a cache for Secrets that users bring: %w", err)
	}
	return brought, nil
}

// hear sends a client that the webhook hinted at to its controller.
func (r *clientReconciler) hear(hinted chan<- clientEvent) func(context.Context, types.NamespacedName, string) {
	return func(ctx context.Context, name types.NamespacedName, reason string) {
		object := &v1alpha1.IntrospectionClient{}
		if err := r.Get(ctx, name, object); err != nil {
			return // deleted meanwhile, or never ours
		}
		r.metrics.hints.Inc()
		if reason == hintPreviousUsed {
			if status := object.Status.Credential; status != nil && status.PreviousExpiresAt != nil {
				eventPreviousUsed(r.events, object, status.PreviousExpiresAt.Time, secretName(object))
			}
			return // there is nothing to look at: it has its end
		}
		eventHinted(r.events, object)
		r.attention.hint(name)
		select {
		case hinted <- clientEvent{Object: object}:
		case <-ctx.Done():
		}
	}
}

func index(ctx context.Context, mgr manager.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.IntrospectionClient{}, indexServer, func(o client.Object) []string {
		return []string{o.(*v1alpha1.IntrospectionClient).Spec.AuthorizationServerRef.Name} //nolint:forcetypeassert // indexed by that type
	})
	if err != nil {
		return fmt.Errorf("indexing clients: %w", err)
	}
	err = mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.IntrospectionClient{}, indexExisting, func(o client.Object) []string {
		if name := o.(*v1alpha1.IntrospectionClient).Spec.ExistingSecretName; name != "" { //nolint:forcetypeassert // indexed by that type
			return []string{name}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing clients by the Secrets that they bring: %w", err)
	}
	err = mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.TokenPolicy{}, indexClient, func(o client.Object) []string {
		var names []string
		for _, a := range o.(*v1alpha1.TokenPolicy).Spec.Accept { //nolint:forcetypeassert // indexed by that type
			names = append(names, a.ClientRef.Name)
		}
		return names
	})
	if err != nil {
		return fmt.Errorf("indexing policies: %w", err)
	}
	return nil
}

// options of a controller: one object's failures back it off, by itself, and
// nobody else; and one namespace's objects wait behind each other.
func options(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers, NewQueue: newFairQueue,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](500*time.Millisecond, 2*time.Minute),
	}
}
