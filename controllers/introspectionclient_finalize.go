// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// retract takes back what was made: the registration and its mapping, the
// Secrets, the record, and at last the finalizer. Nothing of it hangs on the
// object's status, which a restore may have stripped.
func (s *clientScope) retract(ctx context.Context) (outcome, error) {
	if !slices.Contains(s.object.Finalizers, v1alpha1.Finalizer) {
		return outcome{}, nil
	}
	var err error
	if s.record, err = s.loadRecord(ctx); err != nil {
		return outcome{}, err
	}
	retain, err := s.retractRegistration(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := s.store.ReleaseMounted(ctx, s.id(), s.object.UID, s.secretName(), retain); err != nil {
		return outcome{}, err
	}
	if err := s.store.DeleteClient(ctx, s.id()); err != nil {
		return outcome{}, err
	}
	if s.record == nil || s.record.ServiceAccount {
		if err := s.store.DeleteServiceAccount(ctx, s.id()); err != nil {
			return outcome{}, err
		}
	}
	if !retain && !s.foreignRecord() { // a retained record gives the object, made anew, the same credentials
		if err := s.store.DeleteRecord(ctx, s.id()); err != nil {
			return outcome{}, err
		}
	}
	return outcome{}, removeFinalizer(ctx, s.Client, s.object)
}

// released says that the object is let go: there is no status to write to.
func (s *clientScope) released() bool {
	return !s.object.DeletionTimestamp.IsZero() && !slices.Contains(s.object.Finalizers, v1alpha1.Finalizer)
}

// retractRegistration deletes the registration, unless it is to be retained.
func (s *clientScope) retractRegistration(ctx context.Context) (retain bool, err error) {
	name := s.object.Spec.AuthorizationServerRef.Name
	if err := s.findServer(ctx); err != nil {
		return false, err
	}
	if s.retained() {
		return true, nil
	}
	if s.server != nil && isManual(s.server) {
		return false, nil // nothing is registered by us
	}
	if s.server == nil || s.server.Status.Endpoints == nil {
		if s.record == nil {
			return false, nil // nothing is registered before there is a record, and no server was ever reached
		}
		return false, worldMustChange(time.Minute, v1alpha1.ReasonServerNotFound,
			"The registration of %s can't be deleted: there is no ClusterAuthorizationServer %s to reach it by. Create it again, or take the finalizer %s off and delete the client at the server yourself.", s.record.ClientID, name, v1alpha1.Finalizer)
	}
	if s.foreignRecord() {
		return false, nil // an earlier object's, at another server: this one was refused and has made nothing
	}
	if s.session, err = s.sessions.lookup(ctx, s.server); err != nil {
		return false, err
	}
	s.can = s.sessions.dialect(s.server).Capabilities
	if s.record != nil && choosesIDs(s.can) && s.record.Attempt == s.object.Annotations[v1alpha1.AnnotationRegisterAgain] {
		return false, nil // its people say that nothing is left there
	}
	if s.desired, err = s.deleted(); err != nil {
		return false, err
	}
	if err := s.session.Delete(ctx, s.desired, s); err != nil {
		return false, s.ofRegistration(err)
	}
	return false, nil
}

// retained says whether the registration outlives the object: if it asks for it
// and the server allows it.
func (s *clientScope) retained() bool {
	return s.object.Spec.DeletionPolicy == v1alpha1.DeletionRetain &&
		(s.server == nil || (s.server.Spec.Access != nil && s.server.Spec.Access.Retain == v1alpha1.Allowed))
}

// foreignRecord says that the record is of an earlier object of this name.
func (s *clientScope) foreignRecord() bool {
	return s.record != nil && s.server != nil && !s.continues(s.record)
}

// deleted is how the registration is found: by the record, else by what the object
// would have been registered as.
func (s *clientScope) deleted() (provider.Desired, error) {
	if s.record != nil {
		credentials, err := s.credentials()
		return provider.Desired{Identity: s.record.Identity(), Attempt: s.record.Attempt, Credentials: credentials}, err
	}
	clientID := cmp.Or(s.object.Spec.ClientID, s.object.Status.ClientID)
	if clientID == "" && !choosesIDs(s.can) {
		clientID = expand(s.server.Spec.ClientIDTemplate, s.object.Namespace, s.object.Name)
	}
	return provider.Desired{Identity: provider.Identity{
		ClientID: clientID, RegistrationID: s.object.Status.RegistrationID,
		Owner: ownerMark(s.config.Instance, s.object.Namespace, s.object.Name),
	}}, nil
}
