// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

const (
	// warm is how often each is to allow before the token is revoked, and cold how often it
	// is to refuse behind the bound.
	warm, cold = 20, 5
	// hot is the pause between a caller's questions.
	hot = 20 * time.Millisecond
)

// watch is one caller that asks about one token for one policy, again and again.
type watch struct {
	*caller

	policy tested

	mu     sync.Mutex
	counts [broken + 1]int
	// last is when the question was sent that was allowed last: it was decided later.
	last time.Time
	// refused counts refusals of questions that were sent after the bound, as want says.
	refused int
	want    verdict
	// bound is when the last allow may have been decided; zero while that is unknown.
	bound time.Time
	err   error
}

func (w *watch) run(ctx context.Context, token string) {
	for ctx.Err() == nil {
		sent := time.Now()
		v, err := w.ask(context.WithoutCancel(ctx), w.policy, token)
		w.mu.Lock()
		w.counts[v]++
		switch {
		case v == allowed:
			w.last = sent
		case v == w.want && !w.bound.IsZero() && sent.After(w.bound):
			w.refused++
		case err != nil && w.err == nil:
			w.err = err
		}
		w.mu.Unlock()
		pause(ctx, hot)
	}
}

// pause leaves the machine to others for a moment.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// TestRevocationBound, for CVE-2026-3583 and CVE-2026-68481: every allow decided at a time t
// rests on a question that was sent after t − maxAge. So, T being when the server answers
// inactive, no replica allows the token from T + maxAge on, over no surface. The token is
// asked about all the time, so that its facts are in every cache and are refreshed there.
func TestRevocationBound(t *testing.T) {
	w := stand(t)
	promised(t, w)
	cases := map[string]struct {
		reason string
		faults []fault.Fault
		want   verdict
	}{
		"reached": {"a refresh ahead is told", nil, denied},
		"cut off": {
			"nobody tells the replicas: what they knew grows old", []fault.Fault{{Match: fault.Matching(http.MethodPost, "/introspect"), Drop: true}}, undecided,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			bounded(t, w, c.faults, c.want)
		})
	}
}

// bounded measures the bound; the faults begin before the token is revoked, and want is what
// follows the bound.
func bounded(t *testing.T, w *world, faults []fault.Fault, want verdict) {
	t.Helper()
	credential := w.registered(t, "shop.orders")
	alice := w.signIn(t, "web", apiScope)
	var watches []*watch
	for _, c := range w.callersOf(t) {
		for _, p := range policies() {
			watches = append(watches, &watch{caller: c, policy: p, want: want})
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, watched := range watches {
		running.Go(func() { watched.run(ctx, alice.Access) })
	}
	all(t, watches, "they allow", func(w *watch) bool { return w.counts[allowed] >= warm })

	for _, f := range faults {
		defer w.proxy.Inject(f)()
	}
	w.signOut(t, alice)
	revoked := w.inactiveSince(t, credential, alice.Access)
	for _, watched := range watches {
		watched.mu.Lock()
		watched.bound = revoked.Add(watched.policy.maxAge)
		watched.mu.Unlock()
	}
	all(t, watches, "they refuse behind the bound", func(w *watch) bool { return w.refused >= cold })
	stop()
	running.Wait()
	for _, watched := range watches {
		watched.judge(t, revoked)
	}
}

// judge fails where a question that was sent behind the bound was allowed.
func (w *watch) judge(t *testing.T, revoked time.Time) {
	t.Helper()
	t.Logf("%-45s %-10s last allow %6s after T, of %s; %d allowed, %d denied, %d undecided",
		w.caller, w.policy.name, w.last.Sub(revoked).Round(time.Millisecond), w.policy.maxAge, w.counts[allowed], w.counts[denied], w.counts[undecided])
	if late := w.last.Sub(w.bound); late >= 0 {
		t.Errorf("%s, policy %s: it allowed what was asked %s after T + maxAge", w.caller, w.policy.name, late)
	}
	if w.counts[broken] > 0 || w.counts[unreached] > 0 {
		t.Errorf("%s, policy %s: %d questions broke, %d did not arrive: %v", w.caller, w.policy.name, w.counts[broken], w.counts[unreached], w.err)
	}
}

// promised: the status of each policy says the bound that is measured here.
func promised(t *testing.T, w *world) {
	t.Helper()
	for _, p := range policies() {
		bounds, forms := w.revocation(t, p.name), []string{" JWT"}
		if p.opaque == "Accepted" {
			forms = append(forms, " Opaque")
		}
		if len(bounds) != 3*len(forms) {
			t.Errorf("policy %s promises %v", p.name, bounds)
		}
		for _, form := range forms {
			bound := p.maxAge.String()
			if got := bounds["Gateways"+form]; got != bound {
				t.Errorf("policy %s promises %q at gateways, want %q", p.name, got, bound)
			}
			if got := bounds["Introspection"+form]; !strings.HasPrefix(got, bound+"; exp for callers that cache") {
				t.Errorf("policy %s promises %q at introspection, want %q and what callers add", p.name, got, bound)
			}
			if got := bounds["TokenReview"+form]; !strings.HasPrefix(got, bound+" + ") || !strings.Contains(got, "the API server's cache") {
				t.Errorf("policy %s promises %q at TokenReview, want %q and the API server's cache", p.name, got, bound)
			}
		}
	}
}

// all waits until it holds for each.
func all(t *testing.T, watches []*watch, what string, holds func(*watch) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	for _, w := range watches {
		for {
			w.mu.Lock()
			done, counts, err := holds(w), w.counts, w.err
			w.mu.Unlock()
			if done {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: not so the %s for policy %s: %v (allowed, denied, undecided, unreached, broken), %v", what, w.caller, w.policy.name, counts, err)
			}
			pause(ctx, pollPause)
		}
	}
}
