// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"net/http"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// verify proves the credentials by a live introspection of a random token: the
// server answers `{"active":false}` to a client that it knows, and 401 to others.
func (s *clientScope) verify(ctx context.Context) (outcome, error) {
	active := s.record.Active()
	err := introspectNothing(ctx, s.server, s.session.http, introspect.Credential{ClientID: s.record.ClientID, Secret: introspect.Secret(active.Secret.Reveal())})
	if errors.Is(err, introspect.ErrCredentialsRefused) {
		return outcome{}, tryAgain(v1alpha1.ReasonNotYetAccepted, err, "The server does not accept the registered credentials at its introspection endpoint yet; it is asked again.")
	}
	if err != nil {
		return outcome{}, tryAgain(v1alpha1.ReasonServerError, err, "The server gave no answer about a token: %v. It is asked again.", err)
	}
	return outcome{v1alpha1.ReasonSucceeded, "The server answered an introspection with these credentials."}, nil
}

// introspectNothing asks the server, as the webhook will, about a token that nobody has.
func introspectNothing(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer, c *http.Client, as introspect.Credential) error {
	asker, err := introspect.New(introspect.Options{
		Endpoint: server.Status.Endpoints.Introspection, Issuer: server.Spec.Issuer,
		Timeout: callTimeout(server), HTTPClient: c,
	})
	if err != nil {
		return err
	}
	_, err = asker.Introspect(ctx, as, token.New("not-a-token-"+credential.NewFence()))
	return err
}
