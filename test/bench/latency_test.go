// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const latencySeconds = 5

// BenchmarkLatency measures the p99 of forward-auth on a warm cache at half of the capacity
// that was measured just before, open loop: a request is due at its time, whether those
// before it were answered or not, and waits from then on.
func BenchmarkLatency(b *testing.B) {
	p := setup{}.start(b)
	request := original("")
	ours := p.newLoad(b, p.addresses.ForwardAuth, request)
	bare := p.newLoad(b, p.startBare(b, bareForwardAuth), request)
	for b.Loop() {
		for _, l := range []*load{bare, ours} {
			l.run(b)
			capacity := burst / l.run(b).wall.Seconds()
			name := "p99-us"
			if l == bare {
				name = "bare-p99-us"
			}
			took := l.openLoop(b, capacity/2)
			b.ReportMetric(float64(percentile(took, .99).Microseconds()), name)
		}
	}
}

// openLoop asks at a rate, each connection at its own times.
func (l *load) openLoop(b *testing.B, rate float64) []time.Duration {
	b.Helper()
	var (
		mu    sync.Mutex
		all   []time.Duration
		group sync.WaitGroup
		pause = time.Duration(float64(time.Second) * float64(len(l.conns)) / rate)
		count = int(rate * latencySeconds / float64(len(l.conns)))
		start = time.Now().Add(10 * time.Millisecond)
	)
	for i := range l.conns {
		group.Go(func() {
			took := make([]time.Duration, 0, count)
			first := start.Add(pause * time.Duration(i) / time.Duration(len(l.conns)))
			for n := range count {
				due := first.Add(time.Duration(n) * pause)
				time.Sleep(time.Until(due))
				if err := l.ask(i); err != nil {
					b.Error(err)
					return
				}
				took = append(took, time.Since(due))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	group.Wait()
	return all
}

func percentile(values []time.Duration, p float64) time.Duration {
	slices.Sort(values)
	return values[int(float64(len(values)-1)*p)]
}
