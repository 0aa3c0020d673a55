// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// listPage is how many clients one call lists: few enough for a server whose cache is cold.
const listPage = 100

// listed is what is kept of a realm's list: of clients with an owner mark what is compared, with
// keyed hashes in place of their secrets; of our client scopes their sums, by name.
type listed struct {
	clients  map[string]client
	scopes   map[string]scopeSum
	attached map[attachedTo]provider.AudienceMode
}

// attachedTo is a client scope at a client.
type attachedTo struct{ client, scope string }

// scopeSum stands for what we manage of a client scope.
type scopeSum [sha256.Size]byte

var _ provider.Surveyor = (*Server)(nil)

// Survey implements provider.Surveyor, by the pages of the realm's clients and its list of client scopes.
func (s *Server) Survey(ctx context.Context, desired provider.Desired, within time.Duration) (provider.Sight, bool) {
	if len(desired.ClientID) == 0 || desired.Credentials.Previous != nil {
		return provider.Sight{}, false
	}
	list, ok := s.listing.Latest(ctx, desired.ClientID, within, s.list)
	if !ok {
		return provider.Sight{}, false
	}
	found, ok := list.clients[desired.ClientID]
	bySecret := desired.Credentials.Current.Method == provider.ClientSecret
	if !ok || bySecret && (found.Secret == "" || found.Secret == mask) {
		return provider.Sight{}, false
	}
	if bySecret {
		desired.Credentials.Current.Secret = s.sealed(desired.Credentials.Current.Secret)
	}
	observation, err := s.observation(ctx, &found, desired)
	if err != nil || len(observation.Drift) > 0 || !provider.Owns(desired.Owner, observation.Owner) {
		return provider.Sight{}, false
	}
	report, ok := s.mapped(list, desired)
	return provider.Sight{Observation: observation, Audience: report}, ok
}

// mapped says what MapAudience would report if all of it is as desired.
func (s *Server) mapped(list *listed, desired provider.Desired) (report provider.AudienceReport, ok bool) {
	if desired.Audience.Mode == provider.AudienceUnmanaged {
		return report, true
	}
	want := s.wantedScope(desired)
	if list.scopes[want.Name] != s.sum(&want) {
		return report, false
	}
	for _, name := range want.intent() {
		if list.attached[attachedTo{name, want.Name}] != desired.Audience.Mode {
			return report, false
		}
	}
	return provider.AudienceReport{Scope: want.Name}, true
}

// list reads the realm's clients and client scopes.
func (s *Server) list(ctx context.Context) (*listed, int, error) {
	l := &listed{clients: map[string]client{}, scopes: map[string]scopeSum{}, attached: map[attachedTo]provider.AudienceMode{}}
	calls := 1
	for first := 0; ; first += listPage {
		var page []struct {
			client

			DefaultScopes  []string `json:"defaultClientScopes"`
			OptionalScopes []string `json:"optionalClientScopes"`
		}
		query := url.Values{"first": {strconv.Itoa(first)}, "max": {strconv.Itoa(listPage)}}
		if _, err := s.api.Decode(ctx, s.get("list clients", "/clients", query), &page); err != nil {
			return nil, calls, err
		}
		calls++
		for i := range page {
			l.attach(page[i].ClientID, page[i].DefaultScopes, provider.AudienceDefault)
			l.attach(page[i].ClientID, page[i].OptionalScopes, provider.AudienceOnRequest)
			if page[i].owner() != "" {
				l.clients[page[i].ClientID] = s.kept(&page[i].client)
			}
		}
		if len(page) < listPage {
			break
		}
	}
	var scopes []scope
	if _, err := s.api.Decode(ctx, s.get("list client scopes", "/client-scopes", nil), &scopes); err != nil {
		return nil, calls, err
	}
	for i := range scopes {
		if strings.HasPrefix(scopes[i].Name, scopePrefix) {
			l.scopes[scopes[i].Name] = s.sum(&scopes[i])
		}
	}
	return l, calls, nil
}

func (l *listed) attach(client string, scopes []string, as provider.AudienceMode) {
	for _, name := range scopes {
		if strings.HasPrefix(name, scopePrefix) {
			l.attached[attachedTo{client, name}] = as
		}
	}
}

// kept is a client without what is never compared.
func (s *Server) kept(c *client) client {
	kept := *c
	if c.Secret != "" && c.Secret != mask {
		kept.Secret = s.sealed(c.Secret)
	}
	kept.Attributes = make(map[string]provider.Secret, len(c.Attributes))
	compared := s.attributes(provider.Desired{})
	for name, value := range c.Attributes {
		if _, ok := compared[name]; ok || name == adoptedMark || name == secretMade || name == secretEnds {
			kept.Attributes[name] = value
		}
	}
	return kept
}

// sealed stands for a secret in a list. Some are people's own, and short: without the key they could
// be guessed.
func (s *Server) sealed(secret provider.Secret) provider.Secret {
	hash := hmac.New(sha256.New, s.seal)
	hash.Write([]byte(secret.Reveal()))
	return provider.Secret(hex.EncodeToString(hash.Sum(nil)))
}

// sum is of what repairScope compares.
func (s *Server) sum(sc *scope) scopeSum {
	like := s.wantedScope(provider.Desired{})
	hash := sha256.New()
	add := func(text string) { _, _ = hash.Write([]byte(strconv.Quote(text))) }
	add(sc.Name)
	for _, name := range slices.Sorted(maps.Keys(like.Attributes)) {
		add(sc.Attributes[name])
	}
	at := slices.IndexFunc(sc.Mappers, func(m mapper) bool { return m.Name == mapperName })
	if at < 0 {
		return scopeSum{} // no scope that is as desired has this one
	}
	m := sc.Mappers[at]
	add(m.Protocol)
	add(m.ProtocolMapper)
	for _, name := range slices.Sorted(maps.Keys(like.Mappers[0].Config)) {
		add(m.Config[name])
	}
	return scopeSum(hash.Sum(nil))
}
