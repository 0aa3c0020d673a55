// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// sweep does what the finalizer would have done, by what is left of the object.
func (r *sweepReconciler) sweep(ctx context.Context, object credential.Object, left *credential.Orphan) error {
	switch {
	case left.Broken:
		return userMustAct(v1alpha1.ReasonInternalError, "the record can't be read. Delete the client at the server yourself, then this Secret.")
	case left.Record == nil && left.View == nil:
		return r.store.Drop(ctx, left)
	}
	s := &clientScope{clientReconciler: r.clientReconciler, object: declaredBy(object, left), record: left.Record}
	if s.record != nil && s.record.Owner != ownerMark(r.config.Instance, object.Namespace, object.Name) {
		return userMustAct(v1alpha1.ReasonOwnershipConflict,
			"its record is of %s, and this operator is instance %s: that one may be at work elsewhere. Start this one with the old --instance if it takes its place; if not, delete this Secret.", s.record.Owner, r.config.Instance)
	}
	retain, err := s.sweepRegistration(ctx)
	if err != nil {
		return err
	}
	left.Record = s.record // as it was written last
	if err := r.store.ReleaseMountedOf(ctx, object, s.object.UID, retain); err != nil {
		return err
	}
	if err := r.store.DeleteServiceAccount(ctx, object); err != nil {
		return err
	}
	if left.Record != nil { // else the view is what is left, and goes last
		if err := r.store.DeleteClient(ctx, object); err != nil {
			return err
		}
	}
	if retain && left.Record != nil { // it gives the object, made anew, the same credentials
		err = r.store.Release(ctx, left, r.clock.Now())
	} else {
		err = r.store.Drop(ctx, left)
	}
	if err == nil {
		r.metrics.swept(retain)
		eventSwept(r.events, left.Reference(), object.String(), s.object.Spec.ClientID, retain)
	}
	return err
}

// declaredBy is the object as far as what is left of it knows. The webhook's view does not know
// whether the registration was to be retained: where the server allows that, it is.
func declaredBy(object credential.Object, left *credential.Orphan) *v1alpha1.IntrospectionClient {
	c := &v1alpha1.IntrospectionClient{ObjectMeta: metav1.ObjectMeta{
		Namespace: object.Namespace, Name: object.Name, DeletionTimestamp: new(metav1.NewTime(left.Since)),
	}}
	if r := left.Record; r != nil {
		c.UID, c.Spec.ClientID = types.UID(r.UID), r.ClientID
		c.Spec.AuthorizationServerRef.Name, c.Spec.DeletionPolicy = r.Server, v1alpha1.DeletionPolicy(r.DeletionPolicy)
		return c
	}
	c.UID, c.Spec.ClientID = types.UID(left.View.UID), left.View.ClientID
	c.Spec.AuthorizationServerRef.Name, c.Spec.DeletionPolicy = left.View.Server, v1alpha1.DeletionRetain
	return c
}

// sweepRegistration deletes the registration, unless it is to be retained, or the operator can't
// know any more how.
func (s *clientScope) sweepRegistration(ctx context.Context) (retain bool, err error) {
	if err := s.findServer(ctx); err != nil {
		return false, err
	}
	switch {
	case s.record == nil && (s.server == nil || choosesIDs(s.sessions.dialect(s.server).Capabilities)):
		return true, nil // the access to it was in the record
	case s.record == nil:
	case s.record.Active().IsBrought():
		return false, nil // nothing is registered by us
	case !s.retained() && (s.server == nil || s.server.Spec.Issuer != s.record.Issuer):
		return false, worldMustChange(5*time.Minute, v1alpha1.ReasonServerNotFound,
			"client %s is registered at %s, and there is no ClusterAuthorizationServer %s to reach it by. Create it again; or delete the client at the server yourself, then this Secret.", s.record.ClientID, s.record.Issuer, s.record.Server)
	}
	return s.retractRegistration(ctx)
}
