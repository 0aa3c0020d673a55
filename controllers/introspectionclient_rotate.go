// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	// defaultOverlap is spec.rotation.overlap where it is not set: workloads have a day to read their Secret again.
	defaultOverlap = 24 * time.Hour
	// longestLead is how long before a server's own end of a secret it is replaced, at most.
	longestLead = 7 * 24 * time.Hour
)

// rotate replaces the credentials when it is time: stages the next ones, has the server accept
// them, proves it, takes them into use, publishes them, and retires what was before when its
// overlap ends. The record says how far it came, so that each step can be entered again.
func (s *clientScope) rotate(ctx context.Context) (outcome, error) {
	if err := s.retire(ctx); err != nil {
		return outcome{}, err
	}
	if err := s.beginRotation(ctx); err != nil {
		return outcome{}, err
	}
	if s.record.Rotating() {
		if err := s.advance(ctx); err != nil {
			return outcome{}, err
		}
		if err := s.retire(ctx); err != nil { // it tells the server the end
			return outcome{}, err
		}
	}
	if err := s.settleRevocation(ctx); err != nil {
		return outcome{}, err
	}
	value, reason, message := s.rotationSays()
	s.status().set(v1alpha1.ConditionRotating, value, reason, message)
	return outcome{}, nil
}

// beginRotation stages what comes next, if a rotation is due. What was before must be
// retired by then: no server and no workload copes with three.
func (s *clientScope) beginRotation(ctx context.Context) error {
	why, due := s.rotationDue()
	if !due || s.record.Rotating() || s.record.Overlaps() {
		return nil
	}
	now := s.clock.Now()
	var server, facade *credential.Value
	if s.rotatesAtServer() {
		next, err := credential.New(s.record.Current.Method(), choosesIDs(s.can), s.id(), now)
		if err != nil {
			return fmt.Errorf("making a credential: %w", err)
		}
		server = &next
	}
	if s.object.Spec.Endpoint == v1alpha1.EndpointWebhook {
		facade = new(credential.NewValue(now))
	}
	s.record.Rotated = s.object.Annotations[v1alpha1.AnnotationRotate]
	if server != nil || facade != nil {
		s.record.Stage(server, facade, now)
	}
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	if s.record.Rotating() {
		eventRotationBegins(s.events, s.object, why)
	}
	return s.projectClient(ctx)
}

// rotatesAtServer says that there is a credential at the server which is ours to replace.
func (s *clientScope) rotatesAtServer() bool {
	return !isManual(s.server) && s.record.Current.Method() != provider.ServiceAccountJWT
}

// rotationDue says whether it is time, and why.
func (s *clientScope) rotationDue() (why string, due bool) {
	now := s.clock.Now()
	if s.rotationAsked() {
		return "the annotation " + v1alpha1.AnnotationRotate + " asks for it", true
	}
	if at := s.nextRotation(); !at.IsZero() && !now.Before(at) {
		return "spec.rotation.interval has passed", true
	}
	if v := s.record.Current; !v.ExpiresAt.IsZero() && s.rotatesAtServer() &&
		!now.Before(v.ExpiresAt.Add(-min(v.ExpiresAt.Sub(v.IssuedAt)/3, longestLead))) {
		return "the server ends the secret soon", true
	}
	return "", false
}

// rotationAsked says that the annotation has a value that was not acted upon.
func (s *clientScope) rotationAsked() bool {
	asked := s.object.Annotations[v1alpha1.AnnotationRotate]
	return asked != "" && asked != s.record.Rotated
}

// nextRotation is when the interval has passed, less up to a tenth of it: not all clients
// are rotated at once, and each always at the same part. It is zero if there is none.
func (s *clientScope) nextRotation() time.Time {
	r := s.object.Spec.Rotation
	if r == nil || r.Interval == nil || s.record.Current == nil || s.isLeft() || s.overlapUnavailable() {
		return time.Time{}
	}
	issued := s.record.Facade.IssuedAt
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer {
		issued = s.record.Current.IssuedAt
	}
	interval := r.Interval.Duration
	part := binary.BigEndian.Uint16([]byte(s.id().Hash())) // hex digits: spread well enough
	return issued.Add(interval - interval/10*time.Duration(part%1000)/1000).Truncate(time.Second)
}

// overlapUnavailable says that workloads would fail in between: they ask the server
// themselves, and it takes one credential at a time, or nobody knows.
func (s *clientScope) overlapUnavailable() bool {
	if s.object.Spec.Endpoint == v1alpha1.EndpointWebhook || s.record.Current.Method() == provider.PrivateKeyJWT {
		return false
	}
	overlap := provider.Overlap(s.server.Status.Capabilities.Overlap)
	return overlap != provider.OverlapExpiring && overlap != provider.OverlapDual
}

// advance brings a rotation that is staged into use.
func (s *clientScope) advance(ctx context.Context) error {
	if known := s.record.StagedAt.Add(s.config.ReplicaLag); s.clock.Now().Before(known) {
		return worldMustChange(max(known.Sub(s.clock.Now()), 10*time.Millisecond), v1alpha1.ReasonStaged, "The next credential is made. It is used when the webhook's replicas have had time to learn of it.")
	}
	overlap, began := provider.OverlapNone, s.clock.Now()
	if s.record.Next != nil {
		rotation, err := s.addAtServer(ctx)
		if err != nil {
			return err
		}
		overlap = rotation.Overlap
	}
	changed, kept := s.record.Next != nil, s.record.Next == nil && s.record.NextFacade == nil
	s.record.Promote(overlap, s.clock.Now().Add(s.overlap()))
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	if err := s.store.SaveClient(ctx, s.record.Project()); err != nil {
		return err
	}
	if _, err := s.publish(ctx); err != nil {
		return err
	}
	if kept {
		eventRotationKept(s.events, s.object)
		return nil
	}
	eventRotated(s.events, s.object, s.secretName(), s.record.PreviousEnds, s.record.Overlaps())
	s.metrics.rotated(s.server.Name)
	if window := s.clock.Now().Sub(began); changed && s.object.Spec.Endpoint == v1alpha1.EndpointServer && overlap == provider.OverlapNone {
		s.metrics.rotationWindow(s.server.Name, window)
		eventRotationWindow(s.events, s.object, window)
	}
	return nil
}

// addAtServer has the server accept the next credential, and proves that it does.
func (s *clientScope) addAtServer(ctx context.Context) (provider.Rotation, error) {
	next, err := s.record.Next.AtServer(s.config.WebhookNamespace)
	if err != nil {
		return provider.Rotation{}, fmt.Errorf("reading the next credential: %w", err)
	}
	current := s.desired.Credentials.Current
	desired := s.desired
	desired.Credentials = provider.Credentials{Current: next, Previous: &current}
	rotation, err := s.session.Rotate(ctx, desired, s)
	if err != nil {
		return rotation, s.ofRegistration(err)
	}
	if !rotation.Rotated { // the server chooses, and keeps the one that it has
		s.record.Next = nil
		return rotation, nil
	}
	s.settles(rotation.Propagation, true)
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return rotation, err
	}
	if err := s.projectClient(ctx); err != nil {
		return rotation, err
	}
	return rotation, s.proveNext(ctx)
}

// overlap is how long what was before works on.
func (s *clientScope) overlap() time.Duration {
	if r := s.object.Spec.Rotation; r != nil && r.Overlap != nil {
		return r.Overlap.Duration
	}
	return defaultOverlap
}
