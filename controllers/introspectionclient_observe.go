// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/plan"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// suspend does nothing but what access demands.
func (s *clientScope) suspend(ctx context.Context) (outcome, error) {
	ready := apimeta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionReady)
	if err := s.findServer(ctx); err != nil {
		return outcome{}, err
	}
	if s.server != nil {
		if err := s.resolveAccess(ctx); err != nil {
			return outcome{}, s.withheldBy(ctx, err)
		}
		released, err := s.releaseSuspended(ctx)
		if err != nil {
			return outcome{}, err
		}
		ready = ready || released
	}
	was := "It was Ready then."
	if !ready {
		was = "It was not Ready then, and does not become so before."
	}
	return outcome{}, leftAlone(ready, s.config.DriftInterval, v1alpha1.ReasonSuspended, "spec.management is Suspended: nothing is looked at until it is Full or Observe. %s", was)
}

// releaseSuspended gives a registration back to its use that was withheld, and proves it.
func (s *clientScope) releaseSuspended(ctx context.Context) (released bool, err error) {
	if s.record, err = s.loadRecord(ctx); err != nil || s.record == nil || !s.record.Withheld || !s.continues(s.record) {
		return false, err
	}
	if err := s.resolveServer(ctx); err != nil {
		return false, err
	}
	if s.record.ClientID == "" {
		return false, nil // it was deleted, and is made again by Full
	}
	if s.desired, err = s.deleted(); err != nil {
		return false, err
	}
	if err := s.release(ctx); err != nil {
		return false, err
	}
	done, err := s.verify(ctx)
	if err != nil {
		return false, err
	}
	s.status().set(v1alpha1.ConditionRegistered, "True", v1alpha1.ReasonSucceeded, fmt.Sprintf("Registered as %s.", s.record.ClientID))
	s.status().set(v1alpha1.ConditionVerified, "True", done.reason, done.message)
	return true, s.unwithheld(ctx)
}

// look compares the registration with what is declared, and leaves it as it is.
func (s *clientScope) look(ctx context.Context) (outcome, error) {
	var err error
	if s.record, err = s.loadRecord(ctx); err != nil {
		return outcome{}, err
	}
	if s.record == nil || s.record.Current == nil {
		return outcome{}, userMustAct(v1alpha1.ReasonNotRegistered, "Nothing was registered for this object before spec.management became Observe, which makes nothing. Set it to Full.")
	}
	if !s.continues(s.record) {
		return outcome{}, userMustAct(v1alpha1.ReasonOwnershipConflict, "An earlier object of this name is still registered as %s at %s.", s.record.ClientID, s.record.Issuer)
	}
	s.desired.Identity, s.desired.Attempt = s.record.Identity(), s.record.Attempt
	s.object.Status.ClientID = s.record.ClientID
	if s.desired.Credentials, err = s.credentials(); err != nil {
		return outcome{}, err
	}
	if err := s.release(ctx); err != nil {
		return outcome{}, err
	}
	if err := s.unwithheld(ctx); err != nil {
		return outcome{}, err
	}
	observed, err := s.session.Observe(ctx, s.desired, s)
	if err != nil {
		return outcome{}, s.ofRegistration(err)
	}
	decision := plan.Decide(plan.Input{
		ClientID: s.desired.ClientID, Owner: s.desired.Owner, Exists: observed.Exists, FoundOwner: observed.Owner,
		Drift: observed.Drift, Registered: true, Server: s.server.Name,
	})
	switch decision.Action {
	case plan.Create:
		return outcome{}, userMustAct(v1alpha1.ReasonNotRegistered, "Client %s has vanished at the server, and spec.management is Observe: it is registered again with Full.", s.record.ClientID)
	case plan.Refuse, plan.RefuseAdoption, plan.Adopt:
		return outcome{}, userMustAct(v1alpha1.ReasonOwnershipConflict, "%s", upperFirst(decision.Message))
	case plan.Update:
		what := fmt.Sprintf("client %s at the server: %s", s.record.ClientID, strings.Join(observed.Drift, ", "))
		return s.differs(v1alpha1.ConditionRegistered, "registration", what), nil
	case plan.None:
	}
	return s.registeredOutcome(observed.Unmanaged)
}

// errLeftAlone stops a write.
var errLeftAlone = errors.New("spec.management is Observe")

// observing lets a provider read, and stops it before it writes.
type observing struct{ *clientScope }

func (observing) Fence(context.Context) error                 { return errLeftAlone }
func (observing) Keep(context.Context, provider.Issued) error { return errLeftAlone }

// lookAtAudience says whether the audience is mapped as declared.
func (s *clientScope) lookAtAudience(ctx context.Context) (outcome, error) {
	if s.audienceRefused != nil {
		return outcome{}, s.audienceRefused
	}
	report, err := s.session.MapAudience(ctx, s.desired, observing{s})
	switch {
	case errors.Is(err, errLeftAlone):
		return s.differs(v1alpha1.ConditionAudienceMapped, "audience", "the audience mapping at the server"), nil
	case err != nil:
		return outcome{}, ofProvider(err, s.server.Name)
	}
	s.object.Status.AudienceScope, s.object.Status.AudienceResource = report.Scope, report.Resource
	return s.audienceOutcome(report), nil
}

// verifyOnly proves the credentials. One that the server refuses stays so until somebody acts.
func (s *clientScope) verifyOnly(ctx context.Context) (outcome, error) {
	done, err := s.verify(ctx)
	if err != nil && haltOf(err).reason == v1alpha1.ReasonNotYetAccepted {
		return outcome{}, userMustAct(v1alpha1.ReasonCredentialsRefused, "The server refuses the registered credential, and spec.management is Observe: it is put right with Full.")
	}
	return done, err
}

// lookAtSecret says whether the Secret that workloads mount is as declared.
func (s *clientScope) lookAtSecret(ctx context.Context) (outcome, error) {
	mounted, _, err := s.mounted(ctx)
	if err != nil {
		return outcome{}, err
	}
	same, err := s.store.MountedIs(ctx, mounted)
	switch {
	case errors.Is(err, credential.ErrAbsent):
		return outcome{}, userMustAct(v1alpha1.ReasonSecretNotFound, "Secret %s is gone, and spec.management is Observe: it is written again with Full.", mounted.Name)
	case errors.Is(err, credential.ErrForeign):
		return outcome{}, userMustAct(v1alpha1.ReasonSecretConflict, "Secret %s exists and is not this object's; it is left as it is.", mounted.Name)
	case err != nil:
		return outcome{}, err
	}
	if !same {
		return s.differs(v1alpha1.ConditionPublished, "secret", "Secret "+mounted.Name), nil
	}
	return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Secret %s holds the credentials.", mounted.Name)}, nil
}

// differs notes what is not as declared. It is told by an Event and counted when it is seen
// first.
func (s *clientScope) differs(condition, kind, what string) outcome {
	s.left = append(s.left, what)
	o := outcome{v1alpha1.ReasonDriftFound, fmt.Sprintf("Not as declared: %s. spec.management is Observe, so it is left.", what)}
	if was := apimeta.FindStatusCondition(s.object.Status.Conditions, condition); was == nil || was.Message != o.message {
		s.metrics.driftLeft(s.server.Name, kind)
		eventDriftLeft(s.events, s.object, o.message)
	}
	return o
}

// tellLook closes a look that changed nothing.
func (s *clientScope) tellLook(context.Context) (outcome, error) {
	if len(s.left) > 0 {
		slices.Sort(s.left)
		return outcome{}, leftAlone(true, s.config.DriftInterval, v1alpha1.ReasonDriftFound, "spec.management is Observe, and this is left as it is: %s.", strings.Join(s.left, "; "))
	}
	return outcome{}, leftAlone(true, s.config.DriftInterval, v1alpha1.ReasonObserved, "All is as declared. spec.management is Observe: nothing is made, repaired or rotated.")
}
