// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// clientReconciler registers IntrospectionClients and keeps them so.
type clientReconciler struct {
	client.Client

	config   Config
	store    *credential.Store
	sessions *sessions
	bundle   func(context.Context) ([]byte, error) // the CA of our own endpoint
	events   events.EventRecorder
	metrics  *controlMetrics
	clock    clock.PassiveClock
	statuses *statusWriter
	// attention is what is remembered from one look at a client to the next.
	attention *attention
}

// clientScope is one reconciliation of a client: what its phases gather.
type clientScope struct {
	*clientReconciler

	object  *v1alpha1.IntrospectionClient
	server  *v1alpha1.ClusterAuthorizationServer
	session *session
	record  *credential.StoredRecord
	desired provider.Desired
	// can is what servers of this kind can do.
	can provider.Capabilities
	// broughtVersion is the resourceVersion of the Secret that the user brings.
	broughtVersion string
	// hinted says that somebody saw something amiss, and sight what a look from afar showed.
	hinted bool
	sight  *provider.Sight
	// refusedNow says that the server refused the credentials in this very look.
	refusedNow bool
	// audienceRefused is why the audience can't be as declared.
	audienceRefused error
	// left is what differs from what is declared and is left so.
	left []string
}

// Reconcile brings one client to what is declared.
func (r *clientReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.IntrospectionClient{}
	if err := r.Get(ctx, req.NamespacedName, object); err != nil {
		r.attention.forget(req.NamespacedName)
		return ctrl.Result{}, r.statuses.forget(req.NamespacedName, err)
	}
	newest(r.statuses, object, &object.Status)
	before := object.Status.DeepCopy()
	s := &clientScope{clientReconciler: r, object: object, hinted: r.attention.takeHint(req.NamespacedName)}
	if !object.DeletionTimestamp.IsZero() {
		return s.finish(ctx, before, phase{v1alpha1.ConditionReady, s.retract})
	}
	if added, err := ensureFinalizer(ctx, r.Client, object); err != nil || added {
		return ctrl.Result{}, client.IgnoreNotFound(err) // the change brings us back
	}
	return s.finish(ctx, before, s.phases()...)
}

// phases are what is done, by spec.management.
func (s *clientScope) phases() []phase {
	switch s.object.Spec.Management {
	case v1alpha1.ManagementSuspended:
		return []phase{{v1alpha1.ConditionRegistered, s.suspend}}
	case v1alpha1.ManagementObserve:
		return []phase{
			{v1alpha1.ConditionRegistered, s.resolve},
			{v1alpha1.ConditionRegistered, s.look},
			{v1alpha1.ConditionAudienceMapped, s.lookAtAudience},
			{v1alpha1.ConditionVerified, s.verifyOnly},
			{v1alpha1.ConditionPublished, s.lookAtSecret},
			{v1alpha1.ConditionReady, s.tellLook},
		}
	case v1alpha1.ManagementFull:
	}
	return []phase{
		{v1alpha1.ConditionRegistered, s.resolve},
		{v1alpha1.ConditionRegistered, s.stage},
		{v1alpha1.ConditionRegistered, s.register},
		{v1alpha1.ConditionAudienceMapped, s.mapAudience},
		{v1alpha1.ConditionVerified, s.verify},
		{v1alpha1.ConditionPublished, s.publish},
		{v1alpha1.ConditionRotating, s.rotate},
	}
}

// finish runs the phases and writes the status, once.
func (s *clientScope) finish(ctx context.Context, before *v1alpha1.IntrospectionClientStatus, phases ...phase) (ctrl.Result, error) {
	result, err := s.status().run(ctx, s.config.DriftInterval, phases...)
	if s.released() {
		return ctrl.Result{}, err
	}
	if s.object.DeletionTimestamp.IsZero() {
		s.bindPolicy(ctx)
		s.tellRotation()
		result = s.wake(result)
	}
	s.object.Status.ObservedGeneration = s.object.Generation
	if err := s.statuses.apply(ctx, s.object, before, &s.object.Status); err != nil {
		return ctrl.Result{}, err
	}
	return result, err
}

// wake comes back earlier if a rotation or the end of an overlap is due before.
func (s *clientScope) wake(result ctrl.Result) ctrl.Result {
	if s.record == nil || s.record.Current == nil || result.RequeueAfter == 0 || s.isLeft() {
		return result
	}
	for _, at := range []time.Time{s.nextRotation(), s.record.PreviousEnds} {
		if wait := at.Sub(s.clock.Now()); !at.IsZero() {
			result.RequeueAfter = min(result.RequeueAfter, max(wait, time.Second))
		}
	}
	return result
}

// isLeft says that the object asks for nothing to be changed.
func (s *clientScope) isLeft() bool {
	return s.object.Spec.Management == v1alpha1.ManagementObserve || s.object.Spec.Management == v1alpha1.ManagementSuspended
}

func (s *clientScope) status() status {
	return status{conditions: &s.object.Status.Conditions, generation: s.object.Generation}
}

// id names the object in records.
func (s *clientScope) id() credential.Object {
	return credential.Object{Namespace: s.object.Namespace, Name: s.object.Name}
}

// secretName is the Secret that workloads mount.
func (s *clientScope) secretName() string { return secretName(s.object) }

func secretName(object *v1alpha1.IntrospectionClient) string {
	return cmp.Or(object.Spec.Secret.Name, object.Name)
}

// policyName is the policy that answers at the endpoint in the Secret.
func policyName(object *v1alpha1.IntrospectionClient) string {
	if object.Spec.PolicyRef != nil {
		return object.Spec.PolicyRef.Name
	}
	return object.Name
}
