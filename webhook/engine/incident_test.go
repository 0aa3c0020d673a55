// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Revoked tokens stayed active (CVE-2026-68481 too).
func TestCVE_2026_3583(t *testing.T) {
	for name, maxAge := range map[string]time.Duration{"Zero": 0, "ThirtySeconds": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			s, c := newIDP(t), newClock()
			e := newEngine(t, Options{Clock: c.Now}, one(t, s, maxAge))
			revoked, last := time.Duration(-1), time.Duration(0)
			for at := time.Duration(0); at < 3*time.Minute; at += time.Second {
				if at == 45*time.Second {
					s.inactive()
					revoked = at
				}
				facade, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceIntrospection, Policy: ref("orders"), Client: ref("orders"), Token: good()})
				if decide(t, e, "orders", good()) == "Allow" || outcome(facade, err) == "Allow" {
					last = at
				}
				c.Advance(time.Second)
			}
			if last > revoked+maxAge || last < revoked-time.Second {
				t.Errorf("revoked at %s, the last allow at %s", revoked, last)
			}
		})
	}
}

// One tenant's object stalled all configuration: here it harms itself only, and others keep
// being updated.
func TestCVE_2026_53719(t *testing.T) {
	s := newIDP(t)
	healthy := one(t, s, time.Hour)
	poison := map[string]func(*State){
		"PolicyNil": func(st *State) { st.Policies = append(st.Policies, PolicyState{Ref: ref("poison")}) },
		"PolicyErr": func(st *State) {
			st.Policies = append(st.Policies, PolicyState{Ref: ref("poison"), Err: errors.New("bad")})
		},
		"ClientNowhere": func(st *State) { st.Clients = append(st.Clients, clientState("poison", "gone", "x")) },
		"ClientEmpty":   func(st *State) { st.Clients = append(st.Clients, ClientState{}) },
		"ServerBadCA": func(st *State) {
			st.Servers = append(st.Servers, ServerState{UID: "x", Name: "x", Issuer: partner, IntrospectionEndpoint: "https://x", CAPEM: []byte("no PEM")})
		},
		"ServerBadURL": func(st *State) {
			st.Servers = append(st.Servers, ServerState{UID: "x", Name: "x", Issuer: partner, IntrospectionEndpoint: ":", JWKSURI: "://"})
		},
		"ServerNegative": func(st *State) {
			st.Servers = append(st.Servers, ServerState{UID: "x", Name: "x", Issuer: partner, Timeout: -1, MaxInFlight: -1})
		},
		"ServerBadAlg": func(st *State) {
			st.Servers = append(st.Servers, ServerState{UID: "x", Name: "x", Issuer: partner, IntrospectionEndpoint: "https://x", JWKSURI: "https://x", Algorithms: []string{"HS256"}})
		},
	}
	for name, add := range poison {
		t.Run(name, func(t *testing.T) {
			state := State{Policies: append([]PolicyState{}, healthy.Policies...), Clients: append([]ClientState{}, healthy.Clients...), Servers: append([]ServerState{}, healthy.Servers...)}
			add(&state)
			e := newEngine(t, Options{}, state)
			want(t, "the neighbour", decide(t, e, "orders", good()), "Allow")
			if got := decide(t, e, "poison", good()); got == "Allow" {
				t.Error("the poison allows")
			}
			state.Policies = append(state.Policies, policyState(t, "later", "orders", time.Hour))
			e.Load(state)
			want(t, "and what came later", decide(t, e, "later", good()), "Allow")
			e.Prepare(t.Context())
		})
	}
}

// A rotated secret meant a panic: here it is rotated under load, and every request has an answer.
func TestAuthorino652(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		live := map[introspect.Secret]bool{"0": true}
		u := func(_ context.Context, c introspect.Credential, _ token.Token) (*token.Facts, error) {
			mu.Lock()
			ok := live[c.Secret]
			mu.Unlock()
			time.Sleep(30 * time.Millisecond)
			if !ok {
				return nil, introspect.ErrCredentialsRefused
			}
			return facts(), nil
		}
		dial, state := scripted(u, policyState(t, "orders", "orders", time.Second))
		load := func(e *Engine, secrets ...string) {
			next := state
			next.Clients = []ClientState{clientState("orders", "s1", secrets...)}
			e.Load(next)
		}
		e := newEngine(t, Options{Clock: time.Now, Dial: dial}, state)
		load(e, "0")
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for reader := range 16 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(17 * time.Millisecond):
						want(t, "in every moment of a rotation", decide(t, e, "orders", numbered(reader%4*1000+n%7)), "Allow")
					}
				}
			})
		}
		for n := range 20 { // zero-gap: both, then the new one alone
			before, after := strconv.Itoa(n), strconv.Itoa(n+1)
			load(e, before, after)
			time.Sleep(300 * time.Millisecond)
			mu.Lock()
			live = map[introspect.Secret]bool{introspect.Secret(before): true, introspect.Secret(after): true}
			mu.Unlock()
			time.Sleep(300 * time.Millisecond)
			mu.Lock()
			delete(live, introspect.Secret(before))
			mu.Unlock()
			time.Sleep(300 * time.Millisecond)
			load(e, after)
			time.Sleep(300 * time.Millisecond)
		}
		close(stop)
		wg.Wait()
		time.Sleep(time.Minute)
		e.Close()
	})
}

// "No dots, so opaque": here dots make no JWT, and an opaque token reaches one server only.
func TestAgentgateway3064(t *testing.T) {
	for _, raw := range []string{"opaque", "a.b", "abc.def.ghi", "a.b.c.d", "a.b.c.d.e", "....", ".", "eyJ.eyJ.x"} {
		t.Run(raw, func(t *testing.T) {
			first, second := newIDP(t), newIDP(t)
			e := newEngine(t, Options{}, two(t, first, second))
			for range 2 {
				want(t, raw, decide(t, e, "orders", token.New(raw)), "Allow")
			}
			wantCalls(t, "no other server sees it", first, 0)
			wantCalls(t, "the one that accepts it does, once", second, 1)
			state := one(t, first, time.Hour)
			e = newEngine(t, Options{}, state)
			want(t, "where none accepts it, none does", decide(t, e, "orders", token.New(raw)), "malformed_token")
			wantCalls(t, "no server sees it", first, 0)
		})
	}
}

// CVE-2025-27144: thousands of dots cost no memory, cold.
func TestCVE_2025_27144(t *testing.T) {
	s := newIDP(t)
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, map[string]any{"active": false} })
	server := s.keyed("s1", newSigner(t, "k1"))
	e := newEngine(t, Options{}, keyedState(server, policyState(t, "orders", "orders", time.Hour)))
	few, many := token.New("."), token.New(strings.Repeat(".", 8<<10))
	cost := func(tok token.Token) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			decide(t, e, "orders", tok)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / 100
	}
	cost(few)
	if a, b := cost(few), cost(many); b > a+16<<10 { // split at the dots it would be 128 KiB
		t.Errorf("8 KiB of dots take %d bytes, one dot %d", b, a)
	}
	wantCalls(t, "nobody is asked", s, 0)
}
