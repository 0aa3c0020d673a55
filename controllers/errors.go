// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// ofProvider says who must act about a provider's error. server is the name of
// the ClusterAuthorizationServer.
func ofProvider(err error, server string) error {
	var e *provider.Error
	if !errors.As(err, &e) {
		return err // the fence's, or a cancelled context's
	}
	said := ""
	if e.Detail != "" {
		said = fmt.Sprintf(" It said: %s.", e.Detail)
	}
	switch e.Kind {
	case provider.KindUnreachable:
		return tryAgain(v1alpha1.ReasonUnreachable, err, "The authorization server does not answer (%s). It is asked again; nothing is lost.", e.Op)
	case provider.KindCredentials:
		return worldMustChange(time.Minute, v1alpha1.ReasonCredentialsRefused,
			"The authorization server refused the operator's sign-in.%s %s", said,
			cmp.Or(e.Advice, fmt.Sprintf("Put the right client_id and client_secret into the Secret that ClusterAuthorizationServer %s names in spec.credentials.", server)))
	case provider.KindForbidden:
		return userMustAct(v1alpha1.ReasonForbidden,
			"The operator may not %s.%s %s", e.Op, said, cmp.Or(e.Advice, "Give the client that it signs in with the right to."))
	case provider.KindNotFound:
		return worldMustChange(time.Minute, v1alpha1.ReasonIssuerNotFound,
			"What clients are registered with at ClusterAuthorizationServer %s is not there (%s).%s %s", server, e.Op, said, cmp.Or(e.Advice, "Is the address right, and the realm still there?"))
	case provider.KindUnsupported:
		return userMustAct(v1alpha1.ReasonRegistrationUnsupported, "The authorization server can't %s: %s.%s", e.Op, unwrapped(e), after(e.Advice))
	case provider.KindAmbiguous:
		return userMustAct(v1alpha1.ReasonRegistrationAmbiguous, "The answer to a registration was lost, and the server has no way to look whether it was made.")
	case provider.KindAccessLost:
		return userMustAct(v1alpha1.ReasonRegistrationAccessLost,
			"The server still knows the client, and no longer takes the registration access token that gave access to it (%s).%s%s", e.Op, said, after(e.Advice))
	case provider.KindTokenClientNotFound:
		return userMustAct(v1alpha1.ReasonTokenClientNotFound,
			"Token client %q does not exist at the server, so no token of it can name this API. Create it there, or take it out of spec.audience.tokenClients here or spec.keycloak.tokenClients of ClusterAuthorizationServer %s.", e.Subject, server)
	case provider.KindTooManyAudiences:
		return worldMustChange(5*time.Minute, v1alpha1.ReasonTooManyAudiences,
			"Token client %q carries as many APIs as access.audience.maxPerTokenClient of ClusterAuthorizationServer %s allows, and each makes its tokens longer. Use spec.audience.mode OnRequest, other token clients, or have the platform team raise the cap.", e.Subject, server)
	case provider.KindNotAdoptable:
		return notAdoptable(e)
	case provider.KindConflict:
		return userMustAct(v1alpha1.ReasonOwnershipConflict,
			"Something of that name exists at the server and is not this object's (%s).%s Set another spec.clientID in a new object, or delete it at the server.", e.Op, owned(e.Subject))
	case provider.KindInvalid:
		return userMustAct(v1alpha1.ReasonInvalidRegistration, "The authorization server refuses the registration (%s).%s %s", e.Op, said, cmp.Or(e.Advice, "Correct the spec."))
	case provider.KindRateLimited:
		return worldMustChange(max(e.RetryAfter, time.Second), v1alpha1.ReasonRateLimited,
			"The authorization server, or the limits of ClusterAuthorizationServer %s, ask to wait (%s).", server, e.Op)
	case provider.KindServer:
		return tryAgain(v1alpha1.ReasonServerError, err, "The authorization server is in trouble (%s).%s It is asked again; nothing is lost.%s", e.Op, said, after(e.Advice))
	default:
		return err
	}
}

// after is a sentence that follows another one, if there is one.
func after(sentence string) string {
	if sentence == "" {
		return ""
	}
	return " " + sentence
}

// unwrapped is what a provider says of a thing that can't be done.
func unwrapped(e *provider.Error) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return cmp.Or(e.Detail, "it has no such thing")
}

// ofRegistration is ofProvider, for what befalls this client's registration.
func (s *clientScope) ofRegistration(err error) error {
	var e *provider.Error
	if s.record != nil && s.record.ClientID != "" {
		s.object.Status.ClientID = s.record.ClientID
	}
	deleted := !s.object.DeletionTimestamp.IsZero()
	switch errors.As(err, &e); {
	case e == nil:
	case e.Kind == provider.KindAmbiguous:
		s.object.Status.RegistrationAttempt = e.Subject
		return userMustAct(v1alpha1.ReasonRegistrationAmbiguous,
			"The answer to a registration was lost, and the server has no way to look whether it was made. Look there for a client with software_id %s (a server that keeps none shows it by its name, %s) and delete it; if there is none, or it is gone, `kubectl annotate --overwrite` this object with %s=%s, and it goes on.",
			e.Subject, cmp.Or(s.object.Spec.DisplayName, ownerMark(s.config.Instance, s.object.Namespace, s.object.Name)), v1alpha1.AnnotationRegisterAgain, e.Subject)
	case e.Kind == provider.KindCredentials && apimeta.IsStatusConditionTrue(s.server.Status.Conditions, v1alpha1.ConditionAuthenticated):
		s.sessions.look(s.server) // it says so there, and wakes its clients when the sign-in is put right
	case deleted && (e.Kind == provider.KindUnreachable || e.Kind == provider.KindServer):
		h := haltOf(ofProvider(err, s.server.Name))
		return tryAgain(h.reason, err, "The registration of %s can't be deleted yet, and the object waits for that. %s To let the object go at once, take its finalizer %s off: the operator deletes the registration later, by its record.",
			s.desired.ClientID, h.message, v1alpha1.Finalizer)
	case deleted && (e.Kind == provider.KindUnsupported || e.Kind == provider.KindAccessLost):
		s.object.Status.RegistrationAttempt = s.desired.Attempt
		return userMustAct(v1alpha1.ReasonManagementUnsupported,
			"The registration of %s can't be deleted by the operator (%v). Delete it at the server yourself, then `kubectl annotate --overwrite` this object with %s=%s, and it goes. Or set spec.deletionPolicy Retain, which spec.access.retain of ClusterAuthorizationServer %s must allow.",
			s.object.Status.ClientID, e, v1alpha1.AnnotationRegisterAgain, s.desired.Attempt, s.server.Name)
	case e.Kind == provider.KindUnsupported && s.record != nil && s.record.ClientID != "":
		return userMustAct(v1alpha1.ReasonManagementUnsupported, "The authorization server can't %s: %s.%s", e.Op, unwrapped(e), after(e.Advice))
	}
	return ofProvider(err, s.server.Name)
}

// notAdoptable says why a registration is not taken over.
func notAdoptable(e *provider.Error) error {
	return userMustAct(v1alpha1.ReasonAdoptionRefused,
		"What exists at the server under this client id is not taken over; against it stands: %s. Only a client that can obtain no token and has no rights is. Change that at the server if it is meant, or set another spec.clientID in a new object.%s", provider.Clean(e.Subject), after(e.Advice))
}

func owned(mark string) string {
	if mark == "" {
		return " It bears no owner mark."
	}
	return fmt.Sprintf(" It belongs to %s.", provider.Clean(mark))
}
