// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Metrics of all surfaces. No label holds a caller.
type Metrics struct {
	answers   *prometheus.CounterVec
	durations *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_answers_total",
			Help: "Answers by surface and HTTP status.",
		}, []string{"surface", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "introspection_webhook_request_duration_seconds",
			Help:    "How long requests took, from their headers to the answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"surface"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_refusals_total",
			Help: "Requests that were refused before their policy was asked, by surface and reason.",
		}, []string{"surface", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.answers, m.durations, m.refusals} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// SurfaceMetrics are those of one surface: they spare each request a lookup by label.
type SurfaceMetrics struct {
	codes    map[int]prometheus.Counter
	other    prometheus.Counter
	duration prometheus.Observer
}

// Surface is the metrics of a surface.
func (m *Metrics) Surface(s token.Surface) *SurfaceMetrics {
	sm := &SurfaceMetrics{
		codes:    map[int]prometheus.Counter{},
		other:    m.answers.WithLabelValues(string(s), "other"),
		duration: m.durations.WithLabelValues(string(s)),
	}
	for _, code := range []int{
		http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable,
	} {
		sm.codes[code] = m.answers.WithLabelValues(string(s), strconv.Itoa(code))
	}
	return sm
}

// Count counts an answer by its HTTP status.
func (sm *SurfaceMetrics) Count(code int) {
	if c, ok := sm.codes[code]; ok {
		c.Inc()
		return
	}
	sm.other.Inc()
}

// Observe takes how long a request took.
func (sm *SurfaceMetrics) Observe(d time.Duration) { sm.duration.Observe(d.Seconds()) }
