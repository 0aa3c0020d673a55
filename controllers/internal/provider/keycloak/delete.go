// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"net/http"
	"net/url"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Delete implements provider.Registrar. What was adopted is given back. The scope goes first, and detaches
// itself by going; the client stays last, as what a second attempt goes by.
func (s *Server) Delete(ctx context.Context, desired provider.Desired, caller provider.Caller) error {
	defer s.listing.Wrote(desired.ClientID)
	identity := desired.Identity
	ours, err := s.registrations(ctx, identity)
	if err != nil {
		return err
	}
	if err := s.deleteScope(ctx, identity, caller); err != nil {
		return err
	}
	for _, c := range ours {
		if isAdopted(c, identity) {
			if err := s.giveBack(ctx, c, identity, caller); err != nil {
				return err
			}
			continue
		}
		if err := s.remove(ctx, caller, "delete client", clientPath(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// registrations are the clients that bear the owner's mark, by client id and by
// the server's id: two, if somebody renamed ours and another was made.
func (s *Server) registrations(ctx context.Context, identity provider.Identity) ([]*client, error) {
	var ours []*client
	named, err := s.byClientID(ctx, identity.ClientID)
	if err != nil {
		return nil, err
	}
	if named != nil && provider.Owns(identity.Owner, named.owner()) {
		ours = append(ours, named)
	}
	id := identity.RegistrationID
	if id == "" {
		id = s.clientUUID(identity.ClientID) // the answer to its creation may have been lost
	}
	if named != nil && named.ID == id {
		return ours, nil
	}
	renamed, err := s.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	if renamed != nil && provider.Owns(identity.Owner, renamed.owner()) {
		ours = append(ours, renamed)
	}
	return ours, nil
}

func (s *Server) deleteScope(ctx context.Context, identity provider.Identity, caller provider.Caller) error {
	found, err := s.scopeByID(ctx, s.scopeUUID(identity.ClientID))
	if err == nil && found == nil { // the server may have chosen its id
		found, err = s.scopeByName(ctx, scopeName(identity.ClientID))
	}
	if found == nil || err != nil || !provider.Owns(identity.Owner, found.owner()) {
		return err
	}
	return s.remove(ctx, caller, "delete client scope", "/client-scopes/"+url.PathEscape(found.ID))
}

// remove deletes; what is gone already is success.
func (s *Server) remove(ctx context.Context, caller provider.Caller, op, path string) error {
	a, err := s.api.Write(ctx, caller, s.call(op, http.MethodDelete, path))
	if absent(a) {
		return nil
	}
	return err
}
