// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// stage makes sure that there is a record, and that the webhook's record follows:
// replicas know a credential before it is used.
func (s *clientScope) stage(ctx context.Context) (outcome, error) {
	record, err := s.loadRecord(ctx)
	if err != nil {
		return outcome{}, err
	}
	if record != nil && !s.continues(record) {
		return outcome{}, userMustAct(v1alpha1.ReasonOwnershipConflict, "An earlier object of this name is still registered as %s at %s. Create it again as it was and delete it with deletionPolicy Delete, or use another name.", record.ClientID, record.Issuer)
	}
	lost := record == nil && s.object.Status.ClientID != ""
	if record == nil {
		if record, err = s.newRecord(ctx); err != nil {
			return outcome{}, err
		}
	}
	record.UID = string(s.object.UID)
	record.Server, record.Issuer = s.server.Name, s.server.Spec.Issuer
	record.Owner = s.desired.Owner
	record.DeletionPolicy = string(s.object.Spec.DeletionPolicy)
	if err := s.store.SaveRecord(ctx, record); err != nil {
		return outcome{}, err
	}
	if lost {
		eventRecordLost(s.events, s.object)
	}
	s.record = record
	// The template of the server may have changed since: the id that was registered stays.
	s.desired.Identity = record.Identity()
	s.desired.Secret = record.Active().Secret
	s.object.Status.ClientID = record.ClientID
	return outcome{}, s.store.SaveClient(ctx, record.Project())
}

// loadRecord reads the record; one that can't be read somebody must take away.
func (s *clientScope) loadRecord(ctx context.Context) (*credential.StoredRecord, error) {
	record, err := s.store.LoadRecord(ctx, s.id())
	if errors.Is(err, credential.ErrBroken) {
		return nil, userMustAct(v1alpha1.ReasonInternalError, "The operator's record of this client can't be read (%v). Delete that Secret: the record is made again, and workloads keep their secret.", err)
	}
	return record, err
}

// continues says that a record, which may be of an earlier object of this name, is
// of the registration that this one declares: no credential goes to another server.
func (s *clientScope) continues(record *credential.StoredRecord) bool {
	return record.Issuer == s.server.Spec.Issuer &&
		(s.object.Spec.ClientID == "" || s.object.Spec.ClientID == record.ClientID)
}

// newRecord makes a record with new secrets. If the old one was lost, workloads
// keep the secret they have mounted, and the server's is replaced.
func (s *clientScope) newRecord(ctx context.Context) (*credential.StoredRecord, error) {
	now := s.clock.Now()
	next := credential.NewValue(now)
	record := &credential.StoredRecord{Record: credential.Record{
		Object: s.id(), ClientID: s.desired.ClientID, Next: &next, Facade: credential.NewValue(now),
	}}
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer {
		return record, nil
	}
	key := ""
	if s.object.Spec.Secret.Keys != nil {
		key = string(s.object.Spec.Secret.Keys.ClientSecret)
	}
	mounted, err := s.store.MountedSecretValue(ctx, s.id(), s.object.UID, s.secretName(), key)
	if err != nil {
		return nil, err
	}
	if credential.IsOfOurs(mounted) {
		record.Facade = credential.Value{Secret: mounted, IssuedAt: record.Facade.IssuedAt}
	}
	return record, nil
}
