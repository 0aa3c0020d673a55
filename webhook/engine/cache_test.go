// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// one is a state of one server, client and policy.
func one(t *testing.T, s *idp, maxAge time.Duration, secrets ...string) State {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{"secret"}
	}
	return State{
		Policies: []PolicyState{policyState(t, "orders", "orders", maxAge)},
		Clients:  []ClientState{clientState("orders", "s1", secrets...)},
		Servers:  []ServerState{s.state("s1")},
	}
}

func want(t *testing.T, reason, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", reason, got, want)
	}
}

func wantCalls(t *testing.T, reason string, s *idp, n int) {
	t.Helper()
	if got := s.asked(); got != n {
		t.Errorf("%s: the server was asked %d times, want %d", reason, got, n)
	}
}

// A cache hit skipped the scope check (heimdall #3452 too).
func TestCVE_2021_32701(t *testing.T) {
	s := newIDP(t)
	state := one(t, s, time.Minute)
	state.Policies = append(state.Policies, policyState(t, "strict", "orders", time.Minute, "orders.write"))
	e := newEngine(t, Options{}, state)
	want(t, "policy A", decide(t, e, "orders", good()), "Allow")
	want(t, "the same token, a stricter B, warm", decide(t, e, "strict", good()), "insufficient_scope")
	want(t, "A again", decide(t, e, "orders", good()), "Allow")
	wantCalls(t, "facts are shared, decisions are not", s, 1)
}

// The cache's key lacked the introspection URL.
func TestCVE_2026_33496(t *testing.T) {
	first, two := newIDP(t), newIDP(t)
	two.inactive()
	state := one(t, first, time.Minute)
	second := clientState("second", "s2", "secret")
	second.UID = state.Clients[0].UID
	state.Clients = append(state.Clients, second)
	state.Servers = append(state.Servers, two.state("s2"))
	state.Policies = append(state.Policies, policyState(t, "second", "second", time.Minute))
	e := newEngine(t, Options{}, state)
	want(t, "primed at server 1", decide(t, e, "orders", good()), "Allow")
	want(t, "used at server 2", decide(t, e, "second", good()), "inactive")
	wantCalls(t, "server 2 is asked", two, 1)
}

// Key and single flight lacked the identity that asks.
func TestGHSA_84rm_mhfq_f476(t *testing.T) {
	s := newIDP(t)
	both := make(chan struct{})
	var arrived sync.WaitGroup
	arrived.Add(2)
	go func() { arrived.Wait(); close(both) }()
	s.answers(func(c call) (int, map[string]any) {
		arrived.Done()
		<-both
		return http.StatusOK, map[string]any{"active": c.secret == "secret", "aud": "shop.orders", "exp": time.Now().Add(time.Hour).Unix()}
	})
	state := one(t, s, time.Minute)
	state.Clients = append(state.Clients, clientState("other", "s1", "other-secret"))
	state.Policies = append(state.Policies, policyState(t, "other", "other", time.Minute))
	e := newEngine(t, Options{}, state)
	var wg sync.WaitGroup
	wg.Go(func() { want(t, "client A", decide(t, e, "orders", good()), "Allow") })
	wg.Go(func() { want(t, "client B, the same token at once", decide(t, e, "other", good()), "inactive") })
	wg.Wait()
	wantCalls(t, "two clients, one token: two calls", s, 2)
}

// Our own review: a client id and a generation are not identity.
func TestWrongSecretGetsNothingOfTheRightOnes(t *testing.T) {
	s := newIDP(t)
	s.answers(func(c call) (int, map[string]any) {
		if c.secret != "secret" {
			return http.StatusUnauthorized, map[string]any{"error": "invalid_client"}
		}
		return http.StatusOK, claims()
	})
	state := one(t, s, time.Minute)
	e := newEngine(t, Options{}, state)
	want(t, "the right secret", decide(t, e, "orders", good()), "Allow")
	thief := one(t, s, time.Minute, "wrong")
	e.Load(thief)
	want(t, "the same client with a wrong secret", decide(t, e, "orders", good()), "credentials_refused")
	state.Clients = append(state.Clients, clientState("thief", "s1", "wrong"))
	state.Policies = append(state.Policies, policyState(t, "thief", "thief", time.Minute))
	e.Load(state)
	want(t, "another client with A's id and a wrong secret", decide(t, e, "thief", good()), "credentials_refused")
}

// Our own review: an edited server starts cold; a mere reload does not.
func TestEditedServerStartsCold(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*State)
		calls  int
	}{
		"Unchanged": {"a reload keeps facts and connections", func(*State) {}, 1},
		"Limits":    {"who answers did not change", func(s *State) { s.Servers[0].Timeout, s.Servers[0].MaxInFlight = time.Second, 3 }, 1},
		"URL":       {"another endpoint may be another server", func(s *State) { s.Servers[0].IntrospectionEndpoint += "/v2" }, 2},
		"CA":        {"another CA may trust another server", func(s *State) { s.Servers[0].CAPEM = append(s.Servers[0].CAPEM, '\n') }, 2},
		"Host":      {"another host may be another realm", func(s *State) { s.Servers[0].HostHeader = "sso.example.com" }, 2},
		"Name":      {"a name is no identity", func(s *State) { s.Servers[0].Name = "renamed" }, 1},
		"Server":    {"the server's object was made anew", func(s *State) { s.Servers[0].UID, s.Clients[0].Server = "s1b", "s1b" }, 2},
		"Client":    {"so was the client's", func(s *State) { s.Clients[0].UID = "again" }, 2},
		"Secret":    {"another credential may see other tokens", func(s *State) { s.Clients[0].Credentials = clientState("", "", "second").Credentials }, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			state := one(t, s, time.Hour)
			e := newEngine(t, Options{}, state)
			want(t, tc.reason, decide(t, e, "orders", good()), "Allow")
			state.Servers, state.Clients = slices.Clone(state.Servers), slices.Clone(state.Clients)
			tc.edit(&state)
			e.Load(state)
			want(t, tc.reason, decide(t, e, "orders", good()), "Allow")
			wantCalls(t, tc.reason, s, tc.calls)
		})
	}
}

// pooled is an Asker with connections.
type pooled struct {
	Asker
	closed *int
}

// CloseIdleConnections counts.
func (p pooled) CloseIdleConnections() { *p.closed++ }

func TestConnectionsAreKept(t *testing.T) {
	dialled, closed := 0, 0
	_, state := scripted(nil)
	e := newEngine(t, Options{Dial: func(ServerState) (Asker, error) {
		dialled++
		return pooled{closed: &closed}, nil
	}}, state)
	check := func(reason string, wantDialled, wantClosed int) {
		t.Helper()
		if dialled != wantDialled || closed != wantClosed {
			t.Errorf("%s: dialled %d (want %d), closed %d (want %d)", reason, dialled, wantDialled, closed, wantClosed)
		}
	}
	e.Load(state)
	check("an unchanged server keeps its connections", 1, 0)
	changed := state
	changed.Servers = slices.Clone(state.Servers)
	changed.Servers[0].MaxInFlight = 7
	e.Load(changed)
	check("a changed one gets others, and the old ones are closed", 2, 1)
	e.Load(State{})
	check("those of a deleted one are closed", 2, 2)
}

// A server with a dead database said inactive: negatives are short-lived and apart.
func TestHydraClientGo8(t *testing.T) {
	s, c := newIDP(t), newClock()
	s.inactive()
	e := newEngine(t, Options{Clock: c.Now}, one(t, s, time.Hour))
	want(t, "the server has a fit", decide(t, e, "orders", good()), "inactive")
	c.Advance(5 * time.Second)
	want(t, "within five seconds it is not asked again", decide(t, e, "orders", good()), "inactive")
	wantCalls(t, "one call", s, 1)
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, claims() })
	c.Advance(1)
	want(t, "the fit is over", decide(t, e, "orders", good()), "Allow")
}

func TestErrorsAreNeverCachedNorInactive(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError, http.StatusBadGateway} {
		s := newIDP(t)
		s.answers(func(call) (int, map[string]any) {
			return status, map[string]any{"error": "invalid_request", "active": false}
		})
		e := newEngine(t, Options{}, one(t, s, time.Hour))
		want(t, http.StatusText(status), decide(t, e, "orders", good()), "server_unavailable")
		s.answers(func(call) (int, map[string]any) { return http.StatusOK, claims() })
		want(t, "the next request asks again", decide(t, e, "orders", good()), "Allow")
	}
}

// Age is judged per reader, and what one reader learns is everybody's.
func TestAgePerReader(t *testing.T) {
	s, c := newIDP(t), newClock()
	state := one(t, s, time.Hour)
	state.Policies = append(state.Policies, policyState(t, "fresh", "orders", 30*time.Second))
	e := newEngine(t, Options{Clock: c.Now}, state)
	want(t, "cold", decide(t, e, "orders", good()), "Allow")
	s.inactive() // revoked
	c.Advance(30 * time.Second)
	want(t, "at its maxAge", decide(t, e, "fresh", good()), "Allow")
	c.Advance(1)
	want(t, "an hour's policy is still served", decide(t, e, "orders", good()), "Allow")
	want(t, "past 30s this policy asks", decide(t, e, "fresh", good()), "inactive")
	want(t, "an inactive answer deletes the positive at once, for all", decide(t, e, "orders", good()), "inactive")
	wantCalls(t, "one of each", s, 2)
}

func TestMaxAgeZero(t *testing.T) {
	s := newIDP(t)
	e := newEngine(t, Options{}, one(t, s, 0))
	want(t, "the server is asked", decide(t, e, "orders", good()), "Allow")
	want(t, "and asked", decide(t, e, "orders", good()), "Allow")
	wantCalls(t, "each request asks", s, 2)
	s.inactive()
	want(t, "and refuses at once", decide(t, e, "orders", good()), "inactive")
}

// The answer of a slow server may be too old when it arrives; a refusal never is.
func TestSlowServer(t *testing.T) {
	cases := map[string]struct {
		reason string
		maxAge time.Duration
		claims map[string]any
		want   string
	}{
		"TooOld":     {"an allow must not rest on it", time.Second, claims(), "answer_too_old"},
		"JustInTime": {"two seconds are allowed", 2 * time.Second, claims(), "Allow"},
		"Zero":       {"it was asked for after the request came", 0, claims(), "Allow"},
		"Inactive":   {"the server did say no", time.Second, map[string]any{"active": false}, "inactive"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, c := newIDP(t), newClock()
			s.answers(func(call) (int, map[string]any) {
				c.Advance(2 * time.Second)
				return http.StatusOK, maps.Clone(tc.claims)
			})
			e := newEngine(t, Options{Clock: c.Now}, one(t, s, tc.maxAge))
			want(t, tc.reason, decide(t, e, "orders", good()), tc.want)
		})
	}
}

// A server that calls a token active past its exp does not extend it.
func TestNeverPastExp(t *testing.T) {
	s, c := newIDP(t), newClock()
	body := claims()
	body["exp"] = c.Now().Add(10 * time.Second).Unix()
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, body })
	e := newEngine(t, Options{Clock: c.Now}, one(t, s, time.Hour))
	want(t, "before exp", decide(t, e, "orders", good()), "Allow")
	c.Advance(10 * time.Second)
	want(t, "at exp", decide(t, e, "orders", good()), "expired")
}

func TestTwoTokensDoNotShare(t *testing.T) {
	s := newIDP(t)
	e := newEngine(t, Options{}, one(t, s, time.Hour))
	want(t, "a good one", decide(t, e, "orders", good()), "Allow")
	s.inactive()
	want(t, "another", decide(t, e, "orders", token.New(good().Reveal()+"x")), "inactive")
}
