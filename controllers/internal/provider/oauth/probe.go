// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opProbe = "look at the registration endpoint"

// noClient is metadata that no server takes, for two reasons each of which is enough: its members are of the wrong types,
// and the grant that it asks for needs an address that it has not. It is an object, since some servers refuse anything
// else before they look at the token (node-oidc-provider).
func noClient() map[string]any {
	return map[string]any{
		memberGrants: []string{"authorization_code"}, memberResponses: []string{"code"},
		memberRedirects: map[string]any{}, memberName: []string{}, memberMethod: map[string]any{},
	}
}

// Probe implements provider.Prober. Its one call is a registration that can't be one.
func (s *session) Probe(ctx context.Context) (provider.Report, error) {
	if err := s.fit(opProbe); err != nil {
		return provider.Report{}, err
	}
	answer, err := s.api.Do(ctx, provider.Call{
		Op: opProbe, Method: http.MethodPost, URL: s.registration, In: noClient(), Bearer: s.config.SignIn.InitialAccessToken,
	})
	refused, ok := errors.AsType[*provider.Error](err)
	if answer == nil || !ok { // no status means that it was done
		return provider.Report{}, err
	}
	if err := s.probed(ctx, answer, refused); err != nil {
		return provider.Report{}, err
	}
	return provider.Report{Rights: provider.RightsUnknown, Capabilities: s.capabilities(), RegistrationURL: s.registration}, nil
}

// probed is nil if the answer is one that a registration endpoint may give to nonsense.
func (s *session) probed(ctx context.Context, answer *provider.Answer, refused *provider.Error) error {
	switch status := answer.Status; {
	case status < http.StatusMultipleChoices:
		return s.taken(ctx, answer, refused)
	case status < http.StatusBadRequest:
		refused.Advice = s.isThatIt()
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		refused.Kind = provider.KindNotFound
		refused.Advice = "Nothing is registered at " + provider.Clean(s.registration) + ": correct spec.oauth.registrationEndpoint."
	case status == http.StatusUnauthorized, status == http.StatusForbidden && answer.Word() == "insufficient_scope":
		return s.advised(refused)
	case refused.Kind == provider.KindRateLimited:
	default:
		return nil
	}
	return refused
}

func (s *session) isThatIt() string {
	return "Is " + provider.Clean(s.registration) + " the registration endpoint? Correct spec.oauth.registrationEndpoint, or what stands before it."
}

// taken is the error when the nonsense was taken: by a page that takes anything, or by a server, which has a client now
// that nobody wants.
func (s *session) taken(ctx context.Context, answer *provider.Answer, e *provider.Error) error {
	e.Kind, e.Advice = provider.KindNotFound, s.isThatIt()
	var made state
	if _, _, err := made.take(answer); err != nil {
		return e
	}
	e.Kind, e.Err = provider.KindUnsupported, errors.New("it made a client of metadata that no server may take")
	if err := s.discard(ctx, &made); err != nil {
		e.Advice += " Delete client " + provider.Clean(made.ClientID) + " there, which the question made."
	}
	return e
}

// discard deletes a client that nobody wants, also if the caller was called off meanwhile.
func (s *session) discard(ctx context.Context, made *state) error {
	if !made.manageable() {
		return errors.New("the answer does not tell how to delete it")
	}
	address, err := s.address(opProbe, made)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearWithin)
	defer cancel()
	_, err = s.api.Do(ctx, provider.Call{
		Op: opProbe, Method: http.MethodDelete, URL: address, Bearer: provider.Secret(made.Token), Done: []int{http.StatusNoContent}, Secrets: made.secrets(),
	})
	return err
}
