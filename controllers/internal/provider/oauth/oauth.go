// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth registers clients at any authorization server that speaks OAuth 2.0 Dynamic Client Registration
// (RFC 7591) and, to read, change and delete them, its management protocol (RFC 7592).
//
// The server chooses ids, secrets and registration access tokens, and says each of them once. So they are kept before
// anything else happens, and before a creation a mark is kept that one is on its way: a creation whose answer is lost
// can't be looked for, and is never repeated blindly.
package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Dialect is that of RFC 7591 and RFC 7592.
func Dialect() provider.Dialect {
	return provider.Dialect{Name: "oauth", Capabilities: atBest(), New: New}
}

func atBest() provider.Capabilities {
	return provider.Capabilities{
		Methods:          []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT},
		Overlap:          provider.OverlapUnknown,
		ClientIDs:        provider.ByServer,
		Read:             provider.SupportUnknown,
		Update:           provider.SupportUnknown,
		Delete:           provider.SupportUnknown,
		Disable:          provider.Unsupported, // RFC 7592 has no such thing
		Restore:          provider.Unsupported,
		AudienceModes:    []provider.AudienceMode{provider.AudienceUnmanaged},
		AudienceCheck:    provider.CheckUnknown,
		ScopeCheck:       provider.CheckUnknown,
		OpaqueTokens:     provider.Supported,
		JWTs:             provider.SupportUnknown,
		OpaqueRevocation: provider.RevocationUnknown,
		JWTRevocation:    provider.RevocationUnknown,
	}
}

// session is one with a server.
type session struct {
	config       provider.Config
	registration string // where clients are registered, empty if that is not known
	base         string // what stands for the issuer
	api          provider.API
	now          func() time.Time

	mu   sync.Mutex
	seen seen
}

// seen is what the server's clients have shown of it. The overlap is that of secrets.
type seen struct {
	overlap              provider.Overlap
	read, update, remove provider.Support
}

// New opens a session. A server without a registration endpoint is none for Probe to find out.
func New(config provider.Config) (provider.Server, error) {
	s := &session{
		config: config, registration: config.RegistrationURL, base: strings.TrimSuffix(config.URL, "/"), now: config.Clock,
		seen: seen{
			overlap: provider.OverlapUnknown,
			read:    provider.SupportUnknown, update: provider.SupportUnknown, remove: provider.SupportUnknown,
		},
	}
	if s.registration == "" {
		s.registration = config.Metadata.RegistrationEndpoint
	}
	if u, err := url.Parse(s.registration); s.registration != "" && (err != nil || u.Host == "") {
		return nil, errors.New("the registration endpoint is no URL")
	}
	limiter := provider.NewLimiter(config.Limits, config.Clock)
	s.api = provider.API{HTTP: config.HTTPClient, Limiter: limiter}
	if config.SignIn.InitialAccessToken == "" && config.SignIn.IsClient() {
		tokens, err := provider.NewTokens(config, limiter, "")
		if err != nil {
			return nil, err
		}
		s.api.Tokens = tokens
	}
	return s, nil
}

// capabilities are those of this very server, as far as it has shown them.
func (s *session) capabilities() provider.Capabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := atBest()
	if !s.takesKeys() {
		c.Methods = []provider.Method{provider.ClientSecret}
	}
	c.Overlap = s.seen.overlap
	c.Read, c.Update, c.Delete = s.seen.read, s.seen.update, s.seen.remove
	return c
}

// saw takes note of what a client showed; what is empty it did not.
func (s *session) saw(now seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = seen{
		overlap: cmp.Or(now.overlap, s.seen.overlap),
		read:    cmp.Or(now.read, s.seen.read), update: cmp.Or(now.update, s.seen.update), remove: cmp.Or(now.remove, s.seen.remove),
	}
}

const privateKeyJWT = "private_key_jwt"

// takesKeys says whether clients can prove themselves by a key. A server that does not say takes client_secret_basic
// only (RFC 8414 section 2).
func (s *session) takesKeys() bool {
	methods := s.config.Metadata.IntrospectionAuthMethods
	if len(methods) == 0 {
		methods = s.config.Metadata.TokenAuthMethods
	}
	return slices.Contains(methods, privateKeyJWT)
}

// fit refuses servers where a registration can't be had, or is of no use.
func (s *session) fit(op string) error {
	switch {
	case s.isDuende():
		return &provider.Error{
			Kind: provider.KindUnsupported, Op: op,
			Err:    errors.New("this is a Duende IdentityServer: its dynamic client registration makes clients, and a client sees its own tokens only"),
			Advice: "Use spec.duende with the registration endpoints for Duende, or set registration: Manual and bring the credentials of an API resource.",
		}
	case s.registration == "":
		return &provider.Error{
			Kind: provider.KindUnsupported, Op: op, Err: errors.New("the server's metadata names no registration endpoint"),
			Advice: "Turn dynamic client registration on at the server, name its address in spec.oauth.registrationEndpoint, or set registration: Manual.",
		}
	}
	return nil
}

// isDuende knows an IdentityServer by the endpoint that only it has, or by two paths that it shares with no other server.
func (s *session) isDuende() bool {
	return s.config.Metadata.IsDuende() || provider.IsDuendeDCR(s.registration)
}

// takes refuses ways to prove oneself that the server does not know.
func (s *session) takes(op string, m provider.Method) error {
	switch {
	case m == provider.ClientSecret, m == provider.PrivateKeyJWT && s.takesKeys():
		return nil
	case m == provider.PrivateKeyJWT:
		return &provider.Error{
			Kind: provider.KindUnsupported, Op: op, Err: errors.New("the server's metadata does not name private_key_jwt"),
			Advice: "Set spec.authentication.method: ClientSecret, or turn private_key_jwt on at the server.",
		}
	default:
		return &provider.Error{
			Kind: provider.KindUnsupported, Op: op, Err: errors.New("registration by RFC 7591 knows no ServiceAccount tokens"),
			Advice: "Set spec.authentication.method: ClientSecret or PrivateKeyJWT.",
		}
	}
}

// advised adds what to do about a refused sign-in.
func (s *session) advised(e *provider.Error) *provider.Error {
	initial := s.config.SignIn.InitialAccessToken != ""
	switch {
	case e.Advice != "":
	case e.Kind == provider.KindCredentials && initial:
		e.Advice = "The initial access token is wrong, has ended or is used up: put a new one into its Secret, key token."
	case e.Kind == provider.KindCredentials && s.api.Tokens == nil:
		e.Advice = "The server registers nobody without an initial access token: name its Secret in spec.credentials.initialAccessToken."
	case e.Kind == provider.KindForbidden:
		e.Advice = "Give what the operator signs in with the right to register clients."
	}
	return e
}

// Adopt implements provider.Adopter: there is no access to a client that somebody else registered (RFC 7592 section 2).
func (s *session) Adopt(context.Context, provider.Desired, provider.Caller) (provider.Registration, error) {
	return provider.Registration{}, &provider.Error{
		Kind: provider.KindUnsupported, Op: "adopt client", Err: errors.New("the server chooses client ids and gives access only to who registered one (RFC 7592)"),
		Advice: "Leave spec.adoptionPolicy out: a client of its own is registered.",
	}
}

// MapAudience implements provider.AudienceMapper: there is nothing to map in these protocols.
func (s *session) MapAudience(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error) {
	return provider.AudienceReport{}, nil
}
