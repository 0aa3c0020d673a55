// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// recordState is how a record was found.
type recordState int

const (
	// recordKept is as it was left.
	recordKept recordState = iota
	// recordAbsent: there is none, yet or any more.
	recordAbsent
	// recordRestored came out of a backup.
	recordRestored
	// recordOfBefore is of an object of this name before this one, which was restored or declared again.
	recordOfBefore
)

func (s *clientScope) stateOf(record *credential.StoredRecord) recordState {
	switch {
	case record == nil:
		return recordAbsent
	case record.Restored():
		return recordRestored
	case record.UID != "" && record.UID != string(s.object.UID):
		return recordOfBefore
	default:
		return recordKept
	}
}

// mountedCaller is what workloads call themselves and show at our endpoint, by the Secret that they
// mount; empty if that is not of ours.
func (s *clientScope) mountedCaller(ctx context.Context) (id string, secret provider.Secret, err error) {
	id, secret, err = s.store.MountedCaller(ctx, s.id(), s.object.UID, s.secretName(), s.keys())
	if err != nil || !credential.IsOfOurs(secret) {
		return "", "", err
	}
	return id, secret, nil
}

// takeUp goes on with a record that came out of a backup. If workloads mount another secret than it
// knows, it is older than that, and than what the annotations asked for.
func (s *clientScope) takeUp(ctx context.Context, record *credential.StoredRecord) error {
	record.TakeUp()
	_, mounted, err := s.mountedCaller(ctx)
	if err != nil || mounted == "" || isManual(s.server) || record.Current == nil {
		return err
	}
	known := record.Facade.Secret
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer {
		known = record.Current.Secret
	}
	if mounted == known {
		return nil
	}
	now := s.clock.Now()
	var shown, next *credential.Value
	if s.object.Spec.Endpoint == v1alpha1.EndpointWebhook {
		shown = &credential.Value{Secret: mounted, IssuedAt: now.UTC().Truncate(issuedPrecision)}
	}
	if method := record.Current.Method(); !choosesIDs(s.can) && method != provider.ServiceAccountJWT {
		made, err := credential.New(method, false, s.id(), now)
		if err != nil {
			return fmt.Errorf("making a credential: %w", err)
		}
		next = &made
	}
	record.Outdated(shown, next)
	record.Rotated, record.Revoked = s.object.Annotations[v1alpha1.AnnotationRotate], s.object.Annotations[v1alpha1.AnnotationRevokePrevious]
	return nil
}

// tellRecord says what became of a record that was not as it was left.
func (s *clientScope) tellRecord(record *credential.StoredRecord, found recordState) {
	known := cmp.Or(s.object.Status.ClientID, record.CallerID)
	switch found {
	case recordRestored:
		s.metrics.driftRepaired(s.server.Name, "record")
		eventRecordRestored(s.events, s.object)
	case recordOfBefore:
		eventContinued(s.events, s.object)
	case recordAbsent:
		if known != "" && !isManual(s.server) { // a brought credential is read again
			s.metrics.driftRepaired(s.server.Name, "record")
			eventRecordLost(s.events, s.object, known, choosesIDs(s.can))
		}
	case recordKept:
	}
}

// deletionHeldUp says that a deletion waits, once for each reason. What Ready said before the deletion,
// which begins another generation, does not count: the server may have been down already.
func (s *clientScope) deletionHeldUp(err error) {
	h := haltOf(err)
	for _, c := range s.object.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.Reason == h.reason && c.ObservedGeneration == s.object.Generation {
			return
		}
	}
	if h.reason != v1alpha1.ReasonProgressing {
		eventDeletionHeldUp(s.events, s.object, h)
	}
}
