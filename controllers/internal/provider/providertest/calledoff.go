// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// hang is how long a call that was called off may take to come back; far more than it needs.
const hang = 20 * time.Second

// testCalledOff ends the context during each call of the flow: before the server has it, and after.
func (b *bench) testCalledOff(f flow) {
	for name, done := range map[string]bool{"before work": false, "after work": true} {
		if b.h.Slow && !done {
			continue // the harder of the two is tried
		}
		b.sub(name, func(b *bench) {
			for n := 0; b.callOff(f, n, done); n++ {
				if n == maxCalls || b.t.Failed() {
					b.t.Fatalf("that was call %d of it", n)
				}
			}
		})
	}
}

func (b *bench) callOff(f flow, n int, done bool) bool {
	b.t.Helper()
	b.hush.forget()
	c := f.prepare(b)
	defer b.clean(c)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	x := &troubled{suite: b.suite, nth: n, trouble: trouble{done: done, certain: !done, unsent: !done}}
	x.instead = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if done {
			if resp, err := next.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
		}
		cancel()
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	s := b.open(b.t, nil, x.around)
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx, s, c) }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(hang):
		b.t.Fatalf("call %d: called off, and it goes on", n)
	}
	err = b.checked(b.t, c, err)
	if x.hit && !errors.Is(err, context.Canceled) {
		b.t.Errorf("call %d: %v, want context.Canceled in it", n, err)
	}
	b.goOn(f, c, x, err)
	return x.hit
}
