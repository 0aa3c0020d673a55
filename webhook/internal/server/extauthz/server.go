// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that ours is made of
	"google.golang.org/grpc/keepalive"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	handshakeTimeout = 10 * time.Second
	// maxMessage admits Envoy's largest headers many times over. It is read before we
	// know who asks. A larger one, which only with_request_body makes, is an error of gRPC.
	maxMessage = 1 << 20
	// maxMetadata bounds the metadata of a call, in bytes: a ServiceAccount token, tracing.
	maxMetadata = 64 << 10
	// maxStreams are the questions at once on a connection. Envoy opens others beyond.
	maxStreams = 1000
	// minPing is how often a gateway may ask whether we live. The default of gRPC, five
	// minutes, would cut Envoys that are configured to find dead connections.
	minPing = 5 * time.Second
	// pingAfter and pingTimeout find gateways that went away without a word.
	pingAfter, pingTimeout = 2 * time.Minute, 20 * time.Second
)

// DecideFunc answers whether a token is good for a policy; its error is a *token.Undecided.
type DecideFunc func(ctx context.Context, req token.Request) (token.Decision, error)

// CallerFunc is the declared gateway at the other end of a connection, and until when
// its certificate is valid.
type CallerFunc func(ctx context.Context, p *server.Peer) (*server.Gateway, time.Time, bool)

// Options of New. All but the limits, MinTLS, ErrorResponse and Tracer are required.
type Options struct {
	// Addr is where to listen.
	Addr string
	// Decide is the engine's.
	Decide DecideFunc
	// Caller tells who asks.
	Caller CallerFunc
	// Record writes down what was refused before the engine was asked.
	Record server.RecordFunc
	// Certificates gives the certificate for each handshake; an error fails it.
	Certificates func() (*tls.Certificate, error)
	// MinTLS is tls.VersionTLS12 or tls.VersionTLS13; default the latter.
	MinTLS uint16
	// RequestTimeout is that of a question that has no deadline of its own; default 10s.
	RequestTimeout time.Duration
	// DrainTimeout is how long running questions may take to end; default 20s.
	DrainTimeout time.Duration
	// MaxConcurrent are the questions at once; beyond, nobody can tell. Default 2048.
	MaxConcurrent int
	// ErrorResponse answers what nobody could tell as an error (error_response) instead of
	// a denied 503: Envoy counts it as one, and lets the request in if failure_mode_allow
	// is set.
	ErrorResponse bool
	// Tracer traces each question; nil for none.
	Tracer trace.Tracer
	// Clock is the time.
	Clock func() time.Time
	// Logger takes panics.
	Logger *slog.Logger
	// Metrics counts answers.
	Metrics *server.Metrics
}

// Server listens for gateways that ask by gRPC.
type Server struct {
	listener     net.Listener
	grpc         *grpc.Server
	drainTimeout time.Duration
}

// New listens, and serves when it is Run.
func New(opts Options) (*Server, error) {
	if opts.RequestTimeout <= 0 {
		opts.RequestTimeout = server.DefaultRequestTimeout
	}
	if opts.DrainTimeout <= 0 {
		opts.DrainTimeout = server.DefaultDrainTimeout
	}
	if opts.MaxConcurrent <= 0 {
		opts.MaxConcurrent = server.DefaultMaxConcurrent
	}
	config, err := server.TLSConfig(opts.Certificates, opts.MinTLS, true)
	if err != nil {
		return nil, err
	}
	protocol := encoding.GetCodecV2("proto")
	if protocol == nil {
		return nil, errors.New("gRPC has no codec for protocol buffers")
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w", token.SurfaceExtAuthz, err)
	}
	g := grpc.NewServer(
		grpc.Creds(handshaker{TransportCredentials: credentials.NewTLS(config)}),
		grpc.ForceServerCodecV2(codec{proto: protocol}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxMetadata),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
	)
	g.RegisterService(service(), &checker{
		decide: opts.Decide, caller: opts.Caller, record: opts.Record, timeout: opts.RequestTimeout,
		errorResponse: opts.ErrorResponse, clock: opts.Clock, log: opts.Logger, tracer: opts.Tracer,
		metrics: opts.Metrics.Surface(token.SurfaceExtAuthz), ids: server.NewIDs(),
		turns: make(chan struct{}, opts.MaxConcurrent), strangers: rate.NewLimiter(strangerRate, strangerBurst),
	})
	return &Server{listener: listener, grpc: g, drainTimeout: opts.DrainTimeout}, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close gives the address up, if it is not to be Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends and then drains: gateways are told to open other connections
// (GOAWAY), and running questions end.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", token.SurfaceExtAuthz, err)
	case <-ctx.Done():
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.grpc.GracefulStop()
	}()
	end := time.NewTimer(s.drainTimeout)
	defer end.Stop()
	select {
	case <-drained:
		return nil
	case <-end.C:
		s.grpc.Stop()
		return fmt.Errorf("draining %s: questions were cut after %s", token.SurfaceExtAuthz, s.drainTimeout)
	}
}
