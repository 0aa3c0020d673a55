// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

var _ provider.Caller = (*clientScope)(nil)

// fenceLife is how long a write of the record stands for a fence. Who takes the lead waits longer
// than that until the leader before it has stopped.
const fenceLife = time.Second

// Fence claims the record before a write at the server, which knows no versions:
// whoever read the record before us, and is still on its way, is turned away. A write of the record
// did that too: where several calls follow each other, the API server is asked once.
func (s *clientScope) Fence(ctx context.Context) error {
	if s.record == nil {
		return nil // a lost record, at deletion: nobody else can have read it
	}
	if s.store.WroteWithin(fenceLife, s.record) {
		return nil
	}
	s.record.Fence = credential.NewFence()
	return s.store.SaveRecord(ctx, s.record)
}

// Keep writes what the server chose into the record: it can't be read again.
func (s *clientScope) Keep(ctx context.Context, issued provider.Issued) error {
	if s.record == nil {
		return nil // at deletion: what was issued goes with the registration
	}
	before := s.record.State
	s.keep(s.record, issued)
	err := s.store.SaveRecord(ctx, s.record)
	if apierrors.IsConflict(err) && !issued.Intent {
		err = s.keepAllTheSame(ctx, issued, before, err)
	}
	if err != nil {
		return fmt.Errorf("keeping what the server answered: %w", err)
	}
	s.desired.Identity = s.record.Identity()
	return nil
}

// keepAllTheSame writes an answer although somebody else wrote meanwhile, a fence perhaps:
// that is no reason to lose a registration. It does not if they took an answer, too.
func (s *clientScope) keepAllTheSame(ctx context.Context, issued provider.Issued, before provider.Secret, conflict error) error {
	fresh, err := s.store.LoadRecord(ctx, s.id())
	if err != nil || fresh == nil || fresh.Attempt != s.record.Attempt || fresh.State != before {
		return conflict
	}
	s.keep(fresh, issued)
	if err := s.store.SaveRecord(ctx, fresh); err != nil {
		return err
	}
	s.record = fresh
	return nil
}

// keep takes what was issued into a record. A secret is staged until it is verified.
func (s *clientScope) keep(record *credential.StoredRecord, issued provider.Issued) {
	now := s.clock.Now().UTC().Truncate(issuedPrecision)
	if issued.ClientID != "" && issued.ClientID != record.ClientID {
		record.ClientID, record.RegisteredAt = issued.ClientID, now
	}
	if issued.State != "" {
		record.State = issued.State
	}
	if issued.Adopted != "" {
		record.Adopted = issued.Adopted
	}
	active := record.Active()
	switch {
	case issued.Secret == "" || active.Method() != provider.ClientSecret:
	case issued.Secret != active.Secret:
		record.Next = &credential.Value{Secret: issued.Secret, IssuedAt: now, ExpiresAt: issued.SecretExpiresAt, TakenIn: issued.Adopted != ""}
	case record.Next != nil:
		record.Next.ExpiresAt = issued.SecretExpiresAt
	default:
		record.Current.ExpiresAt = issued.SecretExpiresAt
	}
}

// Prove asks the server's introspection endpoint whether it accepts a credential of the record.
func (s *clientScope) Prove(ctx context.Context, c provider.Credential) (accepted bool, err error) {
	if s.record == nil {
		return false, errors.New("the record is gone, and the credential with it")
	}
	value := s.record.ByID(c.ID)
	switch {
	case value != nil && value.Known():
	case c.Secret != "": // one that the server told, and the record does not stage
		value = &credential.Value{Secret: c.Secret}
	default:
		return false, errors.New("the record holds no such credential")
	}
	err = s.ask(ctx, *value, nothing())
	if errors.Is(err, introspect.ErrCredentialsRefused) {
		return false, nil
	}
	return err == nil, err
}

// newAttempt is unique to one registration of a client.
func newAttempt() string { return uuid.NewString() }
