// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WithMetrics counts and times what is asked of a server. Many servers share
// one registerer, and the metrics on it.
func WithMetrics(next Server, name string, registerer prometheus.Registerer, now func() time.Time) Surveying {
	return &metered{
		next: next, name: name, now: now,
		requests: registered(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_provider_requests_total",
			Help: "What was asked of authorization servers, by dialect, operation and outcome.",
		}, []string{"provider", "operation", "outcome"})),
		duration: registered(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "introspection_provider_request_duration_seconds",
			Help:    "How long it took, waiting for a turn included.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"provider", "operation"})),
	}
}

// registered registers a collector, or finds the one that is registered.
func registered[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	err := registerer.Register(collector)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		if found, ok := already.ExistingCollector.(C); ok {
			return found
		}
	}
	return collector
}

type metered struct {
	next     Server
	name     string
	now      func() time.Time
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// done is deferred with the start evaluated and the error still to come.
func (m *metered) done(operation string, start time.Time, err *error) {
	m.requests.WithLabelValues(m.name, operation, outcomeOf(*err)).Inc()
	m.duration.WithLabelValues(m.name, operation).Observe(m.now().Sub(start).Seconds())
}

// Probe implements Prober.
func (m *metered) Probe(ctx context.Context) (_ Report, err error) {
	defer m.done("probe", m.now(), &err)
	return m.next.Probe(ctx)
}

// Observe implements Registrar.
func (m *metered) Observe(ctx context.Context, desired Desired, caller Caller) (_ Observation, err error) {
	defer m.done("observe", m.now(), &err)
	return m.next.Observe(ctx, desired, caller)
}

// Survey implements Surveyor; of a server that lists nothing it says nothing.
func (m *metered) Survey(ctx context.Context, desired Desired, within time.Duration) (Sight, bool) {
	surveyor, ok := m.next.(Surveyor)
	if !ok {
		return Sight{}, false
	}
	start := m.now()
	sight, ok := surveyor.Survey(ctx, desired, within)
	if ok { // else a live look follows, which is counted
		var none error
		m.done("survey", start, &none)
	}
	return sight, ok
}

// Create implements Registrar.
func (m *metered) Create(ctx context.Context, desired Desired, caller Caller) (_ Registration, err error) {
	defer m.done("create", m.now(), &err)
	return m.next.Create(ctx, desired, caller)
}

// Update implements Registrar.
func (m *metered) Update(ctx context.Context, desired Desired, observed Observation, caller Caller) (_ Registration, err error) {
	defer m.done("update", m.now(), &err)
	return m.next.Update(ctx, desired, observed, caller)
}

// Adopt implements Adopter.
func (m *metered) Adopt(ctx context.Context, desired Desired, caller Caller) (_ Registration, err error) {
	defer m.done("adopt", m.now(), &err)
	return m.next.Adopt(ctx, desired, caller)
}

// MapAudience implements AudienceMapper.
func (m *metered) MapAudience(ctx context.Context, desired Desired, caller Caller) (_ AudienceReport, err error) {
	defer m.done("map_audience", m.now(), &err)
	return m.next.MapAudience(ctx, desired, caller)
}

// Rotate implements Rotator.
func (m *metered) Rotate(ctx context.Context, desired Desired, caller Caller) (_ Rotation, err error) {
	defer m.done("rotate", m.now(), &err)
	return m.next.Rotate(ctx, desired, caller)
}

// Delete implements Registrar.
func (m *metered) Delete(ctx context.Context, desired Desired, caller Caller) (err error) {
	defer m.done("delete", m.now(), &err)
	return m.next.Delete(ctx, desired, caller)
}

// outcomeOf is the label: bounded, whatever the server says.
func outcomeOf(err error) string {
	kind, ok := KindOf(err)
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case !ok:
		return "fenced"
	}
	switch kind {
	case KindServer:
		return "server_error"
	case KindUnreachable:
		return "unreachable"
	case KindCredentials:
		return "credentials"
	case KindForbidden:
		return "forbidden"
	case KindNotFound:
		return "not_found"
	case KindTokenClientNotFound:
		return "token_client_not_found"
	case KindTooManyAudiences:
		return "too_many_audiences"
	case KindConflict:
		return "conflict"
	case KindInvalid:
		return "invalid"
	case KindRateLimited:
		return "rate_limited"
	case KindAmbiguous:
		return "ambiguous"
	case KindAccessLost:
		return "access_lost"
	case KindUnsupported:
		return "unsupported"
	case KindNotAdoptable:
		return "not_adoptable"
	default:
		return "server_error"
	}
}
