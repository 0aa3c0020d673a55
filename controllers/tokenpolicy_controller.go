// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
)

// policyReconciler reports on TokenPolicies. The webhook compiles them itself:
// nothing of a policy's meaning goes through a status.
type policyReconciler struct {
	client.Client

	config   Config
	statuses *statusWriter
}

// policyScope is one reconciliation of a policy.
type policyScope struct {
	*policyReconciler

	object *v1alpha1.TokenPolicy
}

// Reconcile reports on one policy.
func (r *policyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.TokenPolicy{}
	if err := r.Get(ctx, req.NamespacedName, object); err != nil {
		return ctrl.Result{}, r.statuses.forget(req.NamespacedName, err)
	}
	if !object.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	newest(r.statuses, object, &object.Status)
	before := object.Status.DeepCopy()
	s := &policyScope{policyReconciler: r, object: object}
	result, err := status{conditions: &object.Status.Conditions, generation: object.Generation}.run(
		ctx, 0,
		phase{v1alpha1.ConditionCompiled, s.compile},
		phase{v1alpha1.ConditionClientsReady, s.findClients},
	)
	object.Status.ObservedGeneration = object.Generation
	if err := r.statuses.apply(ctx, object, before, &object.Status); err != nil {
		return ctrl.Result{}, err
	}
	return result, err
}

// compile finds out whether the policy has a meaning.
func (s *policyScope) compile(context.Context) (outcome, error) {
	s.object.Status.Endpoints = &v1alpha1.PolicyEndpoints{
		Introspection: introspectionURL(s.config, s.object.Namespace, s.object.Name),
		Authorize:     authorizeURL(s.config, s.object.Namespace, s.object.Name),
	}
	if _, err := policy.Compile(s.object); err != nil {
		return outcome{}, userMustAct(v1alpha1.ReasonInvalidPolicy, "The policy does not compile, and its endpoints answer 503: %v", err)
	}
	return outcome{v1alpha1.ReasonSucceeded, "The policy compiles."}, nil
}

// findClients looks at the clients that the policy asks by.
func (s *policyScope) findClients(ctx context.Context) (outcome, error) {
	for _, accepted := range s.object.Spec.Accept {
		name := accepted.ClientRef.Name
		c := &v1alpha1.IntrospectionClient{}
		err := s.Get(ctx, types.NamespacedName{Namespace: s.object.Namespace, Name: name}, c)
		if apierrors.IsNotFound(err) {
			return outcome{}, worldMustChange(stalledPause, v1alpha1.ReasonClientNotFound,
				"There is no IntrospectionClient %s in this namespace: until there is, the endpoints answer 503. Create it, or correct spec.accept.", name)
		}
		if err != nil {
			return outcome{}, fmt.Errorf("reading IntrospectionClient %s: %w", name, err)
		}
		if r := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionRegistered); r != nil && r.Reason == v1alpha1.ReasonAccessDenied {
			return outcome{}, worldMustChange(stalledPause, v1alpha1.ReasonAccessDenied, "IntrospectionClient %s: %s", name, r.Message)
		}
		if err := s.audienceNamed(ctx, c); err != nil {
			return outcome{}, err
		}
		for _, needed := range []string{v1alpha1.ConditionVerified, v1alpha1.ConditionPublished} {
			if !apimeta.IsStatusConditionTrue(c.Status.Conditions, needed) {
				return outcome{}, worldMustChange(time.Minute, v1alpha1.ReasonClientNotReady,
					"IntrospectionClient %s is not %s yet: until it is, the endpoints answer 503. `kubectl describe ic %s` says why.", name, needed, name)
			}
		}
	}
	return outcome{v1alpha1.ReasonSucceeded, "The clients are verified and published."}, nil
}

// audienceNamed says when a policy must name its audience: where the client's id is not
// ours to choose, tokens are unlikely to name it.
func (s *policyScope) audienceNamed(ctx context.Context, c *v1alpha1.IntrospectionClient) error {
	if s.object.Spec.Require.Audiences != nil {
		return nil
	}
	server := &v1alpha1.ClusterAuthorizationServer{}
	if err := s.Get(ctx, types.NamespacedName{Name: c.Spec.AuthorizationServerRef.Name}, server); err != nil {
		return client.IgnoreNotFound(err) // the client says it
	}
	if server.Spec.OAuth == nil && !isManual(server) {
		return nil
	}
	return userMustAct(v1alpha1.ReasonAudienceRequired,
		"spec.require.audiences must say what aud of a token names: the client id of IntrospectionClient %s is chosen by its server, or by whoever registered it, and until then every token is refused. Set spec.require.audiences.anyOf.", c.Name)
}
