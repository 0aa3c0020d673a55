// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/engine"
)

const (
	manyTokens = 1_000_000
	cacheBytes = 256 << 20
)

// BenchmarkMemory asks about 1,000,000 distinct tokens, with a cache of 256 MiB. bound-share
// is the largest live heap that was seen beyond what there was before, as a part of it: it
// must stay below 1.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := liveHeap()
		e, err := engine.New(engine.Options{
			Clock: time.Now, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), CacheBytes: cacheBytes,
			Dial: func(engine.ServerState) (engine.Asker, error) { return answering(goodFacts), nil },
		})
		if err != nil {
			b.Fatal(err)
		}
		e.Load(setup{}.state(b))
		most := uint64(0)
		const steps = 10
		for step := range steps {
			var group sync.WaitGroup
			for worker := range 4 {
				group.Go(func() {
					for i := range manyTokens / steps / 4 {
						if err := decide(e, accessToken(fmt.Sprintf("%d-%d-%d", step, worker, i))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
			most = max(most, liveHeap()-before)
		}
		e.Close()
		b.ReportMetric(float64(most)/cacheBytes, "bound-share")
		b.ReportMetric(float64(most>>20), "MiB")
	}
}

// liveHeap is what a collection leaves.
func liveHeap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
