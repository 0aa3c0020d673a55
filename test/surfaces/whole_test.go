// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestWholePlane: what is wrong with the webhook itself is told as such, on every surface.
func TestWholePlane(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*settings)
		want   token.Reason
	}{
		"snapshot too old": {"nobody knows whether the policies still hold", func(s *settings) {
			s.maxSnapshotAge, s.state.TakenAt = time.Hour, time.Now().Add(-2*time.Hour)
		}, token.ReasonSnapshotTooOld},
		"not started": {"no policy was read yet", func(s *settings) { s.unstarted = true }, token.ReasonNotStarted},
		"panic":       {"a fault of ours is no verdict", func(s *settings) { s.around = func(e webhook.Engine) webhook.Engine { return panics{e} } }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			idp := newProvider(t)
			p := simple(t, idp, "/introspect", c.change)
			for i, s := range p.surfaces {
				a := s.must(t, question{token: idp.mint(t, fmt.Sprint(i), nil)})
				if c.want != "" {
					p.check(t, s, &a, s.name+", "+c.reason, "orders", undecided(c.want))
				} else if a.verdict != cannotTell {
					t.Errorf("%s, %s: answered %s", s.name, c.reason, a.verdict)
				}
			}
		})
	}
}

// panics instead of deciding.
type panics struct{ webhook.Engine }

// Decide panics.
func (panics) Decide(context.Context, token.Request) (token.Decision, error) { panic("canary") }

// TestOverload: beyond what may be under way nobody can tell, and what is under way goes on.
func TestOverload(t *testing.T) {
	for i, kind := range []string{facade, "Nginx", "EnvoyGRPC", tokenReview} {
		t.Run(kind, func(t *testing.T) {
			idp := newProvider(t)
			p := simple(t, idp, "/held", func(s *settings) { s.maxConcurrent = 1 })
			s, first := p.named(kind), make(chan answer, 1)
			held, other := idp.mint(t, fmt.Sprint("a", i), nil), idp.mint(t, fmt.Sprint("b", i), nil)
			go func() {
				a, err := s.ask(t.Context(), t, (&question{token: held}).defaults())
				if err != nil {
					a.verdict = err.Error()
				}
				first <- a
			}()
			await(t, "the first question", func() bool { return idp.waiting.Load() == 1 })
			a := s.must(t, question{token: other})
			policy := "orders"
			if kind == "EnvoyGRPC" {
				policy = "" // refused unread
			}
			p.check(t, s, &a, kind, policy, undecided(token.ReasonOverloaded))
			idp.release()
			if a := <-first; a.verdict != allow {
				t.Errorf("what was under way was answered %s", a.verdict)
			}
		})
	}
}

// TestCancelled: a question whose caller hung up is no allow, in the log either (authorino #649).
func TestCancelled(t *testing.T) {
	for _, kind := range append(kinds(), facade, tokenReview) {
		t.Run(kind, func(t *testing.T) {
			idp := newProvider(t)
			p := simple(t, idp, "/held")
			ctx, cancel := context.WithCancel(t.Context())
			minted, done := idp.mint(t, kind, nil), make(chan string, 1)
			go func() {
				a, err := p.named(kind).ask(ctx, t, (&question{token: minted}).defaults())
				if err != nil { // an answer may still meet who hangs up
					a.verdict = cannotTell
				}
				done <- a.verdict
			}()
			await(t, "the question", func() bool { return idp.waiting.Load() == 1 })
			cancel()
			if verdict := <-done; verdict != cannotTell {
				t.Errorf("it was answered %s", verdict)
			}
			await(t, "the audit line", func() bool { return len(p.log.decisions(t)) == 1 })
			idp.release()
			for _, said := range p.log.decisions(t) {
				if said[0].Verdict != "Undecided" {
					t.Errorf("the audit line says %+v", said)
				}
			}
		})
	}
}

// late tells its decision when the request's time is over.
type late struct {
	webhook.Engine

	before, after bool
}

// Decide waits before it asks, or after.
func (l late) Decide(ctx context.Context, req token.Request) (token.Decision, error) {
	if l.before {
		<-ctx.Done()
	}
	d, err := l.Engine.Decide(ctx, req)
	if l.after {
		<-ctx.Done()
	}
	return d, err
}

// TestAuthorino649: a deadline at every stage, on every surface: never an allow, and no word
// against the token.
func TestAuthorino649(t *testing.T) {
	cases := map[string]struct {
		reason, path string
		change       func(*settings)
	}{
		"before the decision": {"the request was over when its turn came", "/introspect", func(s *settings) {
			s.around = func(e webhook.Engine) webhook.Engine { return late{Engine: e, before: true} }
		}},
		"after the decision": {"an allow that comes too late is none", "/introspect", func(s *settings) {
			s.around = func(e webhook.Engine) webhook.Engine { return late{Engine: e, after: true} }
		}},
		"keys": {"the keys do not come", "/introspect", func(s *settings) {
			s.state.Servers[0].JWKSURI = s.state.Servers[0].JWKSURI[:len(s.state.Servers[0].JWKSURI)-len("/keys")] + "/held/keys"
		}},
		"server": {"the answer does not come", "/held", func(*settings) {}},
		"turn":   {"others are before it", "/held", func(s *settings) { s.state.Servers[0].MaxInFlight = 1 }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			idp := newProvider(t)
			p := simple(t, idp, c.path, c.change, func(s *settings) {
				s.requestTimeout = 300 * time.Millisecond
			})
			var asked []string
			results := make(chan answer, len(p.surfaces))
			for i, s := range p.surfaces {
				minted := idp.mint(t, fmt.Sprint(name, i), nil)
				asked = append(asked, s.name)
				go func() {
					a, err := s.ask(t.Context(), t, (&question{token: minted}).defaults())
					if err != nil {
						a.verdict = err.Error()
					}
					a.text = s.name
					results <- a
				}()
			}
			for range asked {
				if a := <-results; a.verdict != cannotTell {
					t.Errorf("%s, %s: answered %s", a.text, c.reason, a.verdict)
				}
			}
		})
	}
}

// named is a surface of the plane.
func (p *plane) named(name string) *surface {
	for _, s := range p.surfaces {
		if s.name == name {
			return s
		}
	}
	return nil
}

// await waits for what is to come.
func await(t *testing.T, what string, came func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !came() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
