// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// servingStale is a policy that serves what it knew for two minutes more.
func servingStale(tb testing.TB, name string, maxAge time.Duration) PolicyState {
	tb.Helper()
	return policyWith(tb, name, "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Freshness.MaxAge = &metav1.Duration{Duration: maxAge}
		spec.Outage.Mode = v1alpha1.OutageServeStale
	})
}

// An outage is bridged by what was known good: not for longer than was said, not past exp,
// and by nothing that is no outage.
func TestServeStale(t *testing.T) {
	// step is a decision at a time, after the server began to say something else.
	type step struct {
		at   time.Duration
		says error
		// bad and well are answers.
		bad, well bool
		policy    string
		want      string
	}
	const s, m = time.Second, time.Minute
	cases := map[string]struct {
		reason string
		exp    time.Duration
		steps  []step
	}{
		"InTime":         {"to maxAge + staleFor, and no further", time.Hour, []step{{at: 31 * s, says: errUnavailable, want: "Allow"}, {at: 150 * s, want: "Allow"}, {at: 150*s + 1, want: "server_unavailable"}}},
		"TimedOut":       {"no answer is an outage", time.Hour, []step{{at: 31 * s, says: errTimeout, want: "Allow"}}},
		"HTML":           {"a proxy's page is no answer", time.Hour, []step{{at: 31 * s, says: errHTML, want: "Allow"}}},
		"BadRequest":     {"Keycloak with a dead database answers 400", time.Hour, []step{{at: 31 * s, says: errBadRequest, want: "Allow"}}},
		"Credentials":    {"a server that refuses us speaks", time.Hour, []step{{at: 31 * s, says: introspect.ErrCredentialsRefused, want: "credentials_refused"}}},
		"Unsupported":    {"a server that does not know such tokens speaks", time.Hour, []step{{at: 31 * s, says: introspect.ErrUnsupportedToken, want: "unsupported_token"}}},
		"NeverPastExp":   {"exp is exp", m, []step{{at: m - 1, says: errUnavailable, want: "Allow"}, {at: m, want: "server_unavailable"}}},
		"InactiveWins":   {"the server came back for a moment and said no", time.Hour, []step{{at: 31 * s, says: errUnavailable, want: "Allow"}, {at: 40 * s, bad: true, want: "inactive"}, {at: 42 * s, says: errUnavailable, want: "inactive"}, {at: 50 * s, want: "server_unavailable"}}},
		"InactiveBySide": {"another policy learnt it", time.Hour, []step{{at: 10 * s, bad: true, policy: "zero", want: "inactive"}, {at: 31 * s, says: errUnavailable, want: "server_unavailable"}}},
		"Recovered":      {"and is fresh again", time.Hour, []step{{at: 31 * s, says: errUnavailable, want: "Allow"}, {at: 149 * s, well: true, want: "Allow"}, {at: 299 * s, says: errUnavailable, want: "Allow"}, {at: 299*s + 1, want: "server_unavailable"}}},
		"MaxAgeZero":     {"from the question on", time.Hour, []step{{at: s, says: errUnavailable, policy: "zero", want: "Allow"}, {at: 2 * m, policy: "zero", want: "Allow"}, {at: 2*m + 1, policy: "zero", want: "server_unavailable"}}},
		"NotAsked":       {"a policy that wants 503 gets it, of the same facts", time.Hour, []step{{at: 31 * s, says: errUnavailable, want: "Allow"}, {at: 32 * s, policy: "deny", want: "server_unavailable"}}},
		"StricterStill":  {"what is stale is judged as all else", time.Hour, []step{{at: 31 * s, says: errUnavailable, policy: "strict", want: "insufficient_scope"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, start := newUpstream(), time.Now()
				f := facts()
				f.ExpiresAt = start.Add(tc.exp)
				u.says(f, nil)
				strict := policyWith(t, "strict", "orders", func(spec *v1alpha1.TokenPolicySpec) {
					spec.Outage.Mode = v1alpha1.OutageServeStale
					spec.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: []string{"orders.write"}}
				})
				e, _ := bubble(t, u, nil, servingStale(t, "orders", 30*s), servingStale(t, "zero", 0), policyState(t, "deny", "orders", 30*s), strict)
				want(t, "known good", decide(t, e, "orders", good()), "Allow")
				for _, step := range tc.steps {
					time.Sleep(step.at - time.Since(start))
					switch {
					case step.says != nil:
						u.says(nil, step.says)
					case step.bad:
						u.up(good())
					case step.well:
						u.says(f, nil)
					}
					policy := "orders"
					if step.policy != "" {
						policy = step.policy
					}
					want(t, tc.reason+", after "+step.at.String(), decide(t, e, policy, good()), step.want)
				}
				e.Close()
			})
		})
	}
}

// Unknown tokens are nobody's old friends: an outage lets none in.
func TestStaleIsForKnownTokensOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, _ := bubble(t, u, nil, servingStale(t, "orders", 30*time.Second))
		want(t, "known", decide(t, e, "orders", good()), "Allow")
		time.Sleep(31 * time.Second)
		u.says(nil, errUnavailable)
		want(t, "known", decide(t, e, "orders", good()), "Allow")
		want(t, "unknown", decide(t, e, "orders", numbered(2)), "server_unavailable")
		e.Close()
	})
}

// Our own limit is no outage, nor is a caller who did not wait.
func TestStaleNotForOurOwnLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, _ := bubble(t, u, nil, servingStale(t, "orders", 30*time.Second))
		want(t, "known", decide(t, e, "orders", good()), "Allow")
		time.Sleep(31 * time.Second)
		u.says(nil, errUnavailable)
		want(t, "the server failed since", decide(t, e, "orders", good()), "Allow")
		l := e.current.Load().links["s1"]
		for range cap(l.slots) {
			l.slots <- struct{}{}
		}
		want(t, "all turns are taken", decide(t, e, "orders", good()), "overloaded")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d, err := e.Decide(ctx, token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: good()})
		if got := outcome(d, err); got == "Allow" {
			t.Errorf("a caller who went away: got %s", got)
		}
		e.Close()
	})
}

// With the breaker open nobody is asked, and what is known good is served; but only once the
// server failed after the facts had grown too old.
func TestStaleBehindTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		e, registry := bubble(t, u, nil, servingStale(t, "orders", 30*time.Second))
		want(t, "known good", decide(t, e, "orders", good()), "Allow")
		time.Sleep(29*time.Second + 500*time.Millisecond)
		u.says(nil, errUnavailable)
		for i := range breakerFailures {
			want(t, "others", decide(t, e, "orders", numbered(i+2)), "server_unavailable")
		}
		before := u.count()
		time.Sleep(600 * time.Millisecond)
		want(t, "no failure is newer than the facts' end", decide(t, e, "orders", good()), "server_unavailable")
		wantAsked(t, "the breaker is open", u, before)
		time.Sleep(500 * time.Millisecond)
		want(t, "the one that is let through fails", decide(t, e, "orders", good()), "Allow")
		want(t, "and the breaker is open again", decide(t, e, "orders", good()), "Allow")
		wantAsked(t, "one was let through", u, before+1)
		if n := gathered(t, registry)["stale_allows_total server=corporate"]; n != 2 {
			t.Errorf("%v were counted as stale, want 2", n)
		}
		e.Close()
	})
}

// Each is in the audit line.
func TestStaleIsAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream()
		var log harness.Log
		e, _ := bubble(t, u, func(o *Options, _ *State) {
			o.Logger, o.SampleAllows = slog.New(slog.NewJSONHandler(&log, nil)), 1
		}, servingStale(t, "orders", 30*time.Second))
		want(t, "known good", decide(t, e, "orders", good()), "Allow")
		time.Sleep(31 * time.Second)
		u.says(nil, errUnavailable)
		want(t, "stale", decide(t, e, "orders", good()), "Allow")
		all := audited(t, &log)
		if len(all) != 2 || all[0]["stale"] != nil || all[1]["stale"] != true || all[1]["ageMilliseconds"] != 31000.0 {
			t.Errorf("audit: %v", all)
		}
		e.Close()
	})
}
