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
	rotations *prometheus.CounterVec
	windows   *prometheus.GaugeVec
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
		rotations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_rotations_total",
			Help: "Rotations of a client's credentials that were published, by authorization server.",
		}, []string{"server"}),
		windows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "introspection_controller_rotation_window_seconds",
			Help: "How long, in the last rotation without an overlap, the server refused the old credential before the new one was published.",
		}, []string{"server"}),
	}
	for _, c := range []prometheus.Collector{m.drift, m.left, m.hints, m.rotations, m.windows} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
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
