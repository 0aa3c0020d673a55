// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package duende registers what may introspect at a Duende IdentityServer: an ApiResource with its
// scopes and hashed secrets, through the endpoints that a host adds by
// docs/servers/duende/IntrospectionRegistration.cs. The server never sees a plain secret.
//
// Its PUT replaces: every change begins with a look, goes out whole, and is repeated at no risk.
// Two operators are kept apart by the owner mark, which the endpoints themselves look at.
package duende

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// registrationScope is what the operator's access token must have.
const registrationScope = "introspection.register"

// registrationPath is where the endpoints stand at a host that does not say otherwise.
const registrationPath = "/connect/introspection-resources"

// Dialect is Duende IdentityServer with our registration endpoints.
func Dialect() provider.Dialect {
	return provider.Dialect{
		Name: "duende", Capabilities: capabilities(),
		New: func(c provider.Config) (provider.Server, error) { return New(c) },
	}
}

// capabilities are the same for every host: it does not say its version.
func capabilities() provider.Capabilities {
	return provider.Capabilities{
		Methods:          []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT},
		Overlap:          provider.OverlapExpiring,
		ClientIDs:        provider.ByOperator,
		Read:             provider.Supported,
		Update:           provider.Supported,
		Delete:           provider.Supported,
		Disable:          provider.Supported,
		Restore:          provider.Supported,
		AudienceModes:    []provider.AudienceMode{provider.AudienceDefault, provider.AudienceOnRequest, provider.AudienceUnmanaged},
		AudienceCheck:    provider.CheckIgnored,
		ScopeCheck:       provider.CheckEnforced,
		OpaqueTokens:     provider.Supported,
		JWTs:             provider.Supported,
		OpaqueRevocation: provider.RevocationImmediate,
		JWTRevocation:    provider.RevocationNever,
	}
}

// Server is a session with one host. It is safe for concurrent use.
type Server struct {
	base   string
	api    *provider.API
	tokens *provider.Tokens
	now    func() time.Time

	listing *provider.Listing[map[string]*found]
}

var _ provider.Server = (*Server)(nil)

// New makes a session. It calls nobody.
func New(c provider.Config) (*Server, error) {
	switch {
	case c.HTTPClient == nil || c.Clock == nil:
		return nil, errors.New("an HTTP client and a clock are needed")
	case !c.SignIn.IsClient():
		return nil, errors.New("a Duende host lets nobody register without a client of its own that has the scope introspection.register: set spec.credentials.clientCredentials")
	}
	base := strings.TrimSuffix(c.RegistrationURL, "/")
	if base == "" {
		base = strings.TrimSuffix(c.URL, "/") + registrationPath
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no URL of registration endpoints", base)
	}
	if provider.IsDuendeDCR(base) || base == strings.TrimSuffix(c.Metadata.RegistrationEndpoint, "/") {
		return nil, &provider.Error{
			Kind: provider.KindUnsupported, Op: "register what may introspect",
			Err:    fmt.Errorf("%s is Duende's dynamic client registration, which makes clients, and a client may introspect its own tokens only: every caller's token would be inactive", base),
			Advice: "Add IntrospectionRegistration.cs to the host, and name its path in spec.duende.url; or use registration: Manual.",
		}
	}
	limiter := provider.NewLimiter(c.Limits, c.Clock)
	tokens, err := provider.NewTokens(c, limiter, registrationScope)
	if err != nil {
		return nil, err
	}
	return &Server{
		base: base, tokens: tokens, now: c.Clock, listing: provider.NewListing[map[string]*found](c.Clock),
		api: &provider.API{HTTP: c.HTTPClient, Limiter: limiter, Tokens: tokens, Read: read},
	}, nil
}

// at is where a registration stands. The name is one segment, slashes and all.
func (s *Server) at(name string) string { return s.base + "/" + url.PathEscape(name) }
