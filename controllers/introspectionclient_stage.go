// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	// issuedPrecision is what statuses show of a time.
	issuedPrecision = time.Second
	// existingPause is when a Secret that a user is to bring is looked for again.
	existingPause = 30 * time.Second
)

// stage makes sure that there is a record, with the credential that the server
// shall know, before anything is sent there; and that the webhook knows it before
// it is used.
func (s *clientScope) stage(ctx context.Context) (outcome, error) {
	record, err := s.loadRecord(ctx)
	if err != nil {
		return outcome{}, err
	}
	if record != nil && !s.continues(record) {
		return outcome{}, userMustAct(v1alpha1.ReasonOwnershipConflict, "An earlier object of this name is still registered as %s at %s. Create it again as it was and delete it with deletionPolicy Delete, or use another name.", record.ClientID, record.Issuer)
	}
	found := s.stateOf(record)
	switch found {
	case recordAbsent:
		if err := s.canBeUndone(); err != nil {
			return outcome{}, err
		}
		record, err = s.newRecord(ctx)
	case recordRestored:
		err = s.takeUp(ctx, record)
	case recordKept, recordOfBefore:
	}
	if err != nil {
		return outcome{}, err
	}
	record.UID = string(s.object.UID)
	record.Server, record.Issuer = s.server.Name, s.server.Spec.Issuer
	record.Owner = s.desired.Owner
	record.DeletionPolicy = string(s.object.Spec.DeletionPolicy)
	if err := s.registerAgain(record); err != nil {
		return outcome{}, err
	}
	if err := s.stageCredential(ctx, record); err != nil {
		return outcome{}, err
	}
	if err := s.store.SaveRecord(ctx, record); err != nil {
		return outcome{}, err
	}
	s.tellRecord(record, found)
	s.record = record
	// The template of the server may have changed since: the id that was registered stays.
	s.desired.Identity = record.Identity()
	s.desired.Attempt = record.Attempt
	if s.desired.Credentials, err = s.credentials(); err != nil {
		return outcome{}, err
	}
	s.object.Status.ClientID = record.ClientID
	return outcome{}, s.projectClient(ctx)
}

// projectClient tells the webhook of the client, as soon as it has an id and a credential, and
// somebody may hold its secret: of a new one nobody does until it is published.
func (s *clientScope) projectClient(ctx context.Context) error {
	c := s.record.Project()
	if !c.Usable() || (s.record.Current == nil && s.record.CallerID == "") {
		return nil
	}
	repaired, err := s.store.RepairClient(ctx, c)
	if repaired && err == nil && s.record.Current != nil {
		s.metrics.driftRepaired(s.server.Name, "projection")
		eventDriftRepaired(s.events, s.object, "what the webhook knows of this client was changed or gone; written again")
	}
	return err
}

// credentials are those of the record, as the server shall know them.
func (s *clientScope) credentials() (provider.Credentials, error) {
	inUse := s.record.InUse()
	current, err := inUse.AtServer(s.config.WebhookNamespace)
	var previous *provider.Credential
	if p := s.record.Previous; err == nil && p != nil && p.Method() == inUse.Method() {
		previous = &provider.Credential{}
		*previous, err = p.AtServer(s.config.WebhookNamespace)
	}
	if err != nil {
		return provider.Credentials{}, userMustAct(v1alpha1.ReasonInternalError, "The credential in the operator's record of this client can't be used: %v. Delete the record: it is made again, and workloads keep their secret.", err)
	}
	credentials := provider.Credentials{Current: current, Previous: previous}
	if previous != nil && s.record.EndTold {
		credentials.PreviousEnds = s.record.PreviousEnds
	}
	return credentials, nil
}

func (s *clientScope) loadRecord(ctx context.Context) (*credential.StoredRecord, error) {
	record, err := s.store.LoadRecord(ctx, s.id())
	if errors.Is(err, credential.ErrBroken) {
		return nil, userMustAct(v1alpha1.ReasonInternalError, "The operator's record of this client can't be read (%v). Delete that Secret: the record is made again, and workloads keep their secret.", err)
	}
	return record, err
}

// continues says that a record is of this object: the same server, registered by the
// same party, and the same client id if the object states one.
func (s *clientScope) continues(record *credential.StoredRecord) bool {
	return record.Issuer == s.server.Spec.Issuer && record.Active().IsBrought() == isManual(s.server) &&
		(s.object.Spec.ClientID == "" || s.object.Spec.ClientID == record.ClientID)
}

// canBeUndone refuses what could never be deleted before it is made, where the server was
// seen to delete nothing.
func (s *clientScope) canBeUndone() error {
	if isManual(s.server) || s.server.Status.Capabilities.Delete != string(provider.Unsupported) || s.object.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return nil
	}
	return userMustAct(v1alpha1.ReasonManagementUnsupported, "The server lets nobody change or delete what is registered there (RFC 7592), so nothing is registered yet. Set spec.deletionPolicy Retain, which spec.access.retain of ClusterAuthorizationServer %s must allow; the client stays there then, until you delete it at the server.", s.server.Name)
}

// registerAgain begins another attempt, if the user says that the last one left nothing at
// the server: its answer was lost, or its client is gone and nobody can look. The value
// names the attempt, so that an annotation which stays there does it once.
func (s *clientScope) registerAgain(record *credential.StoredRecord) error {
	if !s.settled(record) {
		return nil
	}
	return s.anotherAttempt(record, provider.Method(s.object.Spec.Authentication.Method))
}

// anotherAttempt has the record forget its registration, where the server chooses ids.
func (s *clientScope) anotherAttempt(record *credential.StoredRecord, method provider.Method) error {
	next, err := credential.New(method, true, s.id(), s.clock.Now())
	if err != nil {
		return fmt.Errorf("making a credential: %w", err)
	}
	record.BeginAgain(newAttempt(), next)
	return nil
}

// settled says that the user settled what became of the last attempt. A client that works
// is not given up so.
func (s *clientScope) settled(record *credential.StoredRecord) bool {
	a := s.object.Annotations[v1alpha1.AnnotationRegisterAgain]
	return a != "" && a == record.Attempt && choosesIDs(s.can) &&
		(record.ClientID == "" || !apimeta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionVerified))
}

// newRecord is a new client's. If the object had a record once, the secret that its
// workloads use is taken back from the Secret that they mount: they go on with it.
func (s *clientScope) newRecord(ctx context.Context) (*credential.StoredRecord, error) {
	record := &credential.StoredRecord{Record: credential.Record{
		Object: s.id(), ClientID: s.desired.ClientID, Attempt: newAttempt(), Facade: credential.NewValue(s.clock.Now()),
		Rotated: s.object.Annotations[v1alpha1.AnnotationRotate], Revoked: s.object.Annotations[v1alpha1.AnnotationRevokePrevious],
	}}
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer {
		return record, nil
	}
	id, mounted, err := s.mountedCaller(ctx)
	if err != nil {
		return nil, err
	}
	if mounted != "" {
		record.Facade, record.CallerID = credential.Value{Secret: mounted, IssuedAt: record.Facade.IssuedAt}, id
	}
	return record, nil
}

// stageCredential stages another credential, if the one there is is none of what is
// declared: of another method, or none at all, or not the one that the user brings.
func (s *clientScope) stageCredential(ctx context.Context, record *credential.StoredRecord) error {
	if isManual(s.server) {
		return s.stageExisting(ctx, record)
	}
	method := provider.Method(s.object.Spec.Authentication.Method)
	if (record.Next != nil || record.Current != nil) && record.Active().Method() == method {
		return nil
	}
	if record.Current != nil && record.Current.Method() == method {
		record.Next = nil // it was to be another, and is not any more
		return nil
	}
	record.Abandon() // a rotation to another credential of the old method
	next, err := credential.New(method, choosesIDs(s.can), s.id(), s.clock.Now())
	if err != nil {
		return fmt.Errorf("making a credential: %w", err)
	}
	if method == provider.ServiceAccountJWT {
		if err := s.store.EnsureServiceAccount(ctx, s.id()); err != nil {
			return err
		}
		record.ServiceAccount = true
	}
	record.Next = &next
	return nil
}

// stageExisting stages what the user's Secret holds. The one before it stays in use until
// the new one is verified: whoever asks knows both.
func (s *clientScope) stageExisting(ctx context.Context, record *credential.StoredRecord) error {
	name := s.object.Spec.ExistingSecretName
	value, err := s.store.Existing(ctx, s.object.Namespace, name)
	switch {
	case errors.Is(err, credential.ErrAbsent):
		return worldMustChange(existingPause, v1alpha1.ReasonExistingSecretNotFound,
			"Secret %s (spec.existingSecretName) does not exist yet. It needs client_id and client_secret of the client that is registered at the server, or client_id, private_key.pem and key_id.", name)
	case errors.Is(err, credential.ErrNotACredential):
		return userMustAct(v1alpha1.ReasonExistingSecretInvalid, "Secret %s (spec.existingSecretName) can't be used: %v.", name, err)
	case err != nil:
		return err
	}
	if _, err := proofOf(record.Proof(value), s.server.Spec.Issuer, s.config.WebhookNamespace, s.sessions.mint); err != nil {
		return userMustAct(v1alpha1.ReasonExistingSecretInvalid, "Secret %s (spec.existingSecretName) can't be used: %v.", name, err)
	}
	if method := provider.Method(s.object.Spec.Authentication.Method); value.Method() != method {
		return userMustAct(v1alpha1.ReasonExistingSecretInvalid, "Secret %s (spec.existingSecretName) holds a credential for %s, and spec.authentication.method says %s. Make them agree.", name, value.Method(), method)
	}
	switch {
	case record.Current != nil && record.Current.Same(value):
		record.Next = nil
	case record.Next == nil || !record.Next.Same(value):
		record.Next = &value
	}
	if record.Current == nil {
		record.ClientID = value.ClientID
	}
	s.broughtVersion = value.Version
	return nil
}
