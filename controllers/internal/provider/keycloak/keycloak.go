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
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Options say which realm, and who we are there.
type Options struct {
	// Issuer is the realm's issuer. Its last segment is the realm's name.
	Issuer string
	// AdminURL is where the Admin API is, without /admin.
	AdminURL string
	// TokenEndpoint is where to sign in.
	TokenEndpoint string
	// ClientID and ClientSecret are the operator's own client, which needs the
	// role manage-clients of the realm's client realm-management.
	ClientID     string
	ClientSecret provider.Secret
	// HTTPClient must follow no redirect, see provider.NewHTTPClient.
	HTTPClient *http.Client
	// Limits bound what this realm is asked.
	Limits provider.Limits
	// Clock is the time.
	Clock func() time.Time
}

// Server is one signed-in session with a realm. It is safe for concurrent use.
type Server struct {
	admin   string // of the realm
	issuer  string
	http    *http.Client
	limiter *provider.Limiter
	session *session

	// turns serialises the mapping per token client, so that two can't pass the cap at once.
	mu    sync.Mutex
	turns map[string]chan struct{}
}

var _ provider.Server = (*Server)(nil)

// New makes a session. It calls nobody.
func New(o Options) (*Server, error) {
	switch {
	case o.HTTPClient == nil || o.Clock == nil:
		return nil, errors.New("an HTTP client and a clock are needed")
	case o.ClientID == "" || o.ClientSecret == "":
		return nil, errors.New("the operator's own client id and secret are needed")
	}
	realm, err := realmOf(o.Issuer)
	if err != nil {
		return nil, err
	}
	for _, address := range []string{o.AdminURL, o.TokenEndpoint} {
		if u, err := url.Parse(address); err != nil || u.Host == "" {
			return nil, fmt.Errorf("%q is no URL", address)
		}
	}
	limiter := provider.NewLimiter(o.Limits, o.Clock)
	return &Server{
		admin:   strings.TrimSuffix(o.AdminURL, "/") + "/admin/realms/" + url.PathEscape(realm),
		issuer:  o.Issuer,
		http:    o.HTTPClient,
		limiter: limiter,
		session: &session{
			endpoint: o.TokenEndpoint, id: o.ClientID, secret: o.ClientSecret,
			http: o.HTTPClient, limiter: limiter, now: o.Clock,
		},
		turns: map[string]chan struct{}{},
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
