// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook is the data plane: it answers whether a token is good for a policy.
// It has no Kubernetes client: what it knows is handed to its engine.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/forwardauth"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/introspection"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Engine decides.
type Engine interface {
	// Decide answers whether a token is good for a policy; its error is a *token.Undecided.
	Decide(ctx context.Context, req token.Request) (token.Decision, error)
	// Authenticate finds the IntrospectionClient that shows an id and a secret.
	Authenticate(policy token.Ref, clientID, secret string) (token.Ref, bool)
	// HeaderNames are the identity headers that a policy sets.
	HeaderNames(policy token.Ref) []string
}

// Config is the platform's part: which gateways may ask. The zero Config lets none.
type Config struct{ gateways []server.Gateway }

// ParseConfig reads the webhook's configuration file:
//
//	gateways:
//	- name: edge
//	  kind: Nginx                        # or Traefik
//	  authenticate:
//	    clientCA: <PEM>                  # or clientCAFile: <path>
//	    certificateSAN: nginx.edge.svc   # a DNS name or URI in its certificate, exactly
//	- name: inner
//	  kind: Traefik
//	  authenticate: {network: Trusted}   # whoever has no certificate; one gateway at most
//
// Errors say what to do.
func ParseConfig(content []byte) (Config, error) {
	gateways, err := server.ParseGateways(content)
	return Config{gateways: gateways}, err
}

// Options of New. Engine, Certificates, Registerer and Logger are required.
type Options struct {
	Engine Engine
	Config Config
	// IntrospectionAddr and ForwardAuthAddr are where to listen.
	IntrospectionAddr, ForwardAuthAddr string
	// Certificates gives the certificate for each handshake, so that it may rotate while
	// serving; an error fails the handshake.
	Certificates func() (*tls.Certificate, error)
	// MinTLS is tls.VersionTLS12 or tls.VersionTLS13; default the latter.
	MinTLS uint16
	// RequestTimeout is a request's; default 10s.
	RequestTimeout time.Duration
	// DrainTimeout is how long running requests may take to end; default 20s.
	DrainTimeout time.Duration
	// Clock is the time; default the real one.
	Clock func() time.Time
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Logger writes what was refused before the engine was asked.
	Logger *slog.Logger
}

// Server listens for all protocols, one port a trust zone.
type Server struct{ introspection, forwardAuth *server.Server }

// Addresses are where a Server listens.
type Addresses struct{ Introspection, ForwardAuth string }

// New listens, and serves when it is Run.
func New(opts Options) (*Server, error) {
	if opts.Engine == nil || opts.Certificates == nil || opts.Registerer == nil || opts.Logger == nil {
		return nil, errors.New("webhook: Engine, Certificates, Registerer and Logger are required")
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}.Now
	}
	metrics, err := server.NewMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	record := server.NewRecord(opts.Logger, metrics)
	common := server.Options{
		Certificates: opts.Certificates, MinTLS: opts.MinTLS, RequestTimeout: opts.RequestTimeout,
		DrainTimeout: opts.DrainTimeout, Clock: opts.Clock, Logger: opts.Logger, Metrics: metrics,
	}
	facade := common
	facade.Addr, facade.Surface = opts.IntrospectionAddr, token.SurfaceIntrospection
	facade.Route = server.Route{First: introspection.Path}
	facade.Handler = introspection.New(introspection.Options{
		Decide: opts.Engine.Decide, Authenticate: opts.Engine.Authenticate, Record: record, Clock: opts.Clock,
	})
	gateways := common
	gateways.Addr, gateways.Surface = opts.ForwardAuthAddr, token.SurfaceForwardAuth
	gateways.Route = server.Route{First: forwardauth.Path, Below: true}
	gateways.ClientCertificates = true
	gateways.Handler = forwardauth.New(forwardauth.Options{
		Decider: opts.Engine, Caller: server.NewCallers(opts.Config.gateways, opts.Clock).Identify, Record: record, Clock: opts.Clock,
	})
	s := &Server{}
	if s.introspection, err = server.New(facade); err != nil {
		return nil, err
	}
	if s.forwardAuth, err = server.New(gateways); err != nil {
		return nil, errors.Join(err, s.introspection.Close())
	}
	return s, nil
}

// Addresses are where it listens.
func (s *Server) Addresses() Addresses {
	return Addresses{Introspection: s.introspection.Address(), ForwardAuth: s.forwardAuth.Address()}
}

// Run serves until ctx ends, and drains. It returns an error if it could not serve, or
// if requests had to be cut.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.introspection.Run(ctx) })
	group.Go(func() error { return s.forwardAuth.Run(ctx) })
	return group.Wait()
}
