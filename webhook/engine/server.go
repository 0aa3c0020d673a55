// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	defaultTimeout     = 2 * time.Second
	defaultMaxInFlight = 64
	// patience is how many time-outs a question may take in all, its wait for a turn included.
	patience = 2
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

// link is the way to a server: its connections and their limit.
type link struct {
	// settings is the hash of all that it was opened with.
	settings [32]byte
	// endpoint is the hash of what decides who answers: facts are kept under it.
	endpoint [32]byte
	asker    Asker
	// issuer is whose tokens the server answers for.
	issuer string
	// err is why there is no asker.
	err      error
	timeout  time.Duration
	slots    chan struct{}
	clock    func() time.Time
	counters *upstreamCounters
}

// open never fails: one server with a bad CA must not stop the others.
func (e *Engine) open(s *ServerState) *link {
	l := &link{
		settings: settingsOf(s),
		endpoint: cache.HashOf(s.Issuer, s.IntrospectionEndpoint, s.HostHeader, string(s.CAPEM)),
		issuer:   s.Issuer,
		timeout:  s.Timeout,
		slots:    make(chan struct{}, s.MaxInFlight),
		clock:    e.clock,
		counters: e.metrics.forServer(s.Name),
	}
	l.asker, l.err = e.dial(*s)
	return l
}

func settingsOf(s *ServerState) [32]byte {
	return cache.HashOf(s.Name, s.Issuer, s.IntrospectionEndpoint, s.HostHeader, string(s.CAPEM),
		s.Timeout.String(), strconv.Itoa(s.MaxInFlight))
}

func (l *link) serves(s *ServerState) bool { return l != nil && l.settings == settingsOf(s) }

func (l *link) close() {
	if c, ok := l.asker.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// errNoTurn is a question that was never sent: too many were under way.
var errNoTurn = errors.New("too many questions are under way")

// asking waits for a turn, then asks.
func (l *link) asking(credential introspect.Credential, t token.Token) cache.AskFunc {
	return func(ctx context.Context, sending func()) (*token.Facts, error) {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			l.counters.busy.Inc()
			return nil, fmt.Errorf("waiting for a turn: %w", errNoTurn)
		}
		defer func() { <-l.slots }()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sending()
		sent := l.clock()
		facts, err := l.asker.Introspect(ctx, credential, t)
		l.counters.observe(l.clock().Sub(sent), facts, err)
		if facts != nil && err == nil {
			facts = completed(facts, t, l.issuer)
		}
		return facts, err
	}
}

// ask asks with the credential that worked last; if the server refuses it, once with
// the other one: in a rotation nobody knows which of the two the server takes.
func (e *Engine) ask(ctx context.Context, c *client, t token.Token, maxAge time.Duration) (*cache.Entry, error) {
	var (
		first = int(c.preferred.Load())
		entry *cache.Entry
		err   error
	)
	for n := range min(2, len(c.scopes)) {
		i := (first + n) % len(c.scopes)
		entry, err = e.cache.Ask(ctx, &cache.Question{
			Key:    e.keyer.Key(&c.scopes[i], t),
			MaxAge: maxAge,
			Limit:  patience * c.server.link.timeout,
			Ask:    c.server.link.asking(c.Credentials[i], t),
			Retry:  retryable,
		})
		if err == nil {
			c.preferred.Store(int32(i)) //nolint:gosec // an index of a short list
			return entry, nil
		}
		if !errors.Is(err, introspect.ErrCredentialsRefused) {
			return nil, err
		}
	}
	return nil, err
}

// retryable: what the server said about us or about this token it would say again.
func retryable(err error) bool {
	return !errors.Is(err, introspect.ErrCredentialsRefused) && !errors.Is(err, introspect.ErrUnsupportedToken)
}
