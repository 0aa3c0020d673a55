// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

type serverEvent = event.TypedGenericEvent[*v1alpha1.ClusterAuthorizationServer]

// sessions keeps one session per server object: one signed-in token, one pool of
// connections, one limiter, whoever reconciles.
type sessions struct {
	reader     client.Reader // live: nothing is cached of Secrets but their metadata
	namespace  string
	transport  func(http.RoundTripper) http.RoundTripper
	clock      clock.PassiveClock
	registerer prometheus.Registerer
	dialects   map[string]provider.Dialect
	mint       *mint
	// learned tells the server's controller that a session knows more than its status.
	learned chan serverEvent

	mu   sync.Mutex
	open map[types.UID]*session
}

func newSessions(reader client.Reader, config Config, tokens *mint) *sessions {
	return &sessions{
		reader: reader, namespace: config.SystemNamespace, transport: config.Transport,
		clock: config.Clock, registerer: config.Registerer, dialects: dialects(), mint: tokens,
		learned: make(chan serverEvent, learnedAtOnce), open: map[types.UID]*session{},
	}
}

// learnedAtOnce is how many servers may have shown something before the first is looked at.
const learnedAtOnce = 64

// session is one server's.
type session struct {
	provider.Surveying

	ca         []byte
	http       *http.Client
	generation int64
	hash       string
	// jwts says whether the server introspects JWTs: provider.Support, empty while nobody has asked.
	jwts atomic.Value
}

// lookup returns the open session of a server, or opens one on what its status
// says: after a restart a client may be looked at before its server.
func (s *sessions) lookup(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer) (*session, error) {
	s.mu.Lock()
	found := s.open[server.UID]
	current := found != nil && found.generation == server.Generation
	s.mu.Unlock()
	if current {
		return found, nil
	}
	conn, err := s.connect(ctx, server)
	if err != nil {
		return nil, err
	}
	return s.start(ctx, server, conn, metadataOf(server))
}

// metadataOf is what a server's status keeps of its metadata.
func metadataOf(server *v1alpha1.ClusterAuthorizationServer) provider.Metadata {
	e := server.Status.Endpoints
	m := provider.Metadata{
		Issuer: server.Spec.Issuer, TokenEndpoint: e.Token, IntrospectionEndpoint: e.Introspection,
		RevocationEndpoint: e.Revocation, JWKSURI: e.JWKS, RegistrationEndpoint: e.Registration,
	}
	if c := server.Status.Capabilities; c != nil {
		m.IntrospectionAuthMethods = c.IntrospectionAuthMethods
	}
	return m
}

// normalised is metadata as a status can keep it: a session that was opened on the one is
// the same as one that was opened on the other.
func normalised(server *v1alpha1.ClusterAuthorizationServer, m provider.Metadata) provider.Metadata {
	if len(m.IntrospectionAuthMethods) == 0 {
		m.IntrospectionAuthMethods = m.TokenAuthMethods
	}
	m.TokenAuthMethods = nil
	m.RegistrationEndpoint = cmp.Or(settingsOf(server).RegistrationURL, m.RegistrationEndpoint)
	if server.Spec.OAuth == nil { // elsewhere it is no endpoint of RFC 7591
		m.RegistrationEndpoint = ""
	}
	return m
}

// start opens a session with the credentials that the server object names, or
// keeps the open one if nothing of it changed.
func (s *sessions) start(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer, conn *connection, metadata provider.Metadata) (*session, error) {
	signIn, err := s.signIn(ctx, server)
	if err != nil {
		return nil, err
	}
	settings := settingsOf(server)
	metadata = normalised(server, metadata)
	hash, err := hashOf(server.Spec.Issuer, server.Spec.Connection, server.Spec.Registration, settings, string(conn.ca), signIn.fingerprint, metadata)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.open[server.UID]
	if was != nil && was.hash == hash {
		was.generation = server.Generation
		return was, nil
	}
	limits := server.Spec.Connection.Limits
	dialect := s.dialect(server)
	registrar, err := dialect.New(provider.Config{
		Issuer: server.Spec.Issuer, URL: connectionURL(server), RegistrationURL: settings.RegistrationURL, FederatedIssuer: settings.FederatedIssuer,
		Metadata: metadata, SignIn: signIn.SignIn, HTTPClient: conn.http, Clock: s.clock.Now,
		Limits: provider.Limits{
			RequestsPerSecond: float64(limits.RequestsPerSecond), Burst: int(limits.Burst), MaxInFlight: int(limits.MaxInFlight),
		},
	})
	if _, said := provider.KindOf(err); said {
		return nil, ofProvider(err, server.Name)
	}
	if err != nil {
		return nil, userMustAct(v1alpha1.ReasonInvalidMetadata, "No session can be opened with the server: %v.", err)
	}
	opened := &session{
		Surveying: provider.WithMetrics(registrar, settings.Dialect, s.registerer, s.clock.Now),
		ca:        conn.ca, http: conn.http, generation: server.Generation, hash: hash,
	}
	opened.jwts.Store(jwtsOf(server))
	s.open[server.UID] = opened
	return opened, nil
}

// jwtsOf is what a server's status says about JWTs.
func jwtsOf(server *v1alpha1.ClusterAuthorizationServer) provider.Support {
	if c := server.Status.Capabilities; c != nil {
		return provider.Support(cmp.Or(c.TokenForms.JWT, string(provider.SupportUnknown)))
	}
	return provider.SupportUnknown
}

// introspectsJWTs says whether the server was seen to introspect JWTs, or not to.
func (s *session) introspectsJWTs() provider.Support {
	known, _ := s.jwts.Load().(provider.Support)
	return cmp.Or(known, provider.SupportUnknown)
}

// learn keeps what a server has shown, and has its status follow.
func (s *sessions) learn(server *v1alpha1.ClusterAuthorizationServer, open *session, jwts provider.Support) {
	if open.introspectsJWTs() == jwts {
		return
	}
	open.jwts.Store(jwts)
	s.look(server)
}

// look has a server looked at: its session knows more than its status.
func (s *sessions) look(server *v1alpha1.ClusterAuthorizationServer) {
	select {
	case s.learned <- serverEvent{Object: server}:
	default: // many at once: its next look comes all the same
	}
}

// forget drops the session of a server that is gone.
func (s *sessions) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, uid)
}

// hashOf tells whether anything of a session changed.
func hashOf(parts ...any) (string, error) {
	encoded, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("encoding a server's spec: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}
