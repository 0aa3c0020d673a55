// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keycloak registers introspection clients at a Keycloak realm through
// its Admin REST API (v1).
//
// Keycloak answers introspection only to a client that is in the token's
// audience. So a registration is two things: the client, which can obtain no
// token itself, and a client scope with an audience mapper that is attached to
// the clients whose tokens are to be checked. The scope's attributes say what
// it is attached to, so that nothing but the server need remember it.
package keycloak

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Dialect is Keycloak. Of Config it takes RegistrationURL as where the Admin API is, without
// /admin; by default what stands before /realms/ in URL. FederatedIssuer is the alias of the
// identity provider (of type Kubernetes) that stands for the cluster in the realm.
func Dialect() provider.Dialect {
	return provider.Dialect{
		Name:         "keycloak",
		Capabilities: capabilities(provider.OverlapExpiring, true),
		New:          func(config provider.Config) (provider.Server, error) { return New(config) },
	}
}

func capabilities(overlap provider.Overlap, federated bool) provider.Capabilities {
	methods := []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT}
	if federated {
		methods = append(methods, provider.ServiceAccountJWT)
	}
	return provider.Capabilities{
		Methods: methods, Overlap: overlap, ClientIDs: provider.ByOperator,
		Read: provider.Supported, Update: provider.Supported, Delete: provider.Supported,
		Disable:       provider.Supported,
		Restore:       provider.Supported,
		AudienceModes: []provider.AudienceMode{provider.AudienceDefault, provider.AudienceOnRequest, provider.AudienceUnmanaged},
		AudienceCheck: provider.CheckEnforced, ScopeCheck: provider.CheckIgnored,
		OpaqueTokens: provider.Unsupported, JWTs: provider.Supported,
		// There are no opaque tokens, so none is ever revoked.
		OpaqueRevocation: provider.RevocationUnknown, JWTRevocation: provider.RevocationImmediate,
	}
}

// Server is one signed-in session with a realm. It is safe for concurrent use.
type Server struct {
	admin     string // of the realm
	registers string // the Admin API, for people
	issuer    string
	federated string // the alias of the cluster's identity provider
	signsIn   string // the client that the operator signs in as, empty if that is not known
	now       func() time.Time
	tokens    *provider.Tokens
	api       *provider.API

	// overlap is what the client that was seen last showed, a provider.Overlap.
	overlap atomic.Value

	// turns serialises the mapping per token client, so that two can't pass the cap at once.
	mu    sync.Mutex
	turns map[string]chan struct{}

	recent  recent
	listing *provider.Listing[*listed]
	seal    []byte // the key of hashes that stand for secrets in it
}

var _ provider.Server = (*Server)(nil)

// New makes a session. It calls nobody.
func New(c provider.Config) (*Server, error) {
	if c.HTTPClient == nil || c.Clock == nil {
		return nil, errors.New("an HTTP client and a clock are needed")
	}
	realm, err := realmOf(c.Issuer)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(c.RegistrationURL, "/")
	if base == "" {
		at := c.URL
		if at == "" {
			at = c.Issuer
		}
		base, _, _ = strings.Cut(at, "/realms/")
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return nil, fmt.Errorf("the address of the Admin API, %q, is no URL", base)
	}
	limiter := provider.NewLimiter(c.Limits, c.Clock)
	tokens, err := provider.NewTokens(c, limiter, "")
	if err != nil {
		return nil, err
	}
	return &Server{
		admin:     base + "/admin/realms/" + url.PathEscape(realm),
		registers: base + "/admin",
		issuer:    c.Issuer,
		federated: c.FederatedIssuer,
		signsIn:   c.SignIn.ClientID,
		now:       c.Clock,
		tokens:    tokens,
		api:       &provider.API{HTTP: c.HTTPClient, Limiter: limiter, Tokens: tokens, Read: understand},
		turns:     map[string]chan struct{}{},
		listing:   provider.NewListing[*listed](c.Clock),
		seal:      []byte(rand.Text()),
	}, nil
}

func realmOf(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("the issuer %q is no URL", issuer)
	}
	dir, realm := path.Split(u.Path)
	if !strings.HasSuffix(dir, "/realms/") || realm == "" {
		return "", fmt.Errorf("the issuer %q is not that of a Keycloak realm: it does not end in /realms/<name>", issuer)
	}
	return realm, nil
}

// clientUUID is the id we give the registration: always the same for a client
// id, so that two attempts to create it can't both succeed.
func (s *Server) clientUUID(clientID string) string { return s.uuid("", clientID) }

func (s *Server) scopeUUID(clientID string) string { return s.uuid("client-scope", clientID) }

func (s *Server) mapperUUID(clientID string) string { return s.uuid("protocol-mapper", clientID) }

func (s *Server) uuid(kind, clientID string) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte(s.issuer))
	if kind != "" {
		space = uuid.NewSHA1(space, []byte(kind))
	}
	return uuid.NewSHA1(space, []byte(clientID)).String()
}
