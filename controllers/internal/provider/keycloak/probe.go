// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opProbe = "manage clients"

// Probe implements provider.Prober. It signs in anew, so that credentials and
// rights are what they are now, and looks at one client.
func (s *Server) Probe(ctx context.Context) (provider.Report, error) {
	report := provider.Report{Rights: provider.RightsUnknown, Capabilities: s.capabilities(), RegistrationURL: s.registers}
	s.tokens.Forget("")
	token, err := s.tokens.Token(ctx, "")
	if err != nil {
		return report, err
	}
	var page []struct{}
	_, err = s.api.Decode(ctx, s.get("list clients", "/clients", url.Values{"first": {"0"}, "max": {"1"}, "briefRepresentation": {"true"}}), &page)
	roles := managementRoles(token)
	switch kind, _ := provider.KindOf(err); {
	case err != nil && kind == provider.KindForbidden:
		return report, missingRole(err)
	case err != nil:
		return report, err
	case len(roles) == 0:
		return report, nil
	case slices.Contains(roles, "manage-clients") || slices.Contains(roles, "realm-admin"):
		report.Rights = provider.RightsManage
		return report, nil
	}
	return report, missingRole(nil)
}

// capabilities are those of this realm, as far as it has shown them.
func (s *Server) capabilities() provider.Capabilities {
	overlap, seen := s.overlap.Load().(provider.Overlap)
	if !seen {
		overlap = provider.OverlapUnknown
	}
	return capabilities(overlap, s.federated != "")
}

func missingRole(cause error) error {
	e := &provider.Error{
		Kind: provider.KindForbidden, Op: opProbe, Advice: needsRole,
		Err: errors.New("the sign-in lacks the role manage-clients of client realm-management"),
	}
	if said := (*provider.Error)(nil); errors.As(cause, &said) {
		e.Status, e.Detail = said.Status, said.Detail
	}
	return e
}

// managementRoles are the roles that an access token names for the realm's
// administration; none if it does not say. The token came from the server
// itself over TLS and decides nothing but what we say: it is not verified.
func managementRoles(token provider.Secret) []string {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		ResourceAccess map[string]struct {
			Roles []string `json:"roles"`
		} `json:"resource_access"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	return claims.ResourceAccess["realm-management"].Roles
}
