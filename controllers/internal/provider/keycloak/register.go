// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"errors"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opCreate = "create client"
	opUpdate = "update client"
)

// maxClientID is what the server's database holds. It answers a longer one with 500.
const maxClientID = 255

// Create implements provider.Registrar.
func (s *Server) Create(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Registration, error) {
	defer s.listing.Wrote(desired.ClientID)
	if err := s.sendable(opCreate, desired.Credentials); err != nil {
		return provider.Registration{}, err
	}
	ours := s.clientUUID(desired.ClientID)
	var err error
	// "Client X already exists", and it does not: it came and went, or the id is taken, in another realm
	// perhaps. Then the server may choose it.
	for _, id := range []string{ours, ours, ""} {
		var created provider.Registration
		created, err = s.post(ctx, desired, id, caller)
		if err == nil || !unsure(err) {
			return created, err
		}
		found, lookErr := s.find(ctx, provider.Identity{ClientID: desired.ClientID, RegistrationID: id, Owner: desired.Owner})
		switch {
		case lookErr != nil:
			return provider.Registration{}, lookErr
		case found != nil:
			return s.take(ctx, found, desired, caller)
		case !conflicting(err):
			return provider.Registration{}, absentStill(err, desired.ClientID)
		}
	}
	return provider.Registration{}, absentStill(err, desired.ClientID)
}

func (s *Server) post(ctx context.Context, desired provider.Desired, id string, caller provider.Caller) (provider.Registration, error) {
	a, err := s.api.Write(ctx, caller, s.send(opCreate, http.MethodPost, "/clients", s.creation(desired, id), desired.Credentials.Secrets()...))
	if err != nil {
		return provider.Registration{}, err
	}
	if desired.Audience.Mode != provider.AudienceUnmanaged {
		s.recent.made(desired.ClientID)
	}
	if chosen := chosenID(a); chosen != "" {
		id = chosen
	}
	if id == "" {
		found, err := s.byClientID(ctx, desired.ClientID)
		if err != nil || found == nil {
			return provider.Registration{}, a.Nonsense()
		}
		id = found.ID
	}
	return provider.Registration{RegistrationID: id}, nil
}

// take accepts a client that turned out to be there: if it is ours, as it
// should be.
func (s *Server) take(ctx context.Context, found *client, desired provider.Desired, caller provider.Caller) (provider.Registration, error) {
	if !provider.Owns(desired.Owner, found.owner()) {
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opCreate, Subject: found.owner()}
	}
	observed, err := s.observation(ctx, found, desired)
	if err != nil {
		return provider.Registration{}, err
	}
	return s.Update(ctx, desired, observed, caller)
}

// Update implements provider.Registrar. An overlap goes on: a PUT leaves the rotated secret alone,
// or names it.
func (s *Server) Update(ctx context.Context, desired provider.Desired, observed provider.Observation, caller provider.Caller) (provider.Registration, error) {
	defer s.listing.Wrote(desired.ClientID)
	registration := provider.Registration{RegistrationID: observed.RegistrationID}
	switch {
	case !provider.Owns(desired.Owner, observed.Owner):
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opUpdate, Subject: observed.Owner}
	case len(observed.Drift) == 0:
		return registration, nil
	}
	if err := s.sendable(opUpdate, desired.Credentials); err != nil {
		return provider.Registration{}, err
	}
	found, err := s.byID(ctx, observed.RegistrationID) // for the time at which the server ends the secret
	switch {
	case err != nil:
		return provider.Registration{}, err
	case found == nil:
		return provider.Registration{}, provider.Meanwhile(opUpdate)
	}
	if err := s.put(ctx, opUpdate, desired, observed.Drift, found, caller); err != nil {
		return provider.Registration{}, err
	}
	_, err = s.readBack(ctx, opUpdate, found.ID, desired.Credentials)
	return registration, err
}

// put changes what drifted.
func (s *Server) put(ctx context.Context, op string, desired provider.Desired, drift []string, found *client, caller provider.Caller) error {
	a, err := s.api.Write(ctx, caller, s.send(op, http.MethodPut, clientPath(found.ID), s.change(desired, drift, found), desired.Credentials.Secrets()...))
	if absent(a) {
		return a.Meanwhile()
	}
	return err
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
		provider.KindTooManyAudiences, provider.KindRateLimited, provider.KindAmbiguous, provider.KindAccessLost, provider.KindUnsupported, provider.KindNotAdoptable:
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
