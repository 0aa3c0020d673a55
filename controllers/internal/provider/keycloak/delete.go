// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"net/http"
	"net/url"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Delete implements provider.Registrar. The scope goes first, and detaches
// itself by going; the client stays last, as what a second attempt goes by.
func (s *Server) Delete(ctx context.Context, identity provider.Identity, fence provider.Fence) error {
	ours, err := s.registrations(ctx, identity)
	if err != nil {
		return err
	}
	chosen := s.chosen(identity.RegistrationID, identity.ClientID)
	for _, c := range ours {
		chosen = chosen || s.chosen(c.ID, identity.ClientID)
	}
	if err := s.deleteScope(ctx, identity, chosen, fence); err != nil {
		return err
	}
	for _, c := range ours {
		if err := s.remove(ctx, fence, "delete client", "/clients/"+url.PathEscape(c.ID)); err != nil {
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
	if named != nil && owns(identity.Owner, named.owner()) {
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
	if renamed != nil && owns(identity.Owner, renamed.owner()) {
		ours = append(ours, renamed)
	}
	return ours, nil
}

func (s *Server) deleteScope(ctx context.Context, identity provider.Identity, chosen bool, fence provider.Fence) error {
	found, err := s.scopeByID(ctx, s.scopeUUID(identity.ClientID))
	if err == nil && found == nil && chosen {
		found, err = s.scopeByName(ctx, scopeName(identity.ClientID))
	}
	if found == nil || err != nil || !owns(identity.Owner, found.owner()) {
		return err
	}
	return s.remove(ctx, fence, "delete client scope", "/client-scopes/"+url.PathEscape(found.ID))
}

// remove deletes; what is gone already is success.
func (s *Server) remove(ctx context.Context, fence provider.Fence, op, path string) error {
	a, err := s.write(ctx, fence, call{op: op, method: http.MethodDelete, path: path})
	if a.absent() {
		return nil
	}
	return err
}
