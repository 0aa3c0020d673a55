// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// records are the clients' as they are now, while a snapshot may lag.
type records struct {
	mu    sync.Mutex
	now   map[token.Ref]ClientState
	reads int
	err   error
}

func (r *records) read(_ context.Context, client token.Ref) (ClientState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	return r.now[client], r.err
}

func (r *records) wantReads(t *testing.T, reason string, want int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads != want {
		t.Errorf("%s: %d reads, want %d", reason, r.reads, want)
	}
}

func hashed(secret string, notAfter time.Time) FacadeSecret {
	return FacadeSecret{SHA256: sha256.Sum256([]byte(secret)), NotAfter: notAfter}
}

// showing is a client with secrets of its workloads.
func showing(name string, secrets ...FacadeSecret) ClientState {
	c := clientState(name, "s1", "secret")
	c.FacadeSecrets = secrets
	return c
}

// A secret that only the record knows is good: a lagging watch fails nobody.
func TestAuthenticateByTheRecord(t *testing.T) {
	c := newClock()
	lagging := showing("orders", hashed("old", time.Time{}))
	for name, tc := range map[string]struct {
		reason string
		now    ClientState
		err    error
		id     string
		secret string
		want   bool
		reads  int
	}{
		"next":        {"rotated a moment ago", showing("orders", hashed("new", time.Time{}), hashed("old", c.Now().Add(time.Hour))), nil, "shop.orders", "new", true, 1},
		"known":       {"what the snapshot knows costs no read", showing("orders"), nil, "shop.orders", "old", true, 0},
		"wrong":       {"a guess", showing("orders", hashed("new", time.Time{})), nil, "shop.orders", "guess", false, 1},
		"ended":       {"an end holds there too", showing("orders", hashed("gone", c.Now())), nil, "shop.orders", "gone", false, 1},
		"unknown":     {"nobody is read of whom nothing is known", showing("orders", hashed("new", time.Time{})), nil, "shop.none", "new", false, 0},
		"another":     {"made anew under the same name: the policy's snapshot does not know it", func() ClientState { s := showing("orders", hashed("new", time.Time{})); s.UID = "other"; return s }(), nil, "shop.orders", "new", false, 1},
		"unreachable": {"the API server is away", showing("orders", hashed("new", time.Time{})), errors.New("away"), "shop.orders", "new", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &records{now: map[token.Ref]ClientState{ref("orders"): tc.now}, err: tc.err}
			e := newEngine(t, Options{Clock: c.Now, ReadClient: r.read}, State{Clients: []ClientState{lagging}})
			got, ok := e.Authenticate(t.Context(), ref("orders"), tc.id, tc.secret)
			if ok != tc.want || ok && got != ref("orders") {
				t.Errorf("%s: got %v, %t", tc.reason, got, ok)
			}
			r.wantReads(t, tc.reason, tc.reads)
		})
	}
}

// Wrong secrets are strangers' to send: what they cost the API server is bounded, for each client
// and for all.
func TestWrongSecretsCostFewReads(t *testing.T) {
	c := newClock()
	state, r := State{}, &records{now: map[token.Ref]ClientState{}}
	for i := range 3 * liveBurst {
		s := showing(fmt.Sprintf("c%d", i), hashed("right", time.Time{}))
		s.ClientID = s.Ref.Name
		state.Clients, r.now[s.Ref] = append(state.Clients, s), s
	}
	e := newEngine(t, Options{Clock: c.Now, ReadClient: r.read}, state)
	guess := func(id string) { e.Authenticate(t.Context(), ref("p"), id, "guess") }
	for range 100 {
		guess("c0")
	}
	r.wantReads(t, "one client", 1)
	c.Advance(livePause)
	guess("c0")
	r.wantReads(t, "one client, a pause later", 2)
	for i := range state.Clients {
		guess(fmt.Sprintf("c%d", i))
	}
	if r.reads > liveBurst+2 {
		t.Errorf("%d reads for %d clients at once, want %d at most", r.reads, len(state.Clients), liveBurst)
	}
	if _, ok := e.Authenticate(t.Context(), ref("p"), "c1", "right"); !ok {
		t.Error("a right secret is refused under a flood of wrong ones")
	}
	if n := len(e.live.last); n > liveBurst+1 {
		t.Errorf("%d clients are remembered", n)
	}
	c.Advance(livePause)
	guess("c0")
	if n := len(e.live.last); n != 1 {
		t.Errorf("%d clients are remembered after a pause", n)
	}
}

// Many who wait for the same client cause one read.
func TestOneReadForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, reads := make(chan struct{}), 0
		e := newEngine(t, Options{Clock: time.Now, ReadClient: func(context.Context, token.Ref) (ClientState, error) {
			reads++
			<-release
			return showing("orders", hashed("new", time.Time{})), nil
		}}, State{Clients: []ClientState{showing("orders", hashed("old", time.Time{}))}})
		var wg sync.WaitGroup
		good := make([]bool, 50)
		for i := range good {
			wg.Go(func() { _, good[i] = e.Authenticate(t.Context(), ref("orders"), "shop.orders", "new") })
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if reads != 1 || slices.Contains(good, false) {
			t.Errorf("%d reads, %v", reads, good)
		}
		e.Close()
	})
}

// Where the server takes one credential at a time and the snapshot has the one before, the record's
// is asked with.
func TestAskingByTheRecord(t *testing.T) {
	takes := "secret"
	dial, state := scripted(func(_ context.Context, c introspect.Credential, _ token.Token) (*token.Facts, error) {
		if string(c.Secret) != takes {
			return nil, introspect.ErrCredentialsRefused
		}
		return facts(), nil
	}, policyState(t, "orders", "orders", 0))
	c, r := newClock(), &records{now: map[token.Ref]ClientState{ref("orders"): clientState("orders", "s1", "next", "secret")}}
	hints := make(chan string, 10)
	e := newEngine(t, Options{Clock: c.Now, Dial: dial, ReadClient: r.read, Hints: func(_ context.Context, _ token.Ref, reason string) { hints <- reason }}, state)
	want(t, "as the snapshot says", decide(t, e, "orders", good()), "Allow")
	r.wantReads(t, "as the snapshot says", 0)
	takes = "next"
	want(t, "rotated, and the snapshot lags", decide(t, e, "orders", unsigned(map[string]any{"iss": issuer, "jti": "2"})), "Allow")
	r.wantReads(t, "rotated", 1)
	select {
	case reason := <-hints:
		t.Errorf("the controller was told %s", reason)
	default:
	}
	takes = "another"
	c.Advance(livePause)
	want(t, "nobody knows the server's", decide(t, e, "orders", unsigned(map[string]any{"iss": issuer, "jti": "3"})), "credentials_refused")
	if got := <-hints; got != HintCredentialsRefused {
		t.Errorf("the controller was told %s", got)
	}
}

// The use of a secret that will end is told, seldom, and prolongs nothing.
func TestLateUseIsTold(t *testing.T) {
	c := newClock()
	told := make(chan string, 10)
	state := State{Clients: []ClientState{showing("orders", hashed("new", time.Time{}), hashed("old", c.Now().Add(time.Hour)))}}
	e := newEngine(t, Options{Clock: c.Now, Hints: func(_ context.Context, c token.Ref, reason string) { told <- c.String() + " " + reason }}, state)
	show := func(secret string) bool {
		_, ok := e.Authenticate(t.Context(), ref("orders"), "shop.orders", secret)
		return ok
	}
	show("new")
	for range 5 {
		show("old")
	}
	e.Load(state) // a snapshot changes often
	show("old")
	if diff := cmp.Diff("shop/orders PreviousSecretUsed", <-told); diff != "" {
		t.Error(diff)
	}
	c.Advance(lateInterval)
	show("old")
	<-told
	c.Advance(time.Hour - lateInterval)
	if show("old") {
		t.Error("its end was prolonged")
	}
	if len(told) > 0 {
		t.Errorf("told too often: %s", <-told)
	}
}
