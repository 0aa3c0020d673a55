// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// retire ends what was before a rotation: at the end of its overlap, which nothing
// prolongs, or at once if its people say that it leaked. Before that it tells the server
// the end: not earlier than the new one is published.
func (s *clientScope) retire(ctx context.Context) error {
	if !s.record.Overlaps() {
		return nil
	}
	revoked := s.revocationAsked()
	if !revoked && s.clock.Now().Before(s.record.PreviousEnds) {
		return s.tellEnd(ctx)
	}
	if s.record.PreviousFacade != nil { // ours first: it needs nobody's answer
		s.record.PreviousFacade = nil
		if err := s.store.SaveRecord(ctx, s.record); err != nil {
			return err
		}
		if err := s.store.SaveClient(ctx, s.record.Project()); err != nil {
			return err
		}
	}
	if s.record.Previous != nil {
		var err error
		if s.desired.Credentials, err = s.credentials(); err != nil {
			return err
		}
		s.desired.Credentials.Previous, s.desired.Credentials.PreviousEnds = nil, time.Time{}
		if _, err := s.session.Rotate(ctx, s.desired, s); err != nil {
			return s.ofRegistration(err)
		}
	}
	s.record.Retire()
	if !s.rotationAsked() { // else what is in use now leaked too, and goes when it is replaced
		s.record.Revoked = s.object.Annotations[v1alpha1.AnnotationRevokePrevious]
	}
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	eventRetired(s.events, s.object, revoked)
	return s.store.SaveClient(ctx, s.record.Project())
}

// tellEnd has the server end what was before by itself, where it can.
func (s *clientScope) tellEnd(ctx context.Context) error {
	if s.record.EndTold {
		return nil
	}
	var err error
	if s.desired.Credentials, err = s.credentials(); err != nil {
		return err
	}
	s.desired.Credentials.PreviousEnds = s.record.PreviousEnds
	rotation, err := s.session.Rotate(ctx, s.desired, s)
	if err != nil {
		return s.ofRegistration(err)
	}
	s.record.EndTold = true
	if rotation.Overlap == provider.OverlapNone { // the server ended it by itself
		s.record.Previous = nil
	}
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	return s.store.SaveClient(ctx, s.record.Project())
}

// revocationAsked says that the annotation has a value that was not acted upon.
func (s *clientScope) revocationAsked() bool {
	asked := s.object.Annotations[v1alpha1.AnnotationRevokePrevious]
	return asked != "" && asked != s.record.Revoked
}

// settleRevocation takes note of a revocation that finds nothing to end: it must not end
// the next overlap.
func (s *clientScope) settleRevocation(ctx context.Context) error {
	if !s.revocationAsked() || s.record.Overlaps() || s.record.Rotating() {
		return nil
	}
	s.record.Revoked = s.object.Annotations[v1alpha1.AnnotationRevokePrevious]
	return s.store.SaveRecord(ctx, s.record)
}

// tellRotation says where the rotation stands, when nothing holds it up.
func (s *clientScope) tellRotation() {
	status := s.object.Status.Credential
	if s.record == nil || status == nil {
		return
	}
	status.NextRotationAt, status.PreviousExpiresAt = nil, nil
	if at := s.nextRotation(); !at.IsZero() {
		status.NextRotationAt = new(metav1.NewTime(at))
	}
	if s.record.Overlaps() {
		status.PreviousExpiresAt = new(metav1.NewTime(s.record.PreviousEnds))
	}
}

// rotationSays is the condition Rotating.
func (s *clientScope) rotationSays() (value metav1.ConditionStatus, reason, message string) {
	ends := s.record.PreviousEnds.UTC().Format(time.RFC3339)
	switch interval := s.object.Spec.Rotation; {
	case s.record.Overlaps() && s.object.Spec.Endpoint == v1alpha1.EndpointServer:
		return metav1.ConditionTrue, v1alpha1.ReasonOverlapUnproven, fmt.Sprintf("Secret %s holds the new credential. The one before it works until %s; nobody can see whether workloads have read the new one.", s.secretName(), ends)
	case s.record.Overlaps():
		return metav1.ConditionTrue, v1alpha1.ReasonOverlap, fmt.Sprintf("Secret %s holds the new credential. The one before it works until %s.", s.secretName(), ends)
	case interval != nil && interval.Interval != nil && s.overlapUnavailable():
		return metav1.ConditionFalse, v1alpha1.ReasonOverlapUnavailable, fmt.Sprintf("This server takes one credential at a time, or has not shown yet that it takes two, so workloads that ask it themselves would fail in between: spec.rotation.interval is not acted upon. Use endpoint Webhook, or rotate on demand with the annotation %s.", v1alpha1.AnnotationRotate)
	default:
		return metav1.ConditionFalse, v1alpha1.ReasonNotRotating, "One credential is in use, and no other works."
	}
}
