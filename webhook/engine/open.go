// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	defaultTimeout     = 2 * time.Second
	defaultMaxInFlight = 128
)

// Asker asks one authorization server (RFC 7662). Its errors are introspect's.
type Asker interface {
	Introspect(ctx context.Context, credential introspect.Credential, t token.Token) (*token.Facts, error)
}

// DialFunc opens an Asker for a server.
type DialFunc func(ServerState) (Asker, error)

func dialer(clock func() time.Time) DialFunc {
	return func(s ServerState) (Asker, error) {
		c, err := introspect.New(introspect.Options{
			Endpoint:   s.IntrospectionEndpoint,
			Issuer:     s.Issuer,
			HostHeader: s.HostHeader,
			CAPEM:      s.CAPEM,
			Timeout:    s.Timeout,
			Clock:      clock,
		})
		if err != nil {
			return nil, err // and no Asker: a nil *Client would be one
		}
		return c, nil
	}
}

// open never fails: one server with a bad CA must not stop the others.
func (e *Engine) open(s *ServerState) *link {
	l := &link{
		settings: settingsOf(s),
		endpoint: cache.HashOf(s.Issuer, s.IntrospectionEndpoint, s.HostHeader, string(s.CAPEM),
			s.JWKSURI, strings.Join(s.Algorithms, " "), strings.Join(s.Types, " ")),
		issuer: s.Issuer, name: s.Name, timeout: s.Timeout, slots: make(chan struct{}, s.MaxInFlight),
		clock: e.clock, tracer: e.tracer, spend: e.spend, shares: map[string]*share{},
		counters: e.metrics.forServer(s.Name),
	}
	state := e.metrics.breakers.WithLabelValues(s.Name)
	state.Set(0)
	l.breaker = circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakerFailures).WithSuccessThreshold(1).
		WithDelay(breakerDelay).
		OnOpen(func(circuitbreaker.StateChangedEvent) { state.Set(1) }).
		OnClose(func(circuitbreaker.StateChangedEvent) { state.Set(0) }).Build()
	if l.asker, l.err = e.dial(*s); l.err == nil && s.JWKSURI != "" {
		l.keys, l.err = e.keysOf(s)
	}
	return l
}

func (e *Engine) keysOf(s *ServerState) (*jwt.Verifier, error) {
	fetch := e.fetchKeys
	if fetch == nil {
		fetch = fetcher
	}
	keys, err := fetch(*s)
	if err != nil {
		return nil, err
	}
	return jwt.New(jwt.Options{
		Issuer: s.Issuer, Keys: keys, Algorithms: s.Algorithms, Types: s.Types, Limit: s.Timeout, Clock: e.clock,
	})
}

// fetcher fetches a server's keys over connections like those that it is asked over.
func fetcher(s ServerState) (func(context.Context) ([]byte, error), error) {
	client, err := introspect.NewHTTPClient(s.CAPEM, s.Timeout)
	if err != nil {
		return nil, err
	}
	return introspect.FetchKeys(client, s.JWKSURI, s.HostHeader), nil
}

func settingsOf(s *ServerState) [32]byte {
	return cache.HashOf(s.Name, s.Issuer, s.IntrospectionEndpoint, s.HostHeader, string(s.CAPEM),
		s.Timeout.String(), strconv.Itoa(s.MaxInFlight), s.JWKSURI, strings.Join(s.Algorithms, " "), strings.Join(s.Types, " "))
}

func (l *link) serves(s *ServerState) bool { return l != nil && l.settings == settingsOf(s) }
