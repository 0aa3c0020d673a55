// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"maps"
	"slices"
	"time"
)

// What people do at the server past its protocols.

// Logout ends all sessions of a user: its tokens are inactive from now on.
func (s *Server) Logout(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return user != "" && t.user == user })
}

// Disable keeps a user's tokens inactive, and gives out no others.
func (s *Server) Disable(user string) { s.setDisabled(user, true) }

// Enable undoes Disable.
func (s *Server) Enable(user string) { s.setDisabled(user, false) }

func (s *Server) setDisabled(user string, disabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled[user] = disabled
}

// Registered are the ids of the clients that registered, sorted.
func (s *Server) Registered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, c := range s.clients {
		if c.metadata != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Metadata is what a client registered; nil if it did not.
func (s *Server) Metadata(id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[id]; c != nil {
		return maps.Clone(c.metadata)
	}
	return nil
}

// Change changes a registered client's metadata; it reports whether there is such a client, and it is valid so.
func (s *Server) Change(id string, change func(metadata map[string]any)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[id]
	if c == nil || c.metadata == nil {
		return false
	}
	metadata := maps.Clone(c.metadata)
	change(metadata)
	changed := *c
	code, _ := s.settle(&changed, metadata)
	if code == "" {
		*c = changed
	}
	return code == ""
}

// Remove deletes a client; it reports whether there was one.
func (s *Server) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.clients[id] != nil
	s.drop(id)
	return there
}

// Reimport throws all away that registered, and every token: only what is there from the start is left.
func (s *Server) Reimport() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients, s.tokens, s.used = map[string]*client{}, map[string]*token{}, map[string]time.Time{}
	for _, c := range s.o.Clients {
		s.clients[c.ID] = staticClient(c)
	}
}

// LoseAccess replaces a client's registration access token by one that nobody knows.
func (s *Server) LoseAccess(id string) bool {
	return s.replace(id, func(c *client) { c.token = rand.Text() })
}

// ReplaceSecret ends a client's secrets, as an administrator who resets it does. A read shows the new one.
func (s *Server) ReplaceSecret(id string) bool {
	return s.replace(id, func(c *client) { c.secrets = []string{rand.Text()} })
}

func (s *Server) replace(id string, change func(*client)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[id]
	if c == nil {
		return false
	}
	change(c)
	return true
}
