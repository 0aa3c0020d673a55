// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/plan"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// register brings the registration to what is desired: looks, decides, acts.
func (s *clientScope) register(ctx context.Context) (outcome, error) {
	observed, err := s.session.Observe(ctx, s.desired)
	if err != nil {
		return outcome{}, ofProvider(err, s.server.Name)
	}
	if refused := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionVerified); observed.Exists && refused != nil &&
		refused.Reason == v1alpha1.ReasonNotYetAccepted && !slices.Contains(observed.Drift, provider.DriftSecret) {
		observed.Drift = append(observed.Drift, provider.DriftSecret) // the server shows no secrets, but it refused ours
	}
	decision := plan.Decide(plan.Input{
		ClientID: s.desired.ClientID, Owner: s.desired.Owner,
		Exists: observed.Exists, FoundOwner: observed.Owner, Drift: observed.Drift,
		Registered: s.record.Current != nil,
	})
	registration := provider.Registration{RegistrationID: observed.RegistrationID}
	switch decision.Action {
	case plan.Refuse:
		return outcome{}, userMustAct(v1alpha1.ReasonOwnershipConflict, "%s", upperFirst(decision.Message))
	case plan.Create:
		registration, err = s.session.Create(ctx, s.desired, s.fence)
	case plan.Update:
		registration, err = s.session.Update(ctx, s.desired, observed, s.fence)
	case plan.None:
	}
	if err != nil {
		return outcome{}, ofProvider(err, s.server.Name)
	}
	if decision.Restores {
		s.metrics.driftRepaired(s.server.Name, "registration")
		eventDriftRepaired(s.events, s.object, decision.Message)
	} else if decision.Action == plan.Create {
		eventRegistered(s.events, s.object, s.desired.ClientID)
	}
	s.object.Status.RegistrationID = registration.RegistrationID
	s.desired.RegistrationID = registration.RegistrationID
	s.record.RegistrationID = registration.RegistrationID
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return outcome{}, err
	}
	return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Registered as %s.", s.desired.ClientID)}, nil
}

// mapAudience makes tokens name this API in `aud`.
func (s *clientScope) mapAudience(ctx context.Context) (outcome, error) {
	audience, err := s.resolveAudience()
	if err != nil {
		return outcome{}, err
	}
	s.desired.Audience = audience
	report, err := s.session.MapAudience(ctx, s.desired, s.fence)
	if err != nil {
		return outcome{}, ofProvider(err, s.server.Name)
	}
	s.object.Status.AudienceScope = report.Scope
	if len(report.Repaired) > 0 && s.record.Current != nil {
		s.metrics.driftRepaired(s.server.Name, "audience")
		eventDriftRepaired(s.events, s.object, "the audience mapping was changed at the server; put right: "+strings.Join(report.Repaired, ", "))
	}
	clients := strings.Join(audience.TokenClients, ", ")
	switch audience.Mode {
	case provider.AudienceUnmanaged:
		return outcome{v1alpha1.ReasonUnmanaged, "Whether tokens name this API in aud is not the operator's business here."}, nil
	case provider.AudienceOnRequest:
		return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Tokens of %s name this API if they are asked for with scope=%s.", clients, report.Scope)}, nil
	case provider.AudienceDefault:
	}
	return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("New tokens of %s name this API.", clients)}, nil
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
