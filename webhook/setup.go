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
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/extauthz"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/forwardauth"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/introspection"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/tokenreview"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Engine decides.
type Engine interface {
	// Decide answers whether a token is good for a policy; its error is a *token.Undecided.
	Decide(ctx context.Context, req token.Request) (token.Decision, error)
	// Authenticate finds the IntrospectionClient that shows an id and a secret.
	Authenticate(ctx context.Context, policy token.Ref, clientID, secret string) (token.Ref, bool)
	// ServiceAccount is the account of the cluster that a token is of, if it is good for
	// exactly this audience. An error that is a *token.Undecided says that nobody could tell.
	ServiceAccount(ctx context.Context, t token.Token, audience string) (token.Ref, error)
	// Ready says that the objects were read: before, nobody's credentials are known.
	Ready() bool
}

// Config is the platform's part: which gateways and API servers may ask. The zero Config
// lets none.
type Config struct{ parsed server.Config }

// ParseConfig reads the webhook's configuration file:
//
//	gateways:
//	- name: edge
//	  kind: Nginx                        # Traefik, Caddy, EnvoyHTTP (forward-auth) or EnvoyGRPC (ext_authz)
//	  authenticate:
//	    clientCA: <PEM>                  # or clientCAFile: <path>
//	    certificateSAN: nginx.edge.svc   # a DNS name or URI in its certificate, exactly
//	  clientCertificate:                 # where it tells the user's certificate, if it does
//	    header: X-Client-Cert
//	    format: PEM                      # or DER, XFCC, RFC9440
//	- name: mesh
//	  kind: EnvoyHTTP
//	  authenticate: {serviceAccount: mesh/gateway}   # its token in the header Introspection-Gateway
//	- name: inner
//	  kind: Traefik
//	  authenticate: {network: Trusted}   # whoever shows nothing; one gateway at most
//	tokenReview:                         # the API server may ask
//	  clientCA: <PEM>                    # or clientCAFile: <path>
//	  certificateSAN: kube-apiserver     # optional
//	  policies: [platform/cluster-login]
//	  usernamePrefix: "oidc:"
//	  groupsPrefix: "oidc:"
//	  extraKeys: [example.com/tenant]    # optional
//
// Errors say what to do.
func ParseConfig(content []byte) (Config, error) {
	parsed, err := server.ParseConfig(content)
	return Config{parsed: parsed}, err
}

// Options of New. Engine, Certificates, Registerer and Logger are required.
type Options struct {
	Engine Engine
	Config Config
	// IntrospectionAddr and ForwardAuthAddr are where to listen.
	IntrospectionAddr, ForwardAuthAddr string
	// ExtAuthzAddr is where to listen for Envoy; empty for nowhere.
	ExtAuthzAddr string
	// TokenReviewAddr is where to listen for the API server, if the Config has tokenReview.
	TokenReviewAddr string
	// IntrospectionURL, AuthorizeURL and ExtAuthzURL are the origins that callers know those
	// by, such as https://webhook.introspection.svc:9443. They are the audiences of callers'
	// ServiceAccount tokens; for introspection with the policy's path behind it.
	IntrospectionURL, AuthorizeURL, ExtAuthzURL string
	// ExtAuthzErrors tells Envoy that nobody could tell by an error instead of a denial:
	// failure_mode_allow then lets requests in.
	ExtAuthzErrors bool
	// Certificates gives the certificate for each handshake, so that it may rotate while
	// serving; an error fails the handshake.
	Certificates func() (*tls.Certificate, error)
	// MinTLS is tls.VersionTLS12 or tls.VersionTLS13; default the latter.
	MinTLS uint16
	// RequestTimeout is a request's; default 10s.
	RequestTimeout time.Duration
	// DrainTimeout is how long running requests may take to end; default 20s.
	DrainTimeout time.Duration
	// MaxConcurrent is how many requests may be under way on each surface; default 2048.
	MaxConcurrent int
	// Tracer traces each request; nil for none.
	Tracer trace.Tracer
	// Clock is the time; default the real one.
	Clock func() time.Time
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Logger writes what was refused before the engine was asked.
	Logger *slog.Logger
}

// listener serves one surface.
type listener interface {
	Address() string
	Run(ctx context.Context) error
	Close() error
}

// Server listens for all protocols, one port a trust zone.
type Server struct {
	listeners []listener
	addresses Addresses
}

// Addresses are where a Server listens; empty if it does not.
type Addresses struct{ Introspection, ForwardAuth, ExtAuthz, TokenReview string }

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
	a := &assembly{Options: &opts, metrics: metrics, record: server.NewRecord(opts.Logger, metrics)}
	s := &Server{}
	for _, surface := range []struct {
		wanted  bool
		listen  func() (listener, error)
		address *string
	}{
		{true, a.introspection, &s.addresses.Introspection},
		{true, a.forwardAuth, &s.addresses.ForwardAuth},
		{opts.ExtAuthzAddr != "", a.extAuthz, &s.addresses.ExtAuthz},
		{opts.TokenReviewAddr != "" && opts.Config.parsed.TokenReview != nil, a.tokenReview, &s.addresses.TokenReview},
	} {
		if !surface.wanted {
			continue
		}
		l, err := surface.listen()
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.listeners, *surface.address = append(s.listeners, l), l.Address()
	}
	return s, nil
}

// Addresses are where it listens.
func (s *Server) Addresses() Addresses { return s.addresses }

// Run serves until ctx ends, and drains. It returns an error if it could not serve, or
// if requests had to be cut.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		group.Go(func() error { return l.Run(ctx) })
	}
	return group.Wait()
}

func (s *Server) close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// assembly is what the surfaces are made of.
type assembly struct {
	*Options

	metrics *server.Metrics
	record  server.RecordFunc
}

func (a *assembly) introspection() (listener, error) {
	o := a.http(a.IntrospectionAddr, token.SurfaceIntrospection)
	o.Route = server.Route{First: introspection.Path}
	o.Handler = introspection.New(introspection.Options{
		Decide: a.Engine.Decide, Authenticate: a.Engine.Authenticate, ServiceAccount: a.Engine.ServiceAccount, Ready: a.Engine.Ready,
		URL: a.IntrospectionURL, Record: a.record, Clock: a.Clock,
	})
	return listening(server.New(o))
}

func (a *assembly) forwardAuth() (listener, error) {
	o := a.http(a.ForwardAuthAddr, token.SurfaceForwardAuth)
	o.Route = server.Route{First: forwardauth.Path, Below: true}
	o.ClientCertificates = true
	o.Handler = forwardauth.New(forwardauth.Options{
		Decide: a.Engine.Decide, Caller: a.callers(server.Kind.OverHTTP, a.AuthorizeURL).Identify, Record: a.record, Clock: a.Clock,
	})
	return listening(server.New(o))
}

func (a *assembly) extAuthz() (listener, error) {
	return listening(extauthz.New(extauthz.Options{
		Addr: a.ExtAuthzAddr, Decide: a.Engine.Decide, Caller: a.callers(server.Kind.OverGRPC, a.ExtAuthzURL).IdentifyPeer,
		Record: a.record, Certificates: a.Certificates, MinTLS: a.MinTLS, RequestTimeout: a.RequestTimeout, DrainTimeout: a.DrainTimeout,
		MaxConcurrent: a.MaxConcurrent, ErrorResponse: a.ExtAuthzErrors, Tracer: a.Tracer, Clock: a.Clock, Logger: a.Logger, Metrics: a.metrics,
	}))
}

func (a *assembly) tokenReview() (listener, error) {
	o := a.http(a.TokenReviewAddr, token.SurfaceTokenReview)
	o.Route = server.Route{First: tokenreview.Path}
	o.ClientCertificates = true
	o.Handler = tokenreview.New(tokenreview.Options{
		Decide: a.Engine.Decide, Config: a.Config.parsed.TokenReview, Record: a.record, Clock: a.Clock, Logger: a.Logger,
	})
	return listening(server.New(o))
}

func (a *assembly) callers(kinds func(server.Kind) bool, audience string) *server.Callers {
	return server.NewCallers(server.CallersOptions{
		Gateways: a.Config.parsed.Gateways, Kinds: kinds, ServiceAccount: a.Engine.ServiceAccount, Audience: audience, Clock: a.Clock,
	})
}

// http is what the surfaces over HTTP have in common.
func (a *assembly) http(addr string, surface token.Surface) server.Options {
	return server.Options{
		Addr: addr, Surface: surface, Certificates: a.Certificates, MinTLS: a.MinTLS,
		RequestTimeout: a.RequestTimeout, DrainTimeout: a.DrainTimeout, MaxConcurrent: a.MaxConcurrent,
		Tracer: a.Tracer, Record: a.record, Clock: a.Clock, Logger: a.Logger, Metrics: a.metrics,
	}
}

// listening keeps a nil pointer from becoming a listener.
func listening[L listener](l L, err error) (listener, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}
