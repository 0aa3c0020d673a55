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
	stales    *prometheus.CounterVec
	breakers  *prometheus.GaugeVec
	hits      prometheus.Counter
	misses    prometheus.Counter
	refreshes prometheus.Counter
	// shedBudget counts questions that a namespace had no budget for.
	shedBudget prometheus.Counter
	// labels are those of policies; only Load touches them.
	labels map[token.Ref]string
}

// policyCounters spare the warm path a lookup by label.
type policyCounters struct {
	label string
	// allows are in the order of token.Surfaces.
	surfaces []token.Surface
	allows   []prometheus.Counter
}

// upstreamCounters are a server's.
type upstreamCounters struct {
	active, inactive, refused, unsupported, unavailable, busy, open prometheus.Counter
	seconds                                                         prometheus.Observer
}

func newMetrics(registerer prometheus.Registerer, age func() (time.Duration, bool), cached func() uint64) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_decisions_total",
			Help: "Decisions by surface, policy (the first 500, then other), verdict and reason.",
		}, []string{"surface", "policy", "verdict", "reason"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "introspection_webhook_upstream_requests_total",
			Help: "Questions to authorization servers by outcome; busy ones waited for a turn in vain, open ones met an open breaker, and neither was sent.",
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
	cacheBytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "introspection_webhook_cache_bytes",
		Help: "About how much memory cached facts take.",
	}, func() float64 { return float64(cached()) })
	m.stales = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "introspection_webhook_stale_allows_total",
		Help: "Tokens that were judged by an answer past its freshness, in an outage of their server.",
	}, []string{"server"})
	m.breakers = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "introspection_webhook_breaker_open",
		Help: "Whether an authorization server failed so often that it is spared most questions.",
	}, []string{"server"})
	m.refreshes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "introspection_webhook_refreshes_total",
		Help: "Questions that were asked ahead of need, about tokens in use.",
	})
	m.shedBudget = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "introspection_webhook_misses_shed_total",
		Help: "Questions that were not asked, since their namespace asked about too many bad tokens.",
	})
	for _, c := range []prometheus.Collector{
		m.decisions, m.requests, m.durations, lookups, snapshotAge(age), cacheBytes, m.stales, m.breakers, m.refreshes, m.shedBudget,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func snapshotAge(age func() (time.Duration, bool)) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "introspection_webhook_snapshot_age_seconds",
		Help: "Age of the objects that decisions rest on; NaN before the first.",
	}, func() float64 {
		if d, ok := age(); ok {
			return d.Seconds()
		}
		return math.NaN()
	})
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
	p := &policyCounters{label: label, surfaces: token.Surfaces()}
	for _, s := range p.surfaces {
		p.allows = append(p.allows, m.decisions.WithLabelValues(string(s), label, token.Allow.String(), ""))
	}
	return p
}

func (m *metrics) stale(server string) prometheus.Counter { return m.stales.WithLabelValues(server) }

func (m *metrics) count(req *token.Request, c *course, d *token.Decision, undecided *token.Undecided) {
	if undecided == nil && d.Verdict == token.Allow {
		if i := slices.Index(c.policy.counters.surfaces, req.Surface); i >= 0 {
			c.policy.counters.allows[i].Inc()
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
		active: outcome("active"), inactive: outcome("inactive"), refused: outcome(outcomeRefused), unsupported: outcome(outcomeUnsupported),
		unavailable: outcome(outcomeUnavailable), busy: outcome("busy"), open: outcome("breaker_open"),
		seconds: m.durations.WithLabelValues(name),
	}
}

func (u *upstreamCounters) observe(took time.Duration, facts *token.Facts, err error) {
	u.seconds.Observe(took.Seconds())
	switch outcomeOf(err) {
	case outcomeRefused:
		u.refused.Inc()
	case outcomeUnsupported:
		u.unsupported.Inc()
	case outcomeUnavailable:
		u.unavailable.Inc()
	default:
		if facts != nil && facts.Active {
			u.active.Inc()
		} else {
			u.inactive.Inc()
		}
	}
}

const (
	outcomeAnswered    = "answered"
	outcomeRefused     = "credentials_refused"
	outcomeUnsupported = "unsupported_token"
	outcomeUnavailable = "unavailable"
)

// outcomeOf is a question's, in a word.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeAnswered
	case errors.Is(err, introspect.ErrCredentialsRefused):
		return outcomeRefused
	case errors.Is(err, introspect.ErrUnsupportedToken):
		return outcomeUnsupported
	}
	return outcomeUnavailable
}
