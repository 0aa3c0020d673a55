// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// stage makes sure that there is a record, and that the webhook's record follows:
// replicas know a credential before it is used.
func (s *clientScope) stage(ctx context.Context) (outcome, error) {
	record, err := s.store.LoadRecord(ctx, s.id())
	if err != nil {
		return outcome{}, err
	}
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
	s.record = record
	// The template of the server may have changed since: the id that was registered stays.
	s.desired.Identity = record.Identity()
	s.desired.Secret = record.Active().Secret
	s.object.Status.ClientID = record.ClientID
	return outcome{}, s.store.SaveClient(ctx, record.Project())
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
	if len(mounted) >= 32 { // a shorter one is not of ours
		record.Facade = credential.Value{Secret: mounted, IssuedAt: record.Facade.IssuedAt}
		eventRecordLost(s.events, s.object)
	}
	return record, nil
}
