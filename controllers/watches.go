// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

type requests = []reconcile.Request

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func (r *serverReconciler) register(mgr manager.Manager) error {
	granting := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests { // asked for the old labels and the new
		return r.serversWhere(ctx, func(s *v1alpha1.ClusterAuthorizationServer) bool {
			selector, err := accessSelector(s)
			return err != nil || selector.Matches(labels.Set(o.GetLabels()))
		})
	})
	return builder.ControllerManagedBy(mgr).Named("clusterauthorizationserver").
		For(&v1alpha1.ClusterAuthorizationServer{}, builder.WithPredicates(declared())).
		Watches(&v1alpha1.IntrospectionClient{}, handler.EnqueueRequestsFromMapFunc(r.serverInDeletion), builder.WithPredicates(deletions())).
		Watches(&corev1.Namespace{}, granting, builder.WithPredicates(labelsChanged())).
		WatchesMetadata(&corev1.Secret{}, byOthers(r.store, r.ofSecret)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.ofConfigMap)).
		WatchesRawSource(source.TypedChannel(r.sessions.learned, &handler.TypedEnqueueRequestForObject[*v1alpha1.ClusterAuthorizationServer]{})).
		WithOptions(options(4)).
		Complete(r)
}

// deletions passes nothing but an object's end.
func deletions() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func (r *serverReconciler) serversWhere(ctx context.Context, wanted func(*v1alpha1.ClusterAuthorizationServer) bool) requests {
	list := &v1alpha1.ClusterAuthorizationServerList{}
	if err := r.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var found requests
	for i := range list.Items {
		if wanted(&list.Items[i]) {
			found = append(found, request("", list.Items[i].Name))
		}
	}
	return found
}

// serverInDeletion wakes a server that waits for its last client to go.
func (r *serverReconciler) serverInDeletion(ctx context.Context, o client.Object) requests {
	return r.serversWhere(ctx, func(s *v1alpha1.ClusterAuthorizationServer) bool {
		c, ok := o.(*v1alpha1.IntrospectionClient)
		return ok && s.Name == c.Spec.AuthorizationServerRef.Name && !s.DeletionTimestamp.IsZero()
	})
}

// ofSecret finds the servers that a Secret is named in, or was made for.
func (r *serverReconciler) ofSecret(ctx context.Context, o client.Object) requests {
	if o.GetLabels()[credential.LabelKind] == credential.KindServer && o.GetNamespace() == r.config.WebhookNamespace {
		return requests{request("", o.GetAnnotations()[credential.AnnotationObject])}
	}
	if o.GetNamespace() != r.config.SystemNamespace {
		return nil
	}
	return r.serversWhere(ctx, func(s *v1alpha1.ClusterAuthorizationServer) bool {
		ca := s.Spec.Connection.CABundle
		return signsInWith(s, o.GetName()) || (ca != nil && ca.Kind == "Secret" && ca.Name == o.GetName())
	})
}

// signsInWith says that a server's object names a Secret for the operator's sign-in.
func signsInWith(s *v1alpha1.ClusterAuthorizationServer, secret string) bool {
	c := s.Spec.Credentials
	return c != nil && ((c.ClientCredentials != nil && c.ClientCredentials.SecretName == secret) ||
		(c.InitialAccessToken != nil && c.InitialAccessToken.SecretName == secret))
}

func (r *serverReconciler) ofConfigMap(ctx context.Context, o client.Object) requests {
	return r.serversWhere(ctx, func(s *v1alpha1.ClusterAuthorizationServer) bool {
		ca := s.Spec.Connection.CABundle
		return ca != nil && ca.Kind == "ConfigMap" && ca.Name == o.GetName()
	})
}

func (r *clientReconciler) register(mgr manager.Manager, bundleChanged, hinted <-chan clientEvent, brought cache.Cache) error {
	everyone := handler.TypedFuncs[*v1alpha1.IntrospectionClient, reconcile.Request]{
		GenericFunc: func(ctx context.Context, _ clientEvent, q queue) {
			for _, req := range r.clientsOf(ctx) {
				q.Add(req)
			}
		},
	}
	one := &handler.TypedEnqueueRequestForObject[*v1alpha1.IntrospectionClient]{}
	return builder.ControllerManagedBy(mgr).Named("introspectionclient").
		For(&v1alpha1.IntrospectionClient{}, builder.WithPredicates(declared())).
		Watches(&v1alpha1.ClusterAuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
			return r.clientsOf(ctx, client.MatchingFields{indexServer: o.GetName()})
		}), builder.WithPredicates(serverChanged())).
		Watches(&v1alpha1.TokenPolicy{}, handler.EnqueueRequestsFromMapFunc(r.ofPolicy), builder.WithPredicates(conditionsChanged(statusOf, v1alpha1.ConditionCompiled))).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
			return r.clientsOf(ctx, client.InNamespace(o.GetName()))
		}), builder.WithPredicates(labelsChanged())).
		WatchesMetadata(&corev1.Secret{}, byOthers(r.store, r.ofSecret)).
		WatchesRawSource(source.TypedChannel(bundleChanged, everyone)).
		WatchesRawSource(source.TypedChannel(hinted, one)).
		WatchesRawSource(source.Kind(brought, secretMetadata(), handler.TypedEnqueueRequestsFromMapFunc(r.ofBrought))).
		WithOptions(options(r.config.Workers)).
		Complete(r)
}

// secretMetadata is what is watched of the Secrets that users bring.
func secretMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
}

// ofBrought finds the clients that name a Secret in spec.existingSecretName.
func (r *clientReconciler) ofBrought(ctx context.Context, o *metav1.PartialObjectMetadata) requests {
	return r.clientsOf(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexExisting: o.GetName()})
}

func (r *clientReconciler) clientsOf(ctx context.Context, opts ...client.ListOption) requests {
	list := &v1alpha1.IntrospectionClientList{}
	if err := r.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil
	}
	found := make(requests, 0, len(list.Items))
	for i := range list.Items {
		found = append(found, request(list.Items[i].Namespace, list.Items[i].Name))
	}
	return found
}

// ofPolicy finds the clients that a policy names, and those that name it.
func (r *clientReconciler) ofPolicy(ctx context.Context, o client.Object) requests {
	list := &v1alpha1.IntrospectionClientList{}
	if err := r.List(ctx, list, client.InNamespace(o.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var found requests
	for i := range list.Items {
		if policyName(&list.Items[i]) == o.GetName() {
			found = append(found, request(list.Items[i].Namespace, list.Items[i].Name))
		}
	}
	return found
}

// ofSecret finds the client that one of our Secrets was made for. The annotation
// is only a pointer: who owns the Secret is looked at when the client is.
func (r *clientReconciler) ofSecret(_ context.Context, o client.Object) requests {
	namespace, name, ok := strings.Cut(o.GetAnnotations()[credential.AnnotationObject], "/")
	if !ok {
		return nil
	}
	switch kind := o.GetLabels()[credential.LabelKind]; {
	case kind == credential.KindMounted && namespace == o.GetNamespace(),
		kind == credential.KindRecord && o.GetNamespace() == r.config.SystemNamespace,
		kind == credential.KindClient && o.GetNamespace() == r.config.WebhookNamespace:
		return requests{request(namespace, name)}
	default:
		return nil
	}
}

func (r *policyReconciler) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("tokenpolicy").
		For(&v1alpha1.TokenPolicy{}, builder.WithPredicates(declared())).
		Watches(&v1alpha1.IntrospectionClient{}, handler.EnqueueRequestsFromMapFunc(r.ofClient),
			builder.WithPredicates(conditionsChanged(statusOf, v1alpha1.ConditionRegistered, v1alpha1.ConditionVerified, v1alpha1.ConditionPublished))).
		Watches(&v1alpha1.ClusterAuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(r.ofServer), builder.WithPredicates(abilitiesChanged())).
		WithOptions(options(2)).
		Complete(r)
}

// ofServer finds the policies whose clients are of a server.
func (r *policyReconciler) ofServer(ctx context.Context, o client.Object) requests {
	list := &v1alpha1.IntrospectionClientList{}
	if err := r.List(ctx, list, client.MatchingFields{indexServer: o.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var found requests
	for i := range list.Items {
		found = append(found, r.ofClient(ctx, &list.Items[i])...)
	}
	return found
}

func (r *policyReconciler) ofClient(ctx context.Context, o client.Object) requests {
	list := &v1alpha1.TokenPolicyList{}
	err := r.List(ctx, list, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexClient: o.GetName()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil
	}
	found := make(requests, 0, len(list.Items))
	for i := range list.Items {
		found = append(found, request(list.Items[i].Namespace, list.Items[i].Name))
	}
	return found
}

// once wakes a controller that has no object of its own.
func once(name string) source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		q.Add(request("", name))
		return nil
	})
}

func (r *certificateReconciler) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("certificates").
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) requests {
			if (o.GetNamespace() == r.config.SystemNamespace && o.GetName() == credential.AuthorityName) ||
				(o.GetNamespace() == r.config.WebhookNamespace && o.GetName() == credential.ServingName) {
				return requests{request("", "certificates")}
			}
			return nil
		})).
		WatchesRawSource(once("certificates")).
		WithOptions(options(1)).
		Complete(r)
}
