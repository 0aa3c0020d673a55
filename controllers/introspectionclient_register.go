// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/plan"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// register makes the registration at the server as declared.
func (s *clientScope) register(ctx context.Context) (outcome, error) {
	observed, err := s.observe(ctx)
	if err != nil {
		return outcome{}, s.ofRegistration(err)
	}
	if observed.Overlap != "" && s.server.Status.Capabilities.Overlap == string(provider.OverlapUnknown) {
		s.sessions.look(s.server)
	}
	if s.record.Rotating() || s.record.Overlaps() && !s.record.EndTold { // rotate is at work on it
		observed.Drift = slices.DeleteFunc(observed.Drift, func(d string) bool { return d == provider.DriftSecret })
	} else if s.refusedBefore() && observed.Exists && !slices.Contains(observed.Drift, provider.DriftSecret) {
		if err := s.afterRefusal(ctx, &observed); err != nil {
			return outcome{}, err
		}
	}
	decision := plan.Decide(plan.Input{
		ClientID: s.desired.ClientID, Owner: s.desired.Owner,
		Exists: observed.Exists, FoundOwner: observed.Owner, Drift: observed.Drift,
		AdoptionAsked:   s.object.Spec.AdoptionPolicy == v1alpha1.AdoptionUnowned,
		AdoptionAllowed: s.server.Spec.Access.Adoption == v1alpha1.Allowed, Server: s.server.Name,
		Registered: s.record.Current != nil, NewID: choosesIDs(s.can),
	})
	registration, err := s.carryOut(ctx, decision, observed)
	if err != nil {
		return outcome{}, err
	}
	s.object.Status.RegistrationAttempt = ""
	if err := s.registered(ctx, registration, decision.Action != plan.None); err != nil {
		return outcome{}, err
	}
	s.tell(decision)
	if err := s.unwithheld(ctx); err != nil {
		return outcome{}, err
	}
	return s.registeredOutcome(registration.Unmanaged)
}

// carryOut does at the server what was decided.
func (s *clientScope) carryOut(ctx context.Context, decision plan.Plan, observed provider.Observation) (registration provider.Registration, err error) {
	registration = provider.Registration{RegistrationID: observed.RegistrationID, Unmanaged: observed.Unmanaged}
	switch decision.Action {
	case plan.Refuse:
		return registration, userMustAct(v1alpha1.ReasonOwnershipConflict, "%s", upperFirst(decision.Message))
	case plan.RefuseAdoption:
		return registration, userMustAct(v1alpha1.ReasonAdoptionNotAllowed, "%s", upperFirst(decision.Message))
	case plan.Create:
		if err = s.beginAgain(ctx); err == nil {
			registration, err = s.session.Create(ctx, s.desired, s)
		}
	case plan.Adopt:
		if registration, err = s.session.Adopt(ctx, s.desired, s); err == nil {
			s.desired.Credentials, err = s.credentials() // its secret may have been taken in
		}
	case plan.Update:
		registration, err = s.session.Update(ctx, s.desired, observed, s)
	case plan.None:
	}
	if err != nil {
		return registration, s.ofRegistration(err)
	}
	return registration, nil
}

// refusedBefore says that the server refused the credentials when they were verified
// last, and should have known them.
func (s *clientScope) refusedBefore() bool {
	if s.refusedNow {
		return true
	}
	verified := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionVerified)
	return verified != nil && verified.Reason == v1alpha1.ReasonNotYetAccepted && !s.settling()
}

// afterRefusal puts a credential right that the server refused when it was asked last.
func (s *clientScope) afterRefusal(ctx context.Context, observed *provider.Observation) error {
	if !choosesIDs(s.can) {
		observed.Drift = append(observed.Drift, provider.DriftSecret) // the server shows no secrets, but it refused ours
		return nil
	}
	if observed.Unmanaged || s.record.Active().Method() != provider.ClientSecret {
		return nil
	}
	// It chooses secrets itself, and may have ended this one: it is asked for another.
	another := s.desired
	another.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret}}
	if _, err := s.session.Rotate(ctx, another, s); err != nil {
		return s.ofRegistration(err)
	}
	var err error
	s.desired.Credentials, err = s.credentials()
	return err
}

// youth is how long a server may need until all of it knows a client that it made.
const youth = 5 * time.Minute

// beginAgain prepares a registration in place of one that is gone, where the server
// chooses ids and secrets: nothing of the old one is good any more. One that was made just
// now, and never worked, may only be unknown to a part of the server.
func (s *clientScope) beginAgain(ctx context.Context) error {
	if s.record.Adopted != "" { // what is made in place of it is ours, and goes with its object
		s.record.Adopted = ""
		s.desired.Identity = s.record.Identity()
		return s.store.SaveRecord(ctx, s.record)
	}
	if !choosesIDs(s.can) || s.record.ClientID == "" {
		return nil
	}
	if s.record.Current == nil && s.clock.Since(s.record.RegisteredAt) < youth {
		return worldMustChange(propagationPause, v1alpha1.ReasonNotYetAccepted, "The server does not know client %s yet, which it made at %s. It is asked again.", s.record.ClientID, s.record.RegisteredAt.Format(time.RFC3339))
	}
	if err := s.anotherAttempt(s.record, s.record.Active().Method()); err != nil {
		return err
	}
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	s.desired.Identity, s.desired.Attempt = s.record.Identity(), s.record.Attempt
	var err error
	s.desired.Credentials, err = s.credentials()
	return err
}

// registered writes down how the registration is found, and when the whole server knows it.
func (s *clientScope) registered(ctx context.Context, registration provider.Registration, written bool) error {
	s.record.RegistrationID = registration.RegistrationID
	s.desired.Identity = s.record.Identity()
	s.settles(registration.Propagation, written)
	s.object.Status.ClientID, s.object.Status.RegistrationID = s.record.ClientID, registration.RegistrationID
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	return s.projectClient(ctx)
}

// settles says how long parts of the server may go on with what was before a write.
func (s *clientScope) settles(within time.Duration, written bool) {
	if at := s.clock.Now().Add(within).UTC().Truncate(time.Second).Add(time.Second); written && within > 0 && at.After(s.record.SettledAt) {
		s.record.SettledAt = at
	}
}

// tell says what was done to the registration.
func (s *clientScope) tell(decision plan.Plan) {
	switch {
	case decision.Restores && s.record.Withheld: // we did that
	case decision.Restores:
		s.metrics.driftRepaired(s.server.Name, "registration")
		eventDriftRepaired(s.events, s.object, decision.Message)
	case decision.Action == plan.Adopt:
		eventAdopted(s.events, s.object, s.record.ClientID)
	case decision.Action == plan.Create && !isManual(s.server):
		eventRegistered(s.events, s.object, s.record.ClientID)
	}
}

// registeredOutcome says how far the server lets the registration be managed.
func (s *clientScope) registeredOutcome(unmanaged bool) (outcome, error) {
	switch {
	case isManual(s.server):
		return outcome{v1alpha1.ReasonUnmanaged, fmt.Sprintf("Client %s is registered by others; its credential is in Secret %s.", s.record.ClientID, s.object.Spec.ExistingSecretName)}, nil
	case unmanaged && s.object.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		return outcome{}, userMustAct(v1alpha1.ReasonManagementUnsupported, "Client %s is registered, and the server gives no way to change or delete it (RFC 7592). Set spec.deletionPolicy Retain, which spec.access.retain of ClusterAuthorizationServer %s must allow; it stays there then, until you delete it at the server.", s.record.ClientID, s.server.Name)
	case unmanaged:
		return outcome{v1alpha1.ReasonManagementUnsupported, fmt.Sprintf("Registered as %s. The server gives no way to read, change or delete it (RFC 7592): drift is not seen, and it stays when this object goes.", s.record.ClientID)}, nil
	}
	return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Registered as %s.", s.record.ClientID)}, nil
}

// mapAudience has tokens name this client in `aud`.
func (s *clientScope) mapAudience(ctx context.Context) (outcome, error) {
	if s.audienceRefused != nil {
		return outcome{}, s.audienceRefused
	}
	report, err := s.mapped(ctx)
	if err != nil {
		return outcome{}, ofProvider(err, s.server.Name)
	}
	s.object.Status.AudienceScope, s.object.Status.AudienceResource = report.Scope, report.Resource
	if len(report.Repaired) > 0 {
		s.settles(report.Propagation, true)
		if s.record.Current != nil {
			s.metrics.driftRepaired(s.server.Name, "audience")
			eventDriftRepaired(s.events, s.object, "the audience mapping was changed at the server; put right: "+strings.Join(report.Repaired, ", "))
		}
	}
	return s.audienceOutcome(report), nil
}

// mapped is the mapping, which is put right unless it was seen to be so.
func (s *clientScope) mapped(ctx context.Context) (provider.AudienceReport, error) {
	if s.sight != nil {
		return s.sight.Audience, nil
	}
	return s.session.MapAudience(ctx, s.desired, s)
}

// audienceOutcome says how tokens come to name this API.
func (s *clientScope) audienceOutcome(report provider.AudienceReport) outcome {
	declared, done := s.object.Spec.Audience.Mode, s.desired.Audience
	of := strings.Join(done.TokenClients, ", ")
	if of == "" {
		of = "clients with scope " + strings.Join(s.desired.Scopes, ", ")
	}
	switch {
	case declared != v1alpha1.AudienceUnmanaged && done.Mode == provider.AudienceUnmanaged:
		return outcome{v1alpha1.ReasonNotSupported, "Whether tokens name this API in aud is set up at the server: it can't be done by registration there. Say what aud must hold in spec.require.audiences of the TokenPolicy."}
	case done.Mode == provider.AudienceUnmanaged:
		return outcome{v1alpha1.ReasonUnmanaged, "Whether tokens name this API in aud is not the operator's business here."}
	case report.Scope != "" && done.Mode == provider.AudienceOnRequest:
		return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Tokens of %s name this API if they are asked for with scope=%s.", of, report.Scope)}
	case done.Mode == provider.AudienceOnRequest:
		return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Tokens of %s name this API if they are asked for with resource=%s.", of, report.Resource)}
	default:
		return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("New tokens of %s name this API.", of)}
	}
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
