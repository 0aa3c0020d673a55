// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opCreate = "create client"
	opUpdate = "update client"
)

// maxClientID is what the server's database holds. It answers a longer one with 500.
const maxClientID = 255

// Create implements provider.Registrar.
func (s *Server) Create(ctx context.Context, desired provider.Desired, fence provider.Fence) (provider.Registration, error) {
	if err := sendable(opCreate, desired.Secret); err != nil {
		return provider.Registration{}, err
	}
	id := s.clientUUID(desired.ClientID)
	created, err := s.post(ctx, desired, id, fence)
	if err == nil || !unsure(err) {
		return created, err
	}
	found, lookErr := s.find(ctx, provider.Identity{ClientID: desired.ClientID, RegistrationID: id, Owner: desired.Owner})
	switch {
	case lookErr != nil:
		return provider.Registration{}, err
	case found != nil:
		return s.take(ctx, found, desired, fence)
	case !conflicting(err):
		return provider.Registration{}, absentStill(err, desired.ClientID)
	}
	// "Client X already exists", and it does not: the id is taken, in another realm perhaps.
	created, err = s.post(ctx, desired, "", fence)
	if err == nil || !unsure(err) {
		return created, err
	}
	found, lookErr = s.byClientID(ctx, desired.ClientID)
	if found == nil || lookErr != nil {
		return provider.Registration{}, absentStill(err, desired.ClientID)
	}
	return s.take(ctx, found, desired, fence)
}

func (s *Server) post(ctx context.Context, desired provider.Desired, id string, fence provider.Fence) (provider.Registration, error) {
	a, err := s.write(ctx, fence, call{
		op: opCreate, method: http.MethodPost, path: "/clients",
		in: creation(desired, id), secrets: []provider.Secret{desired.Secret},
	})
	if err != nil {
		return provider.Registration{}, err
	}
	if chosen := a.id(); chosen != "" {
		id = chosen
	}
	if id == "" {
		found, err := s.byClientID(ctx, desired.ClientID)
		if err != nil || found == nil {
			return provider.Registration{}, a.nonsense()
		}
		id = found.ID
	}
	return provider.Registration{RegistrationID: id}, nil
}

// take accepts a client that turned out to be there: if it is ours, as it
// should be.
func (s *Server) take(ctx context.Context, found *client, desired provider.Desired, fence provider.Fence) (provider.Registration, error) {
	if !owns(desired.Owner, found.owner()) {
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opCreate, Subject: found.owner()}
	}
	observed, err := s.observation(ctx, found, desired)
	if err != nil {
		return provider.Registration{}, err
	}
	return s.Update(ctx, desired, observed, fence)
}

// Update implements provider.Registrar.
func (s *Server) Update(ctx context.Context, desired provider.Desired, observed provider.Observation, fence provider.Fence) (provider.Registration, error) {
	registration := provider.Registration{RegistrationID: observed.RegistrationID}
	switch {
	case !owns(desired.Owner, observed.Owner):
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opUpdate, Subject: observed.Owner}
	case len(observed.Drift) == 0:
		return registration, nil
	}
	body := change(desired, observed.Drift)
	if _, ok := body["secret"]; ok {
		if err := sendable(opUpdate, desired.Secret); err != nil {
			return provider.Registration{}, err
		}
	}
	a, err := s.write(ctx, fence, call{
		op: opUpdate, method: http.MethodPut, path: "/clients/" + url.PathEscape(observed.RegistrationID),
		in: body, secrets: []provider.Secret{desired.Secret},
	})
	switch {
	case a.absent():
		return provider.Registration{}, a.meanwhile()
	case err != nil:
		return provider.Registration{}, err
	}
	return registration, s.kept(ctx, desired, observed.RegistrationID)
}

// kept reads the secret back: where a client policy lets secrets expire, the
// server may answer a PUT with one of its own choice.
func (s *Server) kept(ctx context.Context, desired provider.Desired, id string) error {
	secret, known, err := s.secretOf(ctx, &client{ID: id})
	if err != nil {
		return err
	}
	if known && secret != desired.Secret {
		return &provider.Error{Kind: provider.KindServer, Op: opUpdate, Err: errors.New("the server chose a secret of its own")}
	}
	return nil
}

// sendable refuses what the server would store as a secret, though it is none.
func sendable(op string, secret provider.Secret) error {
	if secret == "" || secret == mask {
		return &provider.Error{Kind: provider.KindInvalid, Op: op, Err: errors.New("there is no secret to send")}
	}
	return nil
}

// unsure reports whether a creation may have happened in spite of its error.
func unsure(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // there is nobody to look again for
	}
	kind, ok := provider.KindOf(err)
	if !ok {
		return false // the fence's
	}
	switch kind {
	case provider.KindServer, provider.KindUnreachable, provider.KindConflict, provider.KindInvalid:
		return true
	case provider.KindCredentials, provider.KindForbidden, provider.KindNotFound, provider.KindTokenClientNotFound,
		provider.KindTooManyAudiences, provider.KindRateLimited:
		return false
	default:
		return false
	}
}

func conflicting(err error) bool {
	kind, ok := provider.KindOf(err)
	return ok && kind == provider.KindConflict
}

// absentStill is the error of a creation that did not happen.
func absentStill(err error, clientID string) error {
	var e *provider.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case len(clientID) > maxClientID && e.Status >= http.StatusInternalServerError:
		return &provider.Error{Kind: provider.KindInvalid, Op: e.Op, Status: e.Status, Detail: "the client id is longer than 255 characters", Err: e.Err}
	case e.Kind == provider.KindConflict:
		// Taken and not there: it comes or goes right now.
		return &provider.Error{Kind: provider.KindServer, Op: e.Op, Status: e.Status, Detail: e.Detail, Err: e.Err}
	}
	return err
}
