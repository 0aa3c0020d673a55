// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package harness is what tests of running servers share. It knows no part of the product,
// and starts nothing of its own: package env does that.
package harness

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Log takes what goroutines write. The zero Log is empty.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pollPause is between two looks of Eventually.
const pollPause = 20 * time.Millisecond

// Eventually waits until a state is reached, for so long at most, and fails the test with what
// was missing last.
func Eventually(tb testing.TB, patience time.Duration, what string, reached func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	var missing error
	for {
		err := reached(ctx)
		if err == nil {
			return
		}
		if missing == nil || ctx.Err() == nil { // a look that was cut short says nothing
			missing = err
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s: still not after %s: %v", what, patience, missing)
		case <-tick.C:
		}
	}
}

// runLimit is how long a server may take to end: longer than it drains.
const runLimit = 20 * time.Second

// Run runs a server until the test ends, or until stop. It fails the test if the server
// fails or does not end.
func Run(tb testing.TB, run func(context.Context) error) (stop context.CancelFunc) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	tb.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("running: %v", err)
			}
		case <-time.After(runLimit):
			tb.Error("it does not end")
		}
	})
	return stop
}

// Counted are the values of a counter that are not 0, by the values of one of its labels.
func Counted(tb testing.TB, from prometheus.Gatherer, name, label string) map[string]float64 {
	tb.Helper()
	families, err := from.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, l := range metric.GetLabel() {
				if n := metric.GetCounter().GetValue(); l.GetName() == label && n > 0 {
					counted[l.GetValue()] += n
				}
			}
		}
	}
	return counted
}
