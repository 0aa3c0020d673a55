// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/prometheus/client_golang/prometheus"

// keysAge tells how old the keys are that each server's tokens are verified with.
type keysAge struct {
	desc    *prometheus.Desc
	current func() *snapshot
}

func newKeysAge(current func() *snapshot) *keysAge {
	return &keysAge{current: current, desc: prometheus.NewDesc("introspection_webhook_keys_age_seconds",
		"Age of the keys that an authorization server's tokens are verified with.", []string{"server"}, nil)}
}

// Describe implements prometheus.Collector.
func (k *keysAge) Describe(descs chan<- *prometheus.Desc) { descs <- k.desc }

// Collect implements prometheus.Collector.
func (k *keysAge) Collect(metrics chan<- prometheus.Metric) {
	s := k.current()
	if s == nil {
		return
	}
	for _, l := range s.links {
		if l.keys == nil {
			continue
		}
		if age, ok := l.keys.KeysAge(); ok {
			metrics <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, age.Seconds(), l.name)
		}
	}
}
