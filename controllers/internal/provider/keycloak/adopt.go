// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opAdopt    = "adopt client"
	opGiveBack = "give back client"
)

// adoptedMark is the attribute of a client that was there before us. It is set by the same PUT as the
// owner mark: whoever sees the one sees the other, and a lost record deletes nobody's client.
const adoptedMark = "introspection.dev/adopted"

// adopted is what the record keeps, to give a client back as it was.
type adopted struct {
	Secret     string            `json:"secret"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// builtIn are the clients that each realm has, and the server relies on.
func builtIn() []string {
	return []string{"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console", "master-realm"}
}

// isAdopted reports whether a client of ours was there before us.
func isAdopted(found *client, identity provider.Identity) bool {
	return found.attribute(adoptedMark) == "true" || identity.Adopted != ""
}

// Adopt implements provider.Adopter.
func (s *Server) Adopt(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Registration, error) {
	defer s.listing.Wrote(desired.ClientID)
	found, err := s.byClientID(ctx, desired.ClientID)
	switch {
	case err != nil:
		return provider.Registration{}, err
	case found == nil:
		return provider.Registration{}, provider.Meanwhile(opAdopt)
	case desired.Owner != "" && found.owner() == desired.Owner:
		return provider.Registration{RegistrationID: found.ID}, nil // marked already, and the answer was lost
	case found.owner() != "":
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opAdopt, Subject: found.owner()}
	}
	secret, err := s.adoptable(ctx, found, desired)
	if err != nil {
		return provider.Registration{}, err
	}
	desired.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret, Secret: secret}}
	kept, err := json.Marshal(adopted{Secret: secret.Reveal(), Attributes: s.remembered(found, desired)})
	if err != nil {
		return provider.Registration{}, &provider.Error{Kind: provider.KindServer, Op: opAdopt}
	}
	if err := caller.Keep(ctx, provider.Issued{Secret: secret, Adopted: provider.Secret(kept), Intent: true}); err != nil {
		return provider.Registration{}, err
	}
	marks := map[string]any{"clientId": found.ClientID, fieldAttributes: map[string]string{ownerMark: desired.Owner, adoptedMark: "true"}}
	a, err := s.api.Write(ctx, caller, s.send(opAdopt, http.MethodPut, clientPath(found.ID), marks, secret))
	if absent(a) {
		return provider.Registration{}, a.Meanwhile()
	}
	return provider.Registration{RegistrationID: found.ID}, err
}

// adoptable is the secret of a client that may be taken over. A client that can obtain tokens is not, nor
// one that means something to others: its secret would hand a tenant what it was never given.
func (s *Server) adoptable(ctx context.Context, found *client, desired provider.Desired) (provider.Secret, error) {
	against := s.against(found, desired)
	if len(against) > 0 {
		return "", refused(against)
	}
	var roles []struct{}
	if _, err := s.api.Decode(ctx, s.get("read client roles", clientPath(found.ID)+"/roles", nil), &roles); err != nil {
		return "", err
	}
	if len(roles) > 0 {
		return "", refused([]string{"client roles"})
	}
	secret, known, err := s.secretOf(ctx, found)
	switch {
	case err != nil:
		return "", err
	case !known || secret == "":
		return "", refused([]string{"a secret that the operator can't read"})
	}
	return secret, nil
}

func refused(against []string) error {
	return &provider.Error{Kind: provider.KindNotAdoptable, Op: opAdopt, Subject: strings.Join(against, ", ")}
}

// against names what stands against taking a client over.
func (s *Server) against(c *client, desired provider.Desired) (names []string) {
	for _, obstacle := range []struct {
		name string
		is   bool
	}{
		{"built-in client", slices.Contains(builtIn(), c.ClientID) || c.attribute("realm_client") == "true"},
		{"the operator's own sign-in", c.ClientID == s.signsIn},
		{"protocol", c.Protocol != protocol && c.Protocol != ""},
		{"disabled", !c.Enabled},
		{"publicClient", c.PublicClient},
		{"bearerOnly", c.BearerOnly},
		{"standardFlowEnabled", c.StandardFlowEnabled},
		{"implicitFlowEnabled", c.ImplicitFlowEnabled},
		{"directAccessGrantsEnabled", c.DirectAccessGrantsEnabled},
		{"serviceAccountsEnabled", c.ServiceAccountsEnabled},
		{"authorizationServicesEnabled", c.AuthorizationServices},
		{"authentication.method other than ClientSecret", desired.Credentials.Current.Method != provider.ClientSecret},
		{fieldMethod + " other than client-secret", c.ClientAuthenticatorType != authenticator(provider.ClientSecret)},
		{"a secret that has ended", s.ended(c)},
	} {
		if obstacle.is {
			names = append(names, obstacle.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		if grants(name) && c.attribute(name) == "true" {
			names = append(names, name)
		}
	}
	return names
}

// grants reports whether an attribute switches a way to tokens, also one that this version does not know.
func grants(attribute string) bool {
	return strings.HasSuffix(attribute, ".grant.enabled") || strings.HasSuffix(attribute, ".exchange.enabled")
}

// remembered are the attributes found that we may change one day.
func (s *Server) remembered(found *client, desired provider.Desired) map[string]string {
	kept := map[string]string{}
	for _, name := range append(slices.Collect(maps.Keys(s.attributes(desired))), secretMade) {
		if value := found.attribute(name); value != "" && name != ownerMark {
			kept[name] = value
		}
	}
	return kept
}

// managedOf are the managed fields of a client that is there. Of one that was adopted only those that
// introspection needs, and that keep it from obtaining tokens: they were so when it was adopted.
func (s *Server) managedOf(found *client, d provider.Desired) []field {
	all := s.managed(d)
	if !isAdopted(found, d.Identity) {
		return all
	}
	theirs := []string{"name", "consentRequired", "fullScopeAllowed", "redirectUris", "webOrigins"}
	all = slices.DeleteFunc(all, func(f field) bool { return slices.Contains(theirs, f.name) })
	at := slices.IndexFunc(all, func(f field) bool { return f.name == fieldAttributes })
	all[at].is = func(c *client) bool {
		return c.owner() == d.Owner && c.attribute(adoptedMark) == "true" && offAsIn(s.attributes(d), c)
	}
	return all
}

// attributesOf are those to send to a client that is there: to one that was adopted no more than what differs.
func (s *Server) attributesOf(found *client, d provider.Desired) map[string]string {
	all := s.attributes(d)
	if !isAdopted(found, d.Identity) {
		return all
	}
	maps.DeleteFunc(all, func(name, value string) bool {
		return (value == "" || value == "false") && offAsIn(map[string]string{name: value}, found)
	})
	all[adoptedMark] = "true"
	return all
}

// giveBack takes our marks off an adopted client by one PUT, and makes it what it was. Without a record only
// the marks are known for ours.
func (s *Server) giveBack(ctx context.Context, found *client, identity provider.Identity, caller provider.Caller) error {
	body := map[string]any{"clientId": found.ClientID}
	attributes := map[string]string{}
	var was adopted
	if identity.Adopted != "" && json.Unmarshal([]byte(identity.Adopted.Reveal()), &was) == nil {
		for name := range s.attributes(provider.Desired{}) {
			if value := was.Attributes[name]; value != found.attribute(name) {
				attributes[name] = value
			}
		}
		secret, known, err := s.secretOf(ctx, found)
		if err != nil {
			return err
		}
		if !known || secret.Reveal() != was.Secret {
			body[fieldSecret] = was.Secret
			maps.Copy(attributes, s.rotation(provider.Credentials{}))
		}
		if found.attribute(secretEnds) == "" { // else a policy goes by that time
			attributes[secretMade] = was.Attributes[secretMade]
		}
		if theirs := authenticator(provider.ClientSecret); found.ClientAuthenticatorType != theirs {
			body[fieldMethod] = theirs
		}
	}
	attributes[ownerMark], attributes[adoptedMark] = "", ""
	body[fieldAttributes] = attributes
	a, err := s.api.Write(ctx, caller, s.send(opGiveBack, http.MethodPut, clientPath(found.ID), body, provider.Secret(was.Secret)))
	if absent(a) {
		return nil
	}
	return err
}
