// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// propagationPause is when a server that does not know of a change everywhere is asked again.
const propagationPause = 2 * time.Second

// verify proves the credentials by a live introspection of a token that nobody issued:
// 200 {"active":false} is an answer to who asks.
func (s *clientScope) verify(ctx context.Context) (outcome, error) {
	if s.stillProved() {
		return outcome{}, nil
	}
	active := s.record.InUse()
	if !active.Known() {
		return outcome{}, tryAgain(v1alpha1.ReasonServerError, nil, "The server registered the client and told no secret; it is asked again.")
	}
	err := s.ask(ctx, active, nothing())
	if next := s.record.Next; errors.Is(err, introspect.ErrCredentialsRefused) && s.record.Rotating() && next != nil && next.Known() {
		active = *next // the process ended between the server's change and ours
		err = s.ask(ctx, active, nothing())
	}
	if errors.Is(err, introspect.ErrCredentialsRefused) && s.mayPutBack() {
		if err = s.putBack(ctx); err != nil {
			return outcome{}, err
		}
		err = s.ask(ctx, active, nothing())
	}
	switch {
	case errors.Is(err, introspect.ErrCredentialsRefused):
		return outcome{}, s.refused(err)
	case err != nil && active.ServiceAccount != "": // somebody may have deleted it
		err = errors.Join(err, s.store.EnsureServiceAccount(ctx, s.id()))
		return outcome{}, tryAgain(v1alpha1.ReasonServerError, err, "The server gave no answer about a token: %v. It is asked again.", err)
	case err != nil:
		return outcome{}, tryAgain(v1alpha1.ReasonServerError, err, "The server gave no answer about a token: %v. It is asked again.", err)
	}
	s.attention.provedNow(s.key())
	s.object.Status.RegistrationAttempt = ""
	s.seeJWTs(ctx, active)
	if isManual(s.server) {
		return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("The server answered an introspection with the credential in Secret %s, resourceVersion %s.", s.object.Spec.ExistingSecretName, s.broughtVersion)}, nil
	}
	return outcome{v1alpha1.ReasonSucceeded, "The server answered an introspection with these credentials."}, nil
}

// proveNext asks the server with the next credential; workloads that ask it themselves get
// it when all of the server knows it.
func (s *clientScope) proveNext(ctx context.Context) error {
	err := s.ask(ctx, *s.record.Next, nothing())
	settling := s.settling()
	switch {
	case errors.Is(err, introspect.ErrCredentialsRefused) && !settling:
		return tryAgain(v1alpha1.ReasonNotYetAccepted, err, "The server does not accept the next credential yet; it is asked again. The one before it is in use.")
	case err != nil && !settling:
		return tryAgain(v1alpha1.ReasonServerError, err, "The server gave no answer about a token to the next credential: %v. It is asked again.", err)
	case err != nil, settling && s.object.Spec.Endpoint == v1alpha1.EndpointServer:
		return worldMustChange(s.untilSettled(1), v1alpha1.ReasonPropagating, "Not every part of the server knows the next credential yet: it is used from %s on.", s.record.SettledAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// refused says what it means that the server does not take the credentials.
func (s *clientScope) refused(err error) error {
	if isManual(s.server) {
		return userMustAct(v1alpha1.ReasonCredentialsRefused,
			"The server refuses the credential in Secret %s (client id %s) at its introspection endpoint. Put the one there that is registered at the server.%s",
			s.object.Spec.ExistingSecretName, s.record.Proof(s.record.Active()).ClientID, s.goesOn())
	}
	if s.settling() {
		return worldMustChange(s.untilSettled(4), v1alpha1.ReasonPropagating,
			"Not every part of the server knows the registration yet: it may take until %s. It is asked again.", s.record.SettledAt.UTC().Format(time.RFC3339))
	}
	if choosesIDs(s.can) {
		s.object.Status.RegistrationAttempt = s.record.Attempt
		return tryAgain(v1alpha1.ReasonNotYetAccepted, err, "The server does not accept the credential that it gave client %s at its introspection endpoint; it is asked again. If the client is gone there, have it registered again: `kubectl annotate --overwrite` this object with %s=%s.",
			s.record.ClientID, v1alpha1.AnnotationRegisterAgain, s.record.Attempt)
	}
	return tryAgain(v1alpha1.ReasonNotYetAccepted, err, "The server does not accept the registered credentials at its introspection endpoint yet; it is asked again.")
}

// goesOn says whether an older credential is in use meanwhile.
func (s *clientScope) goesOn() string {
	if s.record.Current == nil || s.record.Next == nil {
		return ""
	}
	return " The one before it is in use for as long as the server takes it."
}

// untilSettled is a part of the time that the server may need, and not too short.
func (s *clientScope) untilSettled(parts int) time.Duration {
	return max(s.record.SettledAt.Sub(s.clock.Now())/time.Duration(parts), propagationPause)
}

// settling says that the server may not know everywhere of what was written.
func (s *clientScope) settling() bool { return s.clock.Now().Before(s.record.SettledAt) }

// seeJWTs finds out whether the server introspects JWTs, unless it was seen to: some refuse
// to, and a policy that waits for their answer would wait for ever.
func (s *clientScope) seeJWTs(ctx context.Context, active credential.Value) {
	if s.session.introspectsJWTs() == provider.Supported {
		return
	}
	switch err := s.ask(ctx, active, shapedLikeJWT(s.server.Spec.Issuer, s.clock.Now())); {
	case err == nil:
		s.sessions.learn(s.server, s.session, provider.Supported)
	case errors.Is(err, introspect.ErrUnsupportedToken):
		s.sessions.learn(s.server, s.session, provider.Unsupported)
	}
}

// ask introspects a token with one of the record's credentials.
func (s *clientScope) ask(ctx context.Context, as credential.Value, about token.Token) error {
	proof, err := proofOf(s.record.Proof(as), s.server.Spec.Issuer, s.config.WebhookNamespace, s.sessions.mint)
	if err != nil {
		return err
	}
	asker, err := introspect.New(introspect.Options{
		Endpoint: s.server.Status.Endpoints.Introspection, Issuer: s.server.Spec.Issuer,
		Timeout: callTimeout(s.server), HTTPClient: s.session.http, Clock: s.clock.Now,
	})
	if err != nil {
		return err
	}
	_, err = asker.Introspect(ctx, proof, about)
	return err
}

// nothing is a token that nobody issued.
func nothing() token.Token { return token.New("not-a-token-" + credential.NewFence()) }

// shapedLikeJWT is a token that nobody signed.
func shapedLikeJWT(issuer string, now time.Time) token.Token {
	part := base64.RawURLEncoding.EncodeToString
	return token.New(part([]byte(`{"alg":"RS256","typ":"at+jwt","kid":"none"}`)) + "." +
		part(fmt.Appendf(nil, `{"iss":%q,"jti":%q,"exp":%d}`, issuer, credential.NewFence(), now.Add(time.Minute).Unix())) + "." +
		part([]byte(credential.NewFence())))
}
