// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestDeadlineTimer is made when somebody waits, and ends with the request.
func TestDeadlineTimer(t *testing.T) {
	now := time.Now()
	d := &deadline{Context: context.Background(), clock: func() time.Time { return now }, end: now.Add(time.Hour)}
	if err := d.Err(); err != nil || d.armed.Load() != nil {
		t.Errorf("nobody waited: %v, %v", err, d.armed.Load())
	}
	derived, cancel := context.WithCancel(d)
	defer cancel()
	d.release()
	<-derived.Done()
	if err := d.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	late := &deadline{Context: context.Background(), clock: func() time.Time { return now }, end: now}
	if err := late.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its time has come: %v", err)
	}
}
