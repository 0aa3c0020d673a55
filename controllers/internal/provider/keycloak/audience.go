// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// tokenClient is what we read of a client whose tokens shall name ours. It is
// not ours: its secret is not even decoded.
type tokenClient struct {
	ID             string   `json:"id"`
	ClientID       string   `json:"clientId"`
	DefaultScopes  []string `json:"defaultClientScopes"`
	OptionalScopes []string `json:"optionalClientScopes"`
}

const opLookUp = "look up token client"

// MapAudience implements provider.AudienceMapper. The order keeps the intent on the
// scope a superset of what is attached, whenever it is interrupted: detach what
// is no longer asked for, write the intent, attach.
func (s *Server) MapAudience(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.AudienceReport, error) {
	if desired.Audience.Mode == provider.AudienceUnmanaged {
		return provider.AudienceReport{}, nil
	}
	defer s.listing.Wrote(desired.ClientID)
	report := provider.AudienceReport{Scope: scopeName(desired.ClientID)}
	want := s.wantedScope(desired)
	found, fresh, err := s.ensureScope(ctx, desired, want, caller)
	if err != nil {
		return report, err
	}
	if fresh {
		report.Repaired = append(report.Repaired, "client scope "+want.Name)
	} else {
		detached, err := s.detachRemoved(ctx, found, want, caller)
		report.Repaired = append(report.Repaired, detached...)
		if err != nil {
			return report, err
		}
	}
	repaired, err := s.repairScope(ctx, found, want, caller)
	report.Repaired = append(report.Repaired, repaired...)
	if err != nil {
		return report, err
	}
	attached, err := s.attachAll(ctx, attachment{scopeID: found.ID, scope: want.Name, audience: desired.Audience, fresh: fresh}, want.intent(), caller)
	report.Repaired = append(report.Repaired, attached...)
	return report, err
}

// ensureScope finds the scope of a client, or makes it; fresh says that it made it. Of a client that
// was made just now nobody looks for the scope first: it is made, and looked for if that is refused.
func (s *Server) ensureScope(ctx context.Context, desired provider.Desired, want scope, caller provider.Caller) (found *scope, fresh bool, err error) {
	if !s.recent.takeMade(desired.ClientID) {
		if found, err = s.scopeOf(ctx, desired, want); found != nil || err != nil {
			return found, false, err
		}
	}
	if found, fresh, err = s.createScope(ctx, want, caller); err != nil {
		return nil, false, err
	}
	if !provider.Owns(desired.Owner, found.owner()) {
		return nil, false, &provider.Error{Kind: provider.KindConflict, Op: opMakeScope, Subject: found.owner()}
	}
	return found, fresh, nil
}

// scopeOf is the scope of a client, if it is there and ours.
func (s *Server) scopeOf(ctx context.Context, desired provider.Desired, want scope) (*scope, error) {
	found, err := s.scopeByID(ctx, want.ID)
	if err == nil && found == nil && s.chosen(desired.RegistrationID, desired.ClientID) {
		found, err = s.scopeByName(ctx, want.Name)
	}
	if found == nil || err != nil {
		return nil, err
	}
	if !provider.Owns(desired.Owner, found.owner()) {
		return nil, &provider.Error{Kind: provider.KindConflict, Op: opScope, Subject: found.owner()}
	}
	return found, nil
}

// chosen reports whether the server chose a registration's id, and so may have
// chosen its scope's.
func (s *Server) chosen(registrationID, clientID string) bool {
	return registrationID != "" && registrationID != s.clientUUID(clientID)
}

// detachRemoved detaches the scope from the clients of its intent that are no
// longer asked for.
func (s *Server) detachRemoved(ctx context.Context, found *scope, want scope, caller provider.Caller) (detached []string, err error) {
	for _, name := range found.intent() {
		if slices.Contains(want.intent(), name) {
			continue
		}
		at, err := s.tokenClient(ctx, name)
		if kind, _ := provider.KindOf(err); err != nil && kind == provider.KindTokenClientNotFound {
			continue // and its attachment went with it
		}
		if err != nil {
			return detached, err
		}
		if !slices.Contains(at.DefaultScopes, found.Name) && !slices.Contains(at.OptionalScopes, found.Name) {
			continue
		}
		if err := s.detach(ctx, at, found.ID, caller); err != nil {
			return detached, err
		}
		detached = append(detached, "detached from "+name)
	}
	return detached, nil
}

// attachAll attaches the scope to every token client that can have it, and
// returns the first error of those that can't.
func (s *Server) attachAll(ctx context.Context, a attachment, clients []string, caller provider.Caller) (attached []string, first error) {
	for _, name := range clients {
		a.to = name
		done, err := s.attach(ctx, a, caller)
		if done {
			attached = append(attached, "attached to "+name)
		}
		switch kind, ok := provider.KindOf(err); {
		case err == nil:
		case ok && (kind == provider.KindTokenClientNotFound || kind == provider.KindTooManyAudiences):
			if first == nil {
				first = err // a fault of that client only
			}
		default:
			return attached, err
		}
	}
	return attached, first
}

type attachment struct {
	scopeID, scope, to string
	audience           provider.Audience
	// fresh says that the scope was made just now, and is attached to nobody.
	fresh bool
}

// isAt says that the scope is attached as it should be.
func (a attachment) isAt(at *tokenClient) bool {
	if a.audience.Mode == provider.AudienceOnRequest {
		return slices.Contains(at.OptionalScopes, a.scope)
	}
	return slices.Contains(at.DefaultScopes, a.scope)
}

// attach attaches the scope to one token client, in the way that is asked for.
// One at a time per token client, from the count to the attachment.
func (s *Server) attach(ctx context.Context, a attachment, caller provider.Caller) (done bool, err error) {
	if done, err := s.attachKnown(ctx, a, caller); done || err != nil {
		return done, err
	}
	if !a.fresh { // a look that finds all well waits for nobody
		if at, err := s.tokenClient(ctx, a.to); err != nil || a.isAt(at) {
			return false, err
		}
	}
	leave, err := s.enter(ctx, a.to)
	if err != nil {
		return false, err
	}
	defer leave()
	at, err := s.tokenClient(ctx, a.to)
	if err != nil {
		return false, err
	}
	if a.isAt(at) {
		return false, nil
	}
	list, other := "default-client-scopes", at.OptionalScopes
	if a.audience.Mode == provider.AudienceOnRequest {
		list, other = "optional-client-scopes", at.DefaultScopes
	} else if audiences(at.DefaultScopes) >= a.audience.MaxPerTokenClient {
		return false, &provider.Error{Kind: provider.KindTooManyAudiences, Op: "map the audience", Subject: a.to}
	}
	if slices.Contains(other, a.scope) {
		// Attached in the other way, attaching changes nothing and is answered as if it had.
		if err := s.detach(ctx, at, a.scopeID, caller); err != nil {
			return false, err
		}
	}
	err = s.putScope(ctx, caller, s.call("attach client scope", http.MethodPut, clientPath(at.ID)+"/"+list+"/"+url.PathEscape(a.scopeID)))
	return err == nil, err
}

// attachKnown attaches a scope that was made just now on request to a token client that was looked up a
// moment ago: it is attached to nobody, and no cap has to be counted for.
func (s *Server) attachKnown(ctx context.Context, a attachment, caller provider.Caller) (done bool, err error) {
	id, ok := s.recent.tokenClient(a.to, s.now())
	if !ok || !a.fresh || a.audience.Mode != provider.AudienceOnRequest {
		return false, nil
	}
	answer, err := s.api.Write(ctx, caller, s.call("attach client scope", http.MethodPut, clientPath(id)+"/optional-client-scopes/"+url.PathEscape(a.scopeID)))
	if absent(answer) {
		return false, nil // it was made anew meanwhile: look it up
	}
	return err == nil, err
}

// audiences counts the client scopes of this product among the names.
func audiences(scopes []string) int {
	n := 0
	for _, name := range scopes {
		if strings.HasPrefix(name, scopePrefix) {
			n++
		}
	}
	return n
}

// detach takes the scope off a token client, default or optional: the server
// looks for both under either name. What is gone already is success.
func (s *Server) detach(ctx context.Context, at *tokenClient, scopeID string, caller provider.Caller) error {
	a, err := s.api.Write(ctx, caller, s.call("detach client scope", http.MethodDelete, clientPath(at.ID)+"/default-client-scopes/"+url.PathEscape(scopeID)))
	if absent(a) {
		return nil
	}
	return err
}

// tokenClient looks a token client up, with what is attached to it.
func (s *Server) tokenClient(ctx context.Context, clientID string) (*tokenClient, error) {
	var found []tokenClient
	_, err := s.api.Decode(ctx, s.get(opLookUp, "/clients", url.Values{"clientId": {clientID}}), &found)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].ClientID == clientID {
			s.recent.sawTokenClient(clientID, found[i].ID, s.now())
			return &found[i], nil
		}
	}
	return nil, &provider.Error{Kind: provider.KindTokenClientNotFound, Op: opLookUp, Subject: clientID}
}

// enter waits for a token client's turn.
func (s *Server) enter(ctx context.Context, name string) (leave func(), err error) {
	s.mu.Lock()
	turn := s.turns[name]
	if turn == nil {
		turn = make(chan struct{}, 1)
		s.turns[name] = turn
	}
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, provider.Unreachable("map the audience", ctx.Err())
	}
}
