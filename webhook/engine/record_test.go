// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// audited is the log of one decision, without what changes from run to run.
func audited(t *testing.T, l *harness.Log) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if fp, ok := m["token"].(string); !ok || len(fp) != 16 {
			t.Errorf("token: got %v, want a fingerprint", m["token"])
		}
		delete(m, "time")
		delete(m, "token")
		all = append(all, m)
	}
	return all
}

func TestAudit(t *testing.T) {
	s := newIDP(t)
	s.inactive()
	var log harness.Log
	e := newEngine(t, Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))}, one(t, s, time.Hour))
	billing := unsigned(map[string]any{"iss": issuer, "aud": "billing"})
	d, err := e.Decide(t.Context(), token.Request{
		ID: "d1", Surface: token.SurfaceIntrospection, Policy: ref("orders"), Client: ref("orders"), Token: billing,
	})
	if err != nil || strings.Contains(d.Message, "billing") {
		t.Errorf("Decide(...): got %q, %v: what a token says of itself is for the log only", d.Message, err)
	}
	decide(t, e, "missing", billing)
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, claims() })
	decide(t, e, "orders", good())
	got := audited(t, &log)
	if len(got) != 2 {
		t.Fatalf("got %d lines, want a refusal's and an undecided's: %s", len(got), log.String())
	}
	delete(got[0], "message")
	delete(got[1], "message")
	if diff := cmp.Diff([]map[string]any{{
		"level": "INFO", "msg": "decision", "id": "d1", "surface": "introspection", "policy": "shop/orders", "generation": 7.0,
		"client": "shop/orders", "accepted": "orders", "verdict": "Deny", "reason": "inactive", "cached": false, "ageMilliseconds": 0.0,
		"hint": "not active for shop.orders; its aud is billing (not verified)",
	}, {
		"level": "INFO", "msg": "decision", "id": "d1", "surface": "forward-auth", "policy": "shop/missing",
		"gateway": "edge", "verdict": "Undecided", "reason": "no_policy",
	}}, got); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	for _, secret := range []string{billing.Reveal(), good().Reveal(), "secret"} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log holds a token or a secret")
		}
	}
}

func TestAuditSamplesAllows(t *testing.T) {
	var log harness.Log
	e := newEngine(t, Options{Logger: slog.New(slog.NewJSONHandler(&log, nil)), SampleAllows: 3}, one(t, newIDP(t), time.Hour))
	for range 7 {
		decide(t, e, "orders", good())
	}
	if got := audited(t, &log); len(got) != 2 || got[0]["verdict"] != "Allow" || got[1]["cached"] != true {
		t.Errorf("seven allows, one in three: got %v", got)
	}
}

// What a token says of itself is cut and escaped: it is a stranger's word in our log.
func TestHintIsBounded(t *testing.T) {
	s := newIDP(t)
	s.inactive()
	var log harness.Log
	e := newEngine(t, Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))}, one(t, s, time.Hour))
	long := strings.Repeat("x", 1500)
	decide(t, e, "orders", unsigned(map[string]any{"iss": issuer, "azp": long, "aud": []string{"a\nb", long, long, long, long, long}}))
	hint, _ := audited(t, &log)[0]["hint"].(string)
	if len(hint) > 600 || strings.Contains(hint, "\n") || !strings.Contains(hint, "its azp is xxx") {
		t.Errorf("hint: got %d bytes: %q", len(hint), hint)
	}
	decide(t, e, "orders", unsigned(map[string]any{"iss": "https://evil.example.com"}))
	hint, _ = audited(t, &log)[1]["hint"].(string)
	want(t, "another issuer", hint, "not of "+issuer+"; its iss is https://evil.example.com, its aud is missing (not verified)")
}

func TestMetrics(t *testing.T) {
	s, registry := newIDP(t), prometheus.NewRegistry()
	c := newClock()
	state := one(t, s, time.Hour)
	state.TakenAt = c.Now().Add(-time.Minute)
	e := newEngine(t, Options{Clock: c.Now, Registerer: registry}, state)
	decide(t, e, "orders", good())
	decide(t, e, "orders", good())
	decide(t, e, "missing", good())
	s.inactive()
	decide(t, e, "orders", token.New(good().Reveal()+"x"))
	s.answers(unsupportedTokenType)
	decide(t, e, "orders", token.New(good().Reveal()+"y"))
	if diff := cmp.Diff(map[string]float64{
		"cache_lookups_total result=hit":                                                 1,
		"cache_lookups_total result=miss":                                                3,
		"decisions_total policy=shop/orders reason= surface=forward-auth verdict=Allow":  2,
		"decisions_total policy=shop/orders reason= surface=introspection verdict=Allow": 0,
		"decisions_total policy=shop/orders reason= surface=ext-authz verdict=Allow":     0,
		"decisions_total policy=shop/orders reason= surface=token-review verdict=Allow":  0,
		"misses_shed_total": 0,
		"refreshes_total":   0,
		"upstream_requests_total outcome=breaker_open server=corporate-s1":                              0,
		"decisions_total policy=shop/orders reason=inactive surface=forward-auth verdict=Deny":          1,
		"decisions_total policy=shop/orders reason=unsupported_token surface=forward-auth verdict=Deny": 1,
		"decisions_total policy=unknown reason=no_policy surface=forward-auth verdict=Undecided":        1,
		"snapshot_age_seconds": 60,
		"upstream_requests_total outcome=active server=corporate-s1":              1,
		"upstream_requests_total outcome=busy server=corporate-s1":                0,
		"upstream_requests_total outcome=credentials_refused server=corporate-s1": 0,
		"upstream_requests_total outcome=inactive server=corporate-s1":            1,
		"upstream_requests_total outcome=unavailable server=corporate-s1":         0,
		"upstream_requests_total outcome=unsupported_token server=corporate-s1":   1,
	}, gathered(t, registry)); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	e.Load(State{TakenAt: c.Now()})
	for series := range gathered(t, registry) {
		if strings.Contains(series, "shop/orders") {
			t.Errorf("the policy is gone, and its series %q is not", series)
		}
	}
}

// gathered are the counters and the snapshot's age, by name and labels.
func gathered(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		name := strings.TrimPrefix(f.GetName(), "introspection_webhook_")
		if f.GetName() == name {
			t.Errorf("%s is not introspection_webhook_…", name)
		}
		for _, m := range f.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			if m.GetCounter() != nil {
				all[key] = m.GetCounter().GetValue()
			} else if name == "snapshot_age_seconds" {
				all[key] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

func TestPolicyLabelsAreBounded(t *testing.T) {
	e := newEngine(t, Options{}, State{})
	states := make([]PolicyState, 0, maxPolicyLabels+1)
	for i := range maxPolicyLabels + 1 {
		states = append(states, PolicyState{Ref: token.Ref{Namespace: "n", Name: string(rune('a'+i/26)) + string(rune('a'+i%26))}})
	}
	last := states[maxPolicyLabels].Ref
	want(t, "the 501st", e.metrics.policyLabels(states)[last], labelOther)
	want(t, "when one is gone it gets a label", e.metrics.policyLabels(states[1:])[last], last.String())
	want(t, "and keeps it", e.metrics.policyLabels(states)[last], last.String())
	want(t, "the one that came back has none", e.metrics.policyLabels(states)[states[0].Ref], labelOther)
}

// A refusal of all credentials is told once a minute and client, and never waits.
func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			return nil, introspect.ErrCredentialsRefused
		}, policyState(t, "orders", "orders", time.Minute))
		e := newEngine(t, Options{Clock: time.Now, Dial: dial, Hints: func(ctx context.Context, c token.Ref, reason string) {
			told = append(told, c.String()+" "+reason)
			<-ctx.Done() // an API server that does not answer
		}}, state)
		for range 10 {
			want(t, "refused", decide(t, e, "orders", good()), "credentials_refused")
		}
		time.Sleep(hintInterval - 1)
		decide(t, e, "orders", good())
		synctest.Wait()
		if diff := cmp.Diff([]string{"shop/orders CredentialsRefused"}, told); diff != "" {
			t.Errorf("within a minute: -want +got: %s", diff)
		}
		time.Sleep(time.Nanosecond)
		decide(t, e, "orders", good())
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("after a minute: got %v, want it said again", told)
		}
		time.Sleep(hintLimit)
		synctest.Wait()
		if n := len(e.hints.slots); n != 0 {
			t.Errorf("%d hints never ended", n)
		}
		e.Close()
	})
}

func TestAuthenticate(t *testing.T) {
	c := newClock()
	secret := func(s string, notAfter time.Time) FacadeSecret {
		return FacadeSecret{SHA256: sha256.Sum256([]byte(s)), NotAfter: notAfter}
	}
	client := func(name, id string, secrets ...FacadeSecret) ClientState {
		s := clientState(name, "s1")
		s.ClientID, s.FacadeSecrets = id, secrets
		return s
	}
	state := State{
		Policies: []PolicyState{policyState(t, "orders", "orders", 0), policyState(t, "twin", "twin", 0)},
		Clients: []ClientState{
			client("orders", "id", secret("current", time.Time{}), secret("previous", c.Now().Add(time.Hour)), secret("ended", c.Now())),
			client("twin", "id", secret("current", time.Time{}), secret("twins", time.Time{})),
			client("empty", "empty", secret("", time.Time{}), FacadeSecret{}),
		},
	}
	cases := map[string]struct {
		reason     string
		policy     string
		id, secret string
		want       token.Ref
	}{
		"Current":      {"the secret of its Secret", "orders", "id", "current", ref("orders")},
		"Previous":     {"in an overlap both work", "orders", "id", "previous", ref("orders")},
		"Ended":        {"an overlap has a hard end", "orders", "id", "ended", token.Ref{}},
		"Wrong":        {"a guess", "orders", "id", "guess", token.Ref{}},
		"Empty":        {"no secret is no secret", "orders", "empty", "", token.Ref{}},
		"UnknownID":    {"no such client", "orders", "none", "current", token.Ref{}},
		"TwinOfPolicy": {"ids are unique at one server only: the policy's client is preferred", "twin", "id", "current", ref("twin")},
		"OtherTwin":    {"whoever it is may be told what to do", "orders", "id", "twins", ref("twin")},
		"NoPolicy":     {"a caller is who he is whatever he asks", "missing", "id", "current", ref("orders")},
	}
	e := newEngine(t, Options{Clock: c.Now}, state)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := e.Authenticate(t.Context(), ref(tc.policy), tc.id, tc.secret)
			if got != tc.want || ok != (tc.want != token.Ref{}) {
				t.Errorf("%s: Authenticate(...): got %v, %t, want %v", tc.reason, got, ok, tc.want)
			}
		})
	}
	c.Advance(time.Hour)
	if _, ok := e.Authenticate(t.Context(), ref("orders"), "id", "previous"); ok {
		t.Error("an ended overlap: the previous secret still works")
	}
}
