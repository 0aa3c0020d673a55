// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"
	"time"
)

const (
	// neededCalls are those of the Admin API that one client needs: see BenchmarkBurst.
	neededCalls = 4
	// steadyRate is that of 10,000 clients at one look in ten minutes each.
	steadyRate = 10_000.0 / 600
	// scaledRate is how many looks a second are made to find out what one costs.
	scaledRate = 250
)

// BenchmarkBurst applies 10,000 clients (BENCH_CLIENTS) and waits until all are Ready, at a
// Keycloak at the level of its protocols that answers in 5 ms and a limiter of 200 requests a
// second. of-limit is the rate of the calls that are needed as a part of the limiter's: to reach
// 0.90.
//
// One client needs four calls of the Admin API: look it up, create it, create its client scope
// with the mapper, attach the scope to the token client. The first can't be saved, since a creation
// that is refused does not say whose the client is; the server has no call that does two of the
// others at once. The token client's id is looked up once in ten seconds. One introspection proves
// the credential; it is no call of the Admin API and not under the limiter.
func BenchmarkBurst(b *testing.B) {
	for b.Loop() {
		f := newFleet(b, fleetSize(b))
		o := f.startOperator(b)
		start := time.Now()
		f.apply(b)
		f.ready(b)
		took := time.Since(start)
		n := float64(f.size)
		b.ReportMetric(took.Seconds(), "s-to-Ready")
		b.ReportMetric(float64(f.admin.Load())/n, "admin-calls/client")
		b.ReportMetric(float64(f.writes.Load())/n, "admin-writes/client")
		b.ReportMetric(float64(f.asked.Load())/n, "introspections/client")
		b.ReportMetric(o.kubeWrites(b)/n, "kube-writes/client")
		b.ReportMetric(o.looks(b)/n, "looks/client")
		b.ReportMetric(o.cpu(b).Seconds()*1000/n, "cpu-ms/client")
		b.ReportMetric(neededCalls*n/took.Seconds()/fleetRate, "of-limit")
	}
}

// BenchmarkRestart starts the process anew beside 10,000 clients (BENCH_CLIENTS) that are Ready.
// kube-writes and admin-writes must be 0, peak-MiB below 250.
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		f := newFleet(b, fleetSize(b))
		o := f.startOperator(b)
		f.apply(b)
		f.ready(b)
		o.quiet(b, f.size)
		o.stop(b)
		o = f.startOperator(b) // what a client shows of its server is seen when it is looked at again
		o.quiet(b, f.size)
		o.stop(b)
		admin, writes, asked := f.admin.Load(), f.writes.Load(), f.asked.Load()
		start := time.Now()
		o = f.startOperator(b)
		o.quiet(b, f.size)
		b.ReportMetric(time.Since(start).Seconds(), "s-to-quiet")
		b.ReportMetric(o.kubeWrites(b), "kube-writes")
		b.ReportMetric(float64(f.writes.Load()-writes), "admin-writes")
		b.ReportMetric(float64(f.admin.Load()-admin), "admin-reads")
		b.ReportMetric(float64(f.asked.Load()-asked), "introspections")
		b.ReportMetric(o.memory(b, "VmRSS"), "MiB")
		b.ReportMetric(o.memory(b, "VmHWM"), "peak-MiB")
		b.ReportMetric(o.cpu(b).Seconds(), "cpu-s")
	}
}

// BenchmarkSteadyDrift looks at 100 and at 10,000 clients (BENCH_CLIENTS) round after round, more
// often than once in ten minutes, so that the time of the process says what one look costs:
// core-share is that of 16.7 looks a second and must stay below 0.05, and ratio the cost of one
// look among many to that among 100.
func BenchmarkSteadyDrift(b *testing.B) {
	few := 0.0
	for _, n := range []int{100, fleetSize(b)} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				cost := steadyCost(b, n)
				if n == 100 {
					few = cost
				}
				b.ReportMetric(cost*1000, "cpu-ms/look")
				b.ReportMetric(cost*steadyRate, "core-share")
				if few > 0 {
					b.ReportMetric(cost/few, "ratio")
				}
			}
		})
	}
}

// steadyCost is the processor time of one look, in seconds.
func steadyCost(b *testing.B, n int) float64 {
	b.Helper()
	f := newFleet(b, n)
	interval := time.Duration(float64(n) / scaledRate * float64(time.Second))
	o := f.startOperator(b)
	f.apply(b)
	f.ready(b)
	o.stop(b)
	o = f.startOperator(b, "--drift-interval="+interval.String())
	time.Sleep(10*time.Second + 2*interval) // all are in step with the interval
	admin, asked, looks, writes, cpu := f.admin.Load(), f.asked.Load(), o.looks(b), o.kubeWrites(b), o.cpu(b)
	time.Sleep(max(3*interval, 20*time.Second))
	made := o.looks(b) - looks
	if made < float64(n) {
		b.Fatalf("%.0f looks at %d clients in three rounds", made, n)
	}
	b.ReportMetric(made, "looks")
	b.ReportMetric(float64(f.admin.Load()-admin)/made, "admin-reads/look")
	b.ReportMetric(float64(f.asked.Load()-asked)/made, "introspections/look")
	b.ReportMetric(o.kubeWrites(b)-writes, "kube-writes")
	return (o.cpu(b) - cpu).Seconds() / made
}
