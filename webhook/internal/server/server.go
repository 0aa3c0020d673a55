// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Defaults of every surface.
const (
	// DefaultRequestTimeout is a request's.
	DefaultRequestTimeout = 10 * time.Second
	// DefaultDrainTimeout is how long running requests may take to end.
	DefaultDrainTimeout = 20 * time.Second
	// DefaultMaxConcurrent are the requests at once.
	DefaultMaxConcurrent = 2048
)

const (
	// readTimeout is for headers and body together: net/http then sets one timer for both.
	readTimeout = 10 * time.Second
	// writeMargin is what an answer may take on its way.
	writeMargin = 10 * time.Second
	// idleTimeout is longer than gateways keep idle connections (nginx 60 s, Traefik 90 s):
	// the side that sends closes, so that no request meets a closing connection.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes admits two tokens of token.MaxLength, and what else browsers send.
	maxHeaderBytes = 64 << 10
	// maxLinger is how long idle connections may live on when draining, to be told in the
	// answer to their next request.
	maxLinger   = 5 * time.Second
	lingerShare = 4
)

// Options of New.
type Options struct {
	// Addr is where to listen.
	Addr string
	// Surface names the protocol, in logs and metrics.
	Surface token.Surface
	// Route finds the policy in the path.
	Route Route
	// Handler speaks the protocol.
	Handler Surface
	// Certificates gives the certificate for each handshake; an error fails it.
	Certificates func() (*tls.Certificate, error)
	// MinTLS is tls.VersionTLS12 or tls.VersionTLS13; default the latter.
	MinTLS uint16
	// ClientCertificates asks clients for theirs. Callers verifies them.
	ClientCertificates bool
	// RequestTimeout is a request's; default 10s.
	RequestTimeout time.Duration
	// DrainTimeout is how long running requests may take to end; default 20s.
	DrainTimeout time.Duration
	// MaxConcurrent is how many requests may be under way; default 2048. Those beyond are
	// answered at once by Handler.Undecided, with token.ReasonOverloaded.
	MaxConcurrent int
	// Tracer traces each request; nil for none.
	Tracer trace.Tracer
	// Record writes down what no policy is asked about; nil to write nothing.
	Record  RecordFunc
	Clock   func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics
}

// Server listens for one surface.
type Server struct {
	surface      token.Surface
	listener     net.Listener
	http         *http.Server
	handler      *handler
	drainTimeout time.Duration
	open         atomic.Int64
	lastClosed   chan struct{}
}

// New listens, and serves when it is Run.
func New(opts Options) (*Server, error) {
	if opts.RequestTimeout <= 0 {
		opts.RequestTimeout = DefaultRequestTimeout
	}
	if opts.DrainTimeout <= 0 {
		opts.DrainTimeout = DefaultDrainTimeout
	}
	if opts.MaxConcurrent <= 0 {
		opts.MaxConcurrent = DefaultMaxConcurrent
	}
	config, err := TLSConfig(opts.Certificates, opts.MinTLS, opts.ClientCertificates)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w", opts.Surface, err)
	}
	s := &Server{
		surface: opts.Surface, listener: listener, drainTimeout: opts.DrainTimeout, lastClosed: make(chan struct{}, 1),
		handler: &handler{
			name: opts.Surface, route: opts.Route, surface: opts.Handler, timeout: opts.RequestTimeout, most: int64(opts.MaxConcurrent),
			clock: opts.Clock, log: opts.Logger, record: opts.Record, lines: rate.NewLimiter(lineRate, lineBurst), tracer: opts.Tracer, metrics: opts.Metrics.Surface(opts.Surface),
		},
	}
	s.http = &http.Server{
		Handler:           s.handler,
		TLSConfig:         config,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      opts.RequestTimeout + writeMargin,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       connContext,
		ConnState:         s.connState,
		// Strangers' failed handshakes are no news.
		ErrorLog:                     slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
		DisableGeneralOptionsHandler: true,
	}
	return s, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close gives the address up, if it is not to be Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends and then drains: running requests end, connections in use
// are told to close by the answer, idle ones are closed last.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.ServeTLS(s.listener, "", "") }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", s.surface, err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drainTimeout)
	defer cancel()
	s.handler.draining.Store(true)
	s.linger(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("draining %s: requests were cut after %s: %w", s.surface, s.drainTimeout, err), s.http.Close())
	}
	return nil
}

// linger keeps idle connections for a while. Closed at once, they would be met by
// requests on their way, and no client repeats a POST. A connection that sends one
// meanwhile is told to close in the answer; one that sends none is not in use.
func (s *Server) linger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(maxLinger, s.drainTimeout/lingerShare))
	defer cancel()
	for s.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-s.lastClosed:
		}
	}
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		if s.open.Add(-1) == 0 {
			select {
			case s.lastClosed <- struct{}{}:
			default:
			}
		}
	case http.StateActive, http.StateIdle:
	}
}
