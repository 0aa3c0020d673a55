// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine decides about tokens: snapshot, facts from the cache or the
// authorization server, the policy's judgement. Engine.Decide is where to begin.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/binding"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
)

const defaultCacheBytes = 64 << 20

// Options of New.
type Options struct {
	// Clock is the time, with its monotonic reading.
	Clock func() time.Time
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Logger writes a line for each decision: refusals at Info, allows at Debug.
	Logger *slog.Logger
	// SampleAllows writes one allow in so many at Info; 0 for none.
	SampleAllows uint64
	// CacheBytes bounds the memory of what servers said, about; default 64 MiB.
	CacheBytes int64
	// Hints is told what the controller should look at; may be nil.
	Hints HintFunc
	// ReadClient reads a client's record, past the snapshot; nil if nobody can.
	ReadClient ReadClientFunc
	// Dial opens connections to a server; default introspect.New.
	Dial DialFunc
	// FetchKeys gives the source of a server's keys; default over HTTP.
	FetchKeys FetchKeysFunc
	// ClusterKeys are those that ServiceAccounts' tokens are signed with; without them no
	// ServiceAccount is known.
	ClusterKeys ClusterKeysFunc
	// MaxSnapshotAge is how long the API server may be away before nobody can tell; 0 for ever.
	MaxSnapshotAge time.Duration
	// MissRate a second and MissBurst at once are how many tokens that turn out bad a
	// namespace may ask about; default 100 and 1000.
	MissRate  float64
	MissBurst int
	// Tracer makes spans of questions to servers; nil for none.
	Tracer trace.Tracer
}

// FetchKeysFunc gives the source of a server's JWKS (RFC 7517).
type FetchKeysFunc func(ServerState) (func(context.Context) ([]byte, error), error)

// Engine decides.
type Engine struct {
	clock   func() time.Time
	dial    DialFunc
	cache   *cache.Cache
	keyer   *cache.Keyer
	metrics *metrics
	audit   *audit
	hints   *hinter
	live    *live
	budgets *budgets
	binding *binding.Verifier
	cluster *cluster
	// accounts are of the cluster.
	accounts *accounts
	tracer   trace.Tracer

	fetchKeys      FetchKeysFunc
	maxSnapshotAge time.Duration

	current atomic.Pointer[snapshot]
	loading sync.Mutex
}

// New is an engine that can tell nothing until its first Load.
func New(opts Options) (*Engine, error) {
	if opts.Clock == nil || opts.Registerer == nil || opts.Logger == nil {
		return nil, errors.New("engine: Clock, Registerer and Logger are required")
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	if opts.Dial == nil {
		opts.Dial = dialer(opts.Clock)
	}
	keyer, err := cache.NewKeyer(rand.Reader)
	if err != nil {
		return nil, err
	}
	facts, err := cache.New(cache.Options{Clock: opts.Clock, Bytes: opts.CacheBytes})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		clock:    opts.Clock,
		dial:     opts.Dial,
		cache:    facts,
		keyer:    keyer,
		audit:    &audit{log: opts.Logger, every: opts.SampleAllows, fingerprint: keyer.Fingerprint},
		hints:    newHinter(opts.Hints, opts.Clock),
		live:     newLive(opts.ReadClient, opts.Clock),
		budgets:  newBudgets(opts.Clock, opts.MissRate, opts.MissBurst),
		binding:  binding.New(binding.Options{Clock: opts.Clock}),
		cluster:  &cluster{keys: opts.ClusterKeys, clock: opts.Clock},
		accounts: newAccounts(opts.Clock),
		tracer:   opts.Tracer, fetchKeys: opts.FetchKeys, maxSnapshotAge: opts.MaxSnapshotAge,
	}
	if e.metrics, err = newMetrics(opts.Registerer, e.snapshotAge, facts.Bytes); err != nil {
		facts.Close()
		return nil, err
	}
	if err := opts.Registerer.Register(newKeysAge(e.current.Load)); err != nil {
		facts.Close()
		return nil, err
	}
	return e, nil
}

// Close ends the engine's goroutines and idle connections.
func (e *Engine) Close() {
	e.cache.Close()
	if s := e.current.Load(); s != nil {
		s.release(&snapshot{})
	}
}

// Ready says that a snapshot was loaded.
func (e *Engine) Ready() bool { return e.current.Load() != nil }

func (e *Engine) snapshotAge() (time.Duration, bool) {
	s := e.current.Load()
	if s == nil {
		return 0, false
	}
	return e.clock().Sub(s.confirmed()), true
}
