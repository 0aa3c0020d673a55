// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import "github.com/prometheus/client_golang/prometheus"

// controlMetrics are the control plane's own, beside controller-runtime's.
type controlMetrics struct {
	drift *prometheus.CounterVec
	hints prometheus.Counter
}

func newControlMetrics(r prometheus.Registerer) (*controlMetrics, error) {
	m := &controlMetrics{
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_controller_drift_repairs_total",
			Help: "What somebody changed and the operator put right, by authorization server and by what it was: registration, audience or secret.",
		}, []string{"server", "what"}),
		hints: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "introspection_controller_hints_total",
			Help: "Hints of the webhook that a server refused a client's credentials.",
		}),
	}
	for _, c := range []prometheus.Collector{m.drift, m.hints} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *controlMetrics) driftRepaired(server, what string) {
	m.drift.WithLabelValues(server, what).Inc()
}
