// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// maxPolicyLabels bounds the series: policies beyond it are counted as other.
	maxPolicyLabels = 500
	labelOther      = "other"
	labelUnknown    = "unknown"
)

// metrics of the engine. No label holds a token, a subject or a client.
type metrics struct {
	decisions *prometheus.CounterVec
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	hits      prometheus.Counter
	misses    prometheus.Counter
	// labels are those of policies; only Load touches them.
	labels map[token.Ref]string
}

// policyCounters spare the warm path a lookup by label.
type policyCounters struct {
	label                            string
	allowIntrospection, allowGateway prometheus.Counter
}

// upstreamCounters are a server's.
type upstreamCounters struct {
	active, inactive, refused, unsupported, unavailable, busy prometheus.Counter
	seconds                                                   prometheus.Observer
}

func newMetrics(registerer prometheus.Registerer, age func() (time.Duration, bool), cached func() uint64) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_decisions_total",
			Help: "Decisions by surface, policy (the first 500, then other), verdict and reason.",
		}, []string{"surface", "policy", "verdict", "reason"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_upstream_requests_total",
			Help: "Questions to authorization servers by outcome; busy ones waited for their turn and were never sent.",
		}, []string{"server", "outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "introspection_webhook_upstream_duration_seconds",
			Help:    "How long authorization servers took to answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"server"}),
		labels: map[token.Ref]string{},
	}
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "introspection_webhook_cache_lookups_total",
		Help: "Lookups of facts: a hit was fresh enough for its policy, a miss asked the server or joined a question under way.",
	}, []string{"result"})
	m.hits, m.misses = lookups.WithLabelValues("hit"), lookups.WithLabelValues("miss")
	snapshotAge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "introspection_webhook_snapshot_age_seconds",
		Help: "Age of the objects that decisions rest on; NaN before the first.",
	}, func() float64 {
		if d, ok := age(); ok {
			return d.Seconds()
		}
		return math.NaN()
	})
	cacheBytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "introspection_webhook_cache_bytes",
		Help: "About how much memory cached facts take.",
	}, func() float64 { return float64(cached()) })
	for _, c := range []prometheus.Collector{m.decisions, m.requests, m.durations, lookups, snapshotAge, cacheBytes} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// policyLabels gives each policy its label. One that has a label of its own keeps it;
// a policy that is gone gives it back, and its series go.
func (m *metrics) policyLabels(policies []PolicyState) map[token.Ref]string {
	refs := make([]token.Ref, 0, len(policies))
	present := make(map[token.Ref]bool, len(policies))
	for i := range policies {
		refs = append(refs, policies[i].Ref)
		present[policies[i].Ref] = true
	}
	for ref, label := range m.labels {
		if !present[ref] {
			delete(m.labels, ref)
			m.decisions.DeletePartialMatch(prometheus.Labels{"policy": label})
		}
	}
	slices.SortFunc(refs, func(a, b token.Ref) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	labels := make(map[token.Ref]string, len(refs))
	for _, ref := range refs {
		if _, ok := m.labels[ref]; !ok && len(m.labels) < maxPolicyLabels {
			m.labels[ref] = ref.String()
		}
		labels[ref] = cmp.Or(m.labels[ref], labelOther)
	}
	return labels
}

func (m *metrics) forPolicy(label string) *policyCounters {
	allow := func(s token.Surface) prometheus.Counter {
		return m.decisions.WithLabelValues(string(s), label, token.Allow.String(), "")
	}
	return &policyCounters{
		label:              label,
		allowIntrospection: allow(token.SurfaceIntrospection),
		allowGateway:       allow(token.SurfaceForwardAuth),
	}
}

func (m *metrics) count(req *token.Request, c *course, d *token.Decision, undecided *token.Undecided) {
	if undecided == nil && d.Verdict == token.Allow {
		switch req.Surface {
		case token.SurfaceIntrospection:
			c.policy.counters.allowIntrospection.Inc()
		case token.SurfaceForwardAuth:
			c.policy.counters.allowGateway.Inc()
		}
		return
	}
	label, verdict, reason := labelUnknown, d.Verdict.String(), d.Reason
	if c.policy != nil {
		label = c.policy.counters.label
	}
	if undecided != nil {
		verdict, reason = verdictUndecided, undecided.Reason
	}
	m.decisions.WithLabelValues(string(req.Surface), label, verdict, string(reason)).Inc()
}

func (m *metrics) forServer(name string) *upstreamCounters {
	outcome := func(o string) prometheus.Counter { return m.requests.WithLabelValues(name, o) }
	return &upstreamCounters{
		active: outcome("active"), inactive: outcome("inactive"), refused: outcome("credentials_refused"), unsupported: outcome("unsupported_token"),
		unavailable: outcome("unavailable"), busy: outcome("busy"),
		seconds: m.durations.WithLabelValues(name),
	}
}

func (u *upstreamCounters) observe(took time.Duration, facts *token.Facts, err error) {
	u.seconds.Observe(took.Seconds())
	switch {
	case errors.Is(err, introspect.ErrCredentialsRefused):
		u.refused.Inc()
	case errors.Is(err, introspect.ErrUnsupportedToken):
		u.unsupported.Inc()
	case err != nil || facts == nil:
		u.unavailable.Inc()
	case facts.Active:
		u.active.Inc()
	default:
		u.inactive.Inc()
	}
}
