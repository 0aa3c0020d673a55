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

const (
	// scopePrefix begins the names of our client scopes, and those of other instances: the cap counts them.
	scopePrefix = "introspection:"
	// intentMark is the attribute of a client scope that lists what it is attached to, or about to be.
	intentMark  = "introspection.dev/token-clients"
	mapperName  = "audience"
	mapperType  = "oidc-audience-mapper"
	opScope     = "read client scope"
	opMakeScope = "create client scope"
	opPutScope  = "update client scope"
	opPutMapper = "repair the audience mapper"
)

// scope is what we read of Keycloak's ClientScopeRepresentation.
type scope struct {
	ID          string            `json:"id,omitempty"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Protocol    string            `json:"protocol"`
	Attributes  map[string]string `json:"attributes"`
	Mappers     []mapper          `json:"protocolMappers,omitempty"`
}

type mapper struct {
	ID              string            `json:"id,omitempty"`
	Name            string            `json:"name"`
	Protocol        string            `json:"protocol"`
	ProtocolMapper  string            `json:"protocolMapper"`
	ConsentRequired bool              `json:"consentRequired"`
	Config          map[string]string `json:"config"`
}

func scopePath(id string) string { return "/client-scopes/" + url.PathEscape(id) }

func scopeName(clientID string) string { return scopePrefix + clientID }

func (sc *scope) owner() string { return sc.Attributes[ownerMark] }

// intent is the token clients that the scope says it is attached to. Between
// them are spaces, which the objects' client ids have none of; the server keeps
// 2,048 characters.
func (sc *scope) intent() []string { return strings.Fields(sc.Attributes[intentMark]) }

// wantedScope is the scope as it should be, with the ids that we choose.
func (s *Server) wantedScope(d provider.Desired) scope {
	clients := slices.Compact(slices.Sorted(slices.Values(d.Audience.TokenClients)))
	return scope{
		ID: s.scopeUUID(d.ClientID), Name: scopeName(d.ClientID), Protocol: protocol,
		Description: "Lets " + d.ClientID + " introspect the tokens that name it",
		Attributes: map[string]string{
			"include.in.token.scope": "false", "display.on.consent.screen": "false",
			ownerMark: d.Owner, intentMark: strings.Join(clients, " "),
		},
		Mappers: []mapper{{
			ID: s.mapperUUID(d.ClientID), Name: mapperName, Protocol: protocol, ProtocolMapper: mapperType,
			Config: map[string]string{
				"included.client.audience": d.ClientID, "access.token.claim": "true", "id.token.claim": "false",
				"introspection.token.claim": "true", "lightweight.claim": "true",
			},
		}},
	}
}

// scopeByID looks a scope up; nil if there is none.
func (s *Server) scopeByID(ctx context.Context, id string) (*scope, error) {
	var found scope
	a, err := s.api.Decode(ctx, s.get(opScope, scopePath(id), nil), &found)
	switch {
	case absent(a):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &found, nil
}

// scopeByName reads all client scopes, since the server has no search for them:
// for the rare scope whose id the server chose.
func (s *Server) scopeByName(ctx context.Context, name string) (*scope, error) {
	var all []scope
	if _, err := s.api.Decode(ctx, s.get("list client scopes", "/client-scopes", nil), &all); err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	return nil, nil
}

// createScope creates the scope with its mapper and its intent. An answer that
// leaves doubt is followed by a look.
func (s *Server) createScope(ctx context.Context, want scope, caller provider.Caller) (found *scope, made bool, err error) {
	ours, mapped := want.ID, want.Mappers[0].ID
	// Taken, and not there: it came and went, or the ids are in use in another realm. Then the server
	// may choose.
	for _, id := range []string{ours, ours, ""} {
		want.ID, want.Mappers[0].ID = id, mapped
		if id == "" {
			want.Mappers[0].ID = ""
		}
		var a *provider.Answer
		a, err = s.api.Write(ctx, caller, s.send(opMakeScope, http.MethodPost, "/client-scopes", want))
		if chosen := chosenID(a); err == nil && chosen != "" {
			want.ID = chosen
		}
		if err == nil && want.ID != "" || err != nil && !unsure(err) {
			return &want, err == nil, err
		}
		found, lookErr := s.madeScope(ctx, want, err)
		switch {
		case lookErr != nil:
			return nil, false, lookErr
		case found != nil:
			return found, false, nil
		case err == nil:
			return nil, false, a.Nonsense()
		case !conflicting(err):
			return nil, false, err
		}
	}
	return nil, false, &provider.Error{Kind: provider.KindServer, Op: opMakeScope, Err: err}
}

// madeScope looks for a scope after a doubtful answer; nil if it is not there.
func (s *Server) madeScope(ctx context.Context, want scope, doubt error) (found *scope, err error) {
	if want.ID != "" {
		found, err = s.scopeByID(ctx, want.ID)
	}
	if found == nil && err == nil && (want.ID == "" || conflicting(doubt)) {
		found, err = s.scopeByName(ctx, want.Name)
	}
	return found, err
}

// repairScope puts the scope's own members right, the intent among them.
func (s *Server) repairScope(ctx context.Context, found *scope, want scope, caller provider.Caller) (repaired []string, err error) {
	same := found.Name == want.Name
	for k, v := range want.Attributes {
		same = same && found.Attributes[k] == v
	}
	if !same {
		put := scope{ID: found.ID, Name: want.Name, Description: want.Description, Protocol: protocol, Attributes: want.Attributes}
		if err := s.putScope(ctx, caller, s.send(opPutScope, http.MethodPut, scopePath(found.ID), put)); err != nil {
			return nil, err
		}
		repaired = append(repaired, "client scope "+want.Name)
	}
	fixed, err := s.repairMapper(ctx, found, want.Mappers[0], caller)
	if fixed {
		repaired = append(repaired, "audience mapper of "+want.Name)
	}
	return repaired, err
}

// repairMapper puts the audience mapper right, whichever id it has.
func (s *Server) repairMapper(ctx context.Context, found *scope, want mapper, caller provider.Caller) (fixed bool, err error) {
	models := scopePath(found.ID) + "/protocol-mappers/models"
	at := slices.IndexFunc(found.Mappers, func(m mapper) bool { return m.Name == want.Name || m.ID == want.ID })
	if at < 0 {
		a, err := s.api.Write(ctx, caller, s.send(opPutMapper, http.MethodPost, models, want))
		if a != nil && a.Status == http.StatusConflict {
			want.ID = "" // the id is in use in another realm
			_, err = s.api.Write(ctx, caller, s.send(opPutMapper, http.MethodPost, models, want))
		}
		return err == nil, err
	}
	have := found.Mappers[at]
	same := have.Name == want.Name && have.ProtocolMapper == want.ProtocolMapper && have.Protocol == want.Protocol
	for k, v := range want.Config {
		same = same && have.Config[k] == v
	}
	if same {
		return false, nil
	}
	want.ID = have.ID
	err = s.putScope(ctx, caller, s.send(opPutMapper, http.MethodPut, models+"/"+url.PathEscape(have.ID), want))
	return err == nil, err
}

// putScope writes to something that was there a moment ago.
func (s *Server) putScope(ctx context.Context, caller provider.Caller, c provider.Call) error {
	a, err := s.api.Write(ctx, caller, c)
	if absent(a) {
		return a.Meanwhile()
	}
	return err
}
