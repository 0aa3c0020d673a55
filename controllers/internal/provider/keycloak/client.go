// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"net/url"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// ownerMark is the attribute of clients and client scopes that says whose they are.
const ownerMark = "introspection.dev/owner"

// mask is what Keycloak shows in place of a secret to who may only view it. It
// is never sent: the server would store it.
const mask = "**********"

// client is what we read of Keycloak's ClientRepresentation. Members that are
// absent are false or empty there too. Among the attributes may be a secret.
type client struct {
	ID                        string                     `json:"id"`
	ClientID                  string                     `json:"clientId"`
	Name                      string                     `json:"name"`
	Enabled                   bool                       `json:"enabled"`
	Protocol                  string                     `json:"protocol"`
	PublicClient              bool                       `json:"publicClient"`
	BearerOnly                bool                       `json:"bearerOnly"`
	ConsentRequired           bool                       `json:"consentRequired"`
	ClientAuthenticatorType   string                     `json:"clientAuthenticatorType"`
	Secret                    provider.Secret            `json:"secret"`
	StandardFlowEnabled       bool                       `json:"standardFlowEnabled"`
	ImplicitFlowEnabled       bool                       `json:"implicitFlowEnabled"`
	DirectAccessGrantsEnabled bool                       `json:"directAccessGrantsEnabled"`
	ServiceAccountsEnabled    bool                       `json:"serviceAccountsEnabled"`
	AuthorizationServices     bool                       `json:"authorizationServicesEnabled"`
	FullScopeAllowed          bool                       `json:"fullScopeAllowed"`
	RedirectURIs              []string                   `json:"redirectUris"`
	WebOrigins                []string                   `json:"webOrigins"`
	Attributes                map[string]provider.Secret `json:"attributes"`
}

func (c *client) owner() string { return c.attribute(ownerMark) }

func (c *client) attribute(name string) string { return c.Attributes[name].Reveal() }

func clientPath(id string) string { return "/clients/" + url.PathEscape(id) }

// byClientID looks a client up by its exact client id; nil if there is none.
func (s *Server) byClientID(ctx context.Context, clientID string) (*client, error) {
	var found []client
	if _, err := s.api.Decode(ctx, s.get("look up client", "/clients", url.Values{"clientId": {clientID}}), &found); err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].ClientID == clientID {
			return &found[i], nil
		}
	}
	return nil, nil
}

// byID looks a client up by the server's id; nil if there is none.
func (s *Server) byID(ctx context.Context, id string) (*client, error) {
	var found client
	a, err := s.api.Decode(ctx, s.get("look up client", clientPath(id), nil), &found)
	switch {
	case absent(a):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &found, nil
}

// find looks a registration up: by client id, and by the server's id for one
// that somebody renamed. It is nil if there is none.
func (s *Server) find(ctx context.Context, identity provider.Identity) (*client, error) {
	found, err := s.byClientID(ctx, identity.ClientID)
	if found != nil || err != nil || identity.RegistrationID == "" {
		return found, err
	}
	renamed, err := s.byID(ctx, identity.RegistrationID)
	if renamed == nil || err != nil || !provider.Owns(identity.Owner, renamed.owner()) {
		return nil, err // an id that somebody else has now is no registration of ours
	}
	return renamed, nil
}

// secretOf is a client's secret, and whether the server lets us see it.
func (s *Server) secretOf(ctx context.Context, c *client) (secret provider.Secret, known bool, err error) {
	if c.Secret != "" && c.Secret != mask {
		return c.Secret, true, nil
	}
	var credential struct {
		Value provider.Secret `json:"value"`
	}
	a, err := s.api.Decode(ctx, s.get("read client secret", clientPath(c.ID)+"/client-secret", nil), &credential)
	if kind, _ := provider.KindOf(err); absent(a) || err != nil && kind == provider.KindForbidden {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return credential.Value, credential.Value != mask, nil
}

// Observe implements provider.Registrar.
func (s *Server) Observe(ctx context.Context, desired provider.Desired, _ provider.Caller) (provider.Observation, error) {
	found, err := s.find(ctx, desired.Identity)
	if found == nil || err != nil {
		return provider.Observation{}, err
	}
	return s.observation(ctx, found, desired)
}

func (s *Server) observation(ctx context.Context, found *client, desired provider.Desired) (provider.Observation, error) {
	o := provider.Observation{Exists: true, RegistrationID: found.ID, Owner: found.owner()}
	if !provider.Owns(desired.Owner, o.Owner) {
		return o, nil // not ours: nothing of it is our business, its secret least of all
	}
	for _, f := range s.managedOf(found, desired) {
		if !f.is(found) {
			o.Drift = append(o.Drift, f.name)
		}
	}
	drifted, _, err := s.credentialDrifted(ctx, found, desired.Credentials)
	if err != nil {
		return provider.Observation{}, err
	}
	switch {
	case drifted:
		o.Drift = append(o.Drift, provider.DriftSecret)
	case desired.Credentials.Current.Method == provider.ClientSecret && s.ending(found):
		o.Drift = append(o.Drift, driftEnd)
	}
	o.Overlap = s.overlapOf(found, desired.Credentials.Current.Method)
	return o, nil
}
