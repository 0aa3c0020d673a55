// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// withheldBy withholds the registration if err says that access is denied.
func (s *clientScope) withheldBy(ctx context.Context, err error) error {
	if denied := haltOf(err); denied.reason == v1alpha1.ReasonAccessDenied {
		return s.withhold(ctx, denied)
	}
	return err
}

// withhold puts a registration out of use whose namespace may not use the server any more,
// whatever spec.management says. denied says why it may not; it comes back with what was done.
func (s *clientScope) withhold(ctx context.Context, denied *halt) error {
	record, err := s.loadRecord(ctx)
	if err != nil {
		return err
	}
	if record == nil || !s.continues(record) || isManual(s.server) {
		return denied // nothing is registered by us: such a namespace costs the server no call
	}
	s.record = record
	if err := s.resolveServer(ctx); err != nil {
		return s.notWithheld(denied, err)
	}
	if record.ClientID == "" && record.State == "" {
		return denied // where the server chooses ids: deleted already, or never made
	}
	if s.desired, err = s.deleted(); err != nil {
		return err
	}
	s.desired.Disabled = true
	if !record.Withheld {
		record.Withheld = true
		if err := s.store.SaveRecord(ctx, record); err != nil {
			return err
		}
	}
	clientID := record.ClientID
	did, err := s.disable(ctx)
	if err != nil {
		return s.notWithheld(denied, err)
	}
	if did != "" {
		eventAccessWithdrawn(s.events, s.object, clientID, did)
	}
	state := "disabled there, and works again when access is back"
	if s.can.Disable != provider.Supported {
		state = "deleted there, and made anew when access is back"
	}
	denied.message += fmt.Sprintf(" Client %s is %s.", clientID, state)
	denied.after = s.config.DriftInterval // somebody may enable it by hand
	s.status().set(v1alpha1.ConditionVerified, metav1.ConditionFalse, denied.reason, "The registration is out of use: "+denied.message)
	return denied
}

// disable has the server refuse the client, and says what was done; nothing, if it was so.
func (s *clientScope) disable(ctx context.Context) (did string, err error) {
	if s.can.Disable != provider.Supported {
		if err := s.session.Delete(ctx, s.desired, s); err != nil {
			return "", s.notDeleted(err)
		}
		if err := s.anotherAttempt(s.record, s.record.Active().Method()); err != nil {
			return "", err
		}
		return "deleted", s.store.SaveRecord(ctx, s.record)
	}
	switched, err := s.switchTo(ctx)
	if switched {
		did = "disabled"
	}
	return did, err
}

// switchTo enables or disables the registration as s.desired says, and touches nothing else.
func (s *clientScope) switchTo(ctx context.Context) (switched bool, err error) {
	observed, err := s.session.Observe(ctx, s.desired, s)
	if err != nil {
		return false, s.ofRegistration(err)
	}
	if !observed.Exists || !provider.Owns(s.desired.Owner, observed.Owner) || !slices.Contains(observed.Drift, provider.DriftEnabled) {
		return false, nil // gone, another's, or so already
	}
	observed.Drift = []string{provider.DriftEnabled}
	registration, err := s.session.Update(ctx, s.desired, observed, s)
	if err != nil {
		return false, s.ofRegistration(err)
	}
	s.settles(registration.Propagation, true)
	return true, nil
}

// notWithheld says that access is gone, and the registration still works.
func (s *clientScope) notWithheld(denied *halt, err error) error {
	h := haltOf(err)
	return &halt{
		verdict: h.verdict, reason: denied.reason, after: h.after, err: h.err,
		message: fmt.Sprintf("%s Client %s is still in use at the server: %s", denied.message, s.record.ClientID, h.message),
	}
}

// notDeleted says who must act about a deletion in place of a disabling.
func (s *clientScope) notDeleted(err error) error {
	if kind, ok := provider.KindOf(err); ok && (kind == provider.KindUnsupported || kind == provider.KindAccessLost) {
		return userMustAct(v1alpha1.ReasonManagementUnsupported, "it gives the operator no way to disable or delete it (%v). Have it deleted there by hand.", err)
	}
	return ofProvider(err, s.server.Name)
}

// release enables a registration that was withheld, when access is back. It counts as withheld
// until unwithheld takes note.
func (s *clientScope) release(ctx context.Context) error {
	if !s.record.Withheld || s.can.Disable != provider.Supported {
		return nil
	}
	_, err := s.switchTo(ctx)
	return err
}

// unwithheld takes note that the registration is in use again.
func (s *clientScope) unwithheld(ctx context.Context) error {
	if !s.record.Withheld {
		return nil
	}
	s.record.Withheld = false
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return err
	}
	eventAccessBack(s.events, s.object)
	return nil
}
