// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// controlMetrics are the control plane's own, beside controller-runtime's.
type controlMetrics struct {
	drift     *prometheus.CounterVec
	left      *prometheus.CounterVec
	hints     prometheus.Counter
	orphans   prometheus.Gauge
	sweeps    *prometheus.CounterVec
	rotations *prometheus.CounterVec
	windows   *prometheus.GaugeVec

	proofs             *prometheus.CounterVec
	revocations        *prometheus.HistogramVec
	revocationFailures *prometheus.CounterVec
}

func newControlMetrics(r prometheus.Registerer) (*controlMetrics, error) {
	m := &controlMetrics{
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_drift_repairs_total",
			Help: "What somebody changed and the operator put right, by authorization server and by what it was: registration, audience, secret, record or projection.",
		}, []string{"server", "what"}),
		left: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_drift_left_total",
			Help: "What somebody changed and the operator left as it is, since spec.management is Observe, by authorization server and by what it was: registration, audience or secret.",
		}, []string{"server", "what"}),
		hints: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "introspection_controller_hints_total",
			Help: "Hints of the webhook that a server refused a client's credentials.",
		}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "introspection_controller_orphans",
			Help: "IntrospectionClients that are gone and not cleaned up after: their records wait for them, or the server can't be asked.",
		}),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_sweeps_total",
			Help: "IntrospectionClients that were gone without having been cleaned up after, and are now, by what became of their registrations: deleted or retained.",
		}, []string{"registration"}),
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_rotations_total",
			Help: "Rotations of a client's credentials that were published, by authorization server.",
		}, []string{"server"}),
		windows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "introspection_controller_rotation_window_seconds",
			Help: "How long, in the last rotation without an overlap, the server refused the old credential before the new one was published.",
		}, []string{"server"}),
		proofs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_canary_proofs_total",
			Help: "Proofs of a client's mapping by a live token of the canary, by authorization server and outcome: proven, unproven, unmanaged, unavailable or no_answer.",
		}, []string{"server", "outcome"}),
		revocations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "introspection_controller_revocation_seconds",
			Help:    "How long a token that the canary revoked was still active at introspection, by authorization server.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"server"}),
		revocationFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_revocation_failures_total",
			Help: "Probes that could not measure a revocation, by authorization server and why: unsupported, no_token, inactive_before, no_answer, refused or still_active.",
		}, []string{"server", "reason"}),
	}
	for _, c := range []prometheus.Collector{
		m.drift, m.left, m.hints, m.orphans, m.sweeps, m.rotations, m.windows, m.proofs, m.revocations, m.revocationFailures,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *controlMetrics) proofMade(server, outcome string) {
	m.proofs.WithLabelValues(server, outcome).Inc()
}

func (m *controlMetrics) rotated(server string) { m.rotations.WithLabelValues(server).Inc() }

func (m *controlMetrics) rotationWindow(server string, d time.Duration) {
	m.windows.WithLabelValues(server).Set(d.Seconds())
}

func (m *controlMetrics) driftRepaired(server, what string) {
	m.drift.WithLabelValues(server, what).Inc()
}

func (m *controlMetrics) driftLeft(server, what string) {
	m.left.WithLabelValues(server, what).Inc()
}

func (m *controlMetrics) swept(retained bool) {
	if retained {
		m.sweeps.WithLabelValues("retained").Inc()
		return
	}
	m.sweeps.WithLabelValues("deleted").Inc()
}
