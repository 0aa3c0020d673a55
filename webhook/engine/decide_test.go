// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestUndecided(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*State)
		policy string
		want   token.Reason
		// says is part of the message: what to do.
		says string
	}{
		"NoPolicy":         {reason: "the object to create is named", policy: "missing", want: token.ReasonNoPolicy, says: "Create TokenPolicy missing in namespace shop"},
		"PolicyInvalid":    {reason: "it never falls back to an older meaning", change: func(s *State) { s.Policies[0].Compiled, s.Policies[0].Err = nil, errors.New("bad") }, want: token.ReasonPolicyInvalid, says: "Compiled"},
		"HalfCompiled":     {reason: "an error counts whatever was compiled", change: func(s *State) { s.Policies[0].Err = errors.New("bad") }, want: token.ReasonPolicyInvalid, says: "Compiled"},
		"ClientMissing":    {reason: "the client is named", change: func(s *State) { s.Clients = nil }, want: token.ReasonClientNotReady, says: "IntrospectionClient shop/orders"},
		"ClientElsewhere":  {reason: "a client of another namespace is none", change: func(s *State) { s.Clients[0].Ref.Namespace = "other" }, want: token.ReasonClientNotReady, says: "IntrospectionClient shop/orders"},
		"ClientUnverified": {reason: "only verified clients serve", change: func(s *State) { s.Clients[0].Verified = false }, want: token.ReasonClientNotReady, says: "not verified"},
		"NoCredentials":    {reason: "nothing to ask with", change: func(s *State) { s.Clients[0].Credentials = nil }, want: token.ReasonClientNotReady, says: "not verified"},
		"ServerMissing":    {reason: "the server was deleted", change: func(s *State) { s.Servers = nil }, want: token.ReasonClientNotReady, says: "authorization server"},
		"AccessWithdrawn":  {reason: "the platform withdrew it", change: func(s *State) { s.Servers[0].Namespaces = nil }, want: token.ReasonAccessWithdrawn, says: "platform team"},
		"BadCA":            {reason: "one server's poison is its own", change: func(s *State) { s.Servers[0].CAPEM = []byte("no PEM") }, want: token.ReasonServerUnavailable, says: "platform team"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			state := one(t, s, time.Hour)
			state.Policies = append(state.Policies, policyState(t, "healthy", "healthy", time.Hour))
			state.Clients = append(state.Clients, clientState("healthy", "s2", "secret"))
			state.Servers = append(state.Servers, s.state("s2"))
			healthy := State{Policies: state.Policies[1:], Clients: state.Clients[1:], Servers: state.Servers[1:]}
			state.Policies, state.Clients, state.Servers = state.Policies[:1:1], state.Clients[:1:1], state.Servers[:1:1]
			if tc.change != nil {
				tc.change(&state)
			}
			e := newEngine(t, Options{}, State{
				Policies: append(state.Policies, healthy.Policies...),
				Clients:  append(state.Clients, healthy.Clients...),
				Servers:  append(state.Servers, healthy.Servers...),
			})
			name := "orders"
			if tc.policy != "" {
				name = tc.policy
			}
			d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref(name), Token: good()})
			want(t, tc.reason, outcome(d, err), string(tc.want))
			var u *token.Undecided
			if errors.As(err, &u) && !strings.Contains(u.Message, tc.says) {
				t.Errorf("%s: message %q does not say %q", tc.reason, u.Message, tc.says)
			}
			wantCalls(t, "nobody is asked", s, 0)
			// CVE-2026-53719: a poison object, and others keep working.
			want(t, "the healthy neighbour", decide(t, e, "healthy", good()), "Allow")
		})
	}
}

func TestNotStarted(t *testing.T) {
	e := newEngine(t, Options{}, State{})
	e.current.Store(nil)
	if e.Ready() {
		t.Error("Ready() without a snapshot")
	}
	want(t, "no snapshot", decide(t, e, "orders", good()), "not_started")
	e.Load(State{})
	if !e.Ready() {
		t.Error("not Ready() with a snapshot")
	}
}

// What the server needs not be asked is not asked.
func TestScreen(t *testing.T) {
	cases := map[string]struct {
		reason string
		token  token.Token
		want   token.Reason
	}{
		"Empty":         {"no token", token.New(""), token.ReasonMissingToken},
		"TooLong":       {"over 16 KiB", token.New(strings.Repeat("a", token.MaxLength+1)), token.ReasonMalformedToken},
		"Control":       {"a byte that no token has", token.New(good().Reveal() + "\n"), token.ReasonMalformedToken},
		"Space":         {"two tokens", token.New(good().Reveal() + " x"), token.ReasonMalformedToken},
		"NonASCII":      {"not a token's alphabet", token.New(good().Reveal() + "é"), token.ReasonMalformedToken},
		"Opaque":        {"an opaque token is a live credential of some server: no other may see it", token.New("opaque"), token.ReasonMalformedToken},
		"FiveSegments":  {"agentgateway #3064: dots do not make a JWT", token.New("a.b.c.d.e"), token.ReasonMalformedToken},
		"Dots":          {"CVE-2025-27144: thousands of dots", token.New(strings.Repeat(".", 8<<10)), token.ReasonMalformedToken},
		"OtherIssuer":   {"another server's token", unsigned(map[string]any{"iss": "https://evil.example.com"}), token.ReasonInvalidIssuer},
		"IssuerPrefix":  {"byte for byte", unsigned(map[string]any{"iss": issuer + "/"}), token.ReasonInvalidIssuer},
		"WithoutIssuer": {"chooses no server", unsigned(map[string]any{"sub": "alice"}), token.ReasonInvalidIssuer},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			e := newEngine(t, Options{}, one(t, s, time.Hour))
			want(t, tc.reason, decide(t, e, "orders", tc.token), string(tc.want))
			wantCalls(t, tc.reason, s, 0)
		})
	}
}

// Client X is answered from the accept entries of X only.
func TestIntrospectionSurface(t *testing.T) {
	cases := map[string]struct {
		reason string
		policy token.Ref
		client token.Ref
		want   string
		says   string
	}{
		"Own":             {"its own policy", ref("orders"), ref("orders"), "Allow", ""},
		"Another":         {"a policy that accepts another client", ref("orders"), ref("other"), "no_policy", "name client other in its spec.accept"},
		"Missing":         {"no such policy, in the same words", ref("missing"), ref("other"), "no_policy", "Create TokenPolicy missing in namespace shop"},
		"ForeignExists":   {"a stranger does not learn of a policy", ref("orders"), token.Ref{Namespace: "evil", Name: "orders"}, "no_policy", "of its namespace only"},
		"ForeignMissing":  {"nor that there is none", ref("missing"), token.Ref{Namespace: "evil", Name: "orders"}, "no_policy", "of its namespace only"},
		"Unauthenticated": {"an adapter that forgot the caller", ref("orders"), token.Ref{}, "no_policy", "of its namespace only"},
	}
	s := newIDP(t)
	e := newEngine(t, Options{}, one(t, s, time.Hour))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceIntrospection, Policy: tc.policy, Client: tc.client, Token: good()})
			want(t, tc.reason, outcome(d, err), tc.want)
			if err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: message %q does not say %q", tc.reason, err, tc.says)
			}
		})
	}
}

// An allow carries what its surface and its policy want, on hits too.
func TestRendering(t *testing.T) {
	s := newIDP(t)
	state := one(t, s, time.Hour)
	plain := &v1alpha1.TokenPolicy{}
	plain.Namespace, plain.Name = "shop", "plain"
	plain.Spec.Accept = []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}}
	compiled, err := policy.Compile(plain)
	if err != nil {
		t.Fatal(err)
	}
	state.Policies = append(state.Policies, PolicyState{Ref: ref("plain"), Compiled: compiled})
	e := newEngine(t, Options{}, state)
	gateway := token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: good()}
	facade := token.Request{Surface: token.SurfaceIntrospection, Policy: ref("orders"), Client: ref("orders"), Token: good()}
	without := gateway
	without.Policy = ref("plain")
	for range 3 {
		d, err := e.Decide(t.Context(), gateway)
		if diff := cmp.Diff([]token.Header{{Name: "X-Auth-Subject", Value: "alice"}}, d.Headers); diff != "" || err != nil || d.Body != nil {
			t.Errorf("gateway: %v, body %q, headers -want +got: %s", err, d.Body, diff)
		}
		d, err = e.Decide(t.Context(), without)
		if o := outcome(d, err); o != "Allow" || len(d.Headers) != 0 {
			t.Errorf("a policy without headers: got %s with %v", o, d.Headers)
		}
		d, err = e.Decide(t.Context(), facade)
		if err != nil || !strings.Contains(string(d.Body), `"active":true`) || d.Headers != nil {
			t.Errorf("facade: got %q, %v, %v", d.Body, d.Headers, err)
		}
	}
	wantCalls(t, "one question", s, 1)
}

// In a rotation the server takes one of two secrets, and nobody knows which.
func TestTwoCredentials(t *testing.T) {
	s := newIDP(t)
	s.answers(func(c call) (int, map[string]any) {
		if c.secret != "next" {
			return http.StatusUnauthorized, map[string]any{"error": "invalid_client"}
		}
		return http.StatusOK, claims()
	})
	state := one(t, s, time.Hour, "current", "next")
	e := newEngine(t, Options{}, state)
	want(t, "the other one is tried", decide(t, e, "orders", good()), "Allow")
	wantCalls(t, "two questions", s, 2)
	want(t, "warm", decide(t, e, "orders", good()), "Allow")
	wantCalls(t, "a hit needs none", s, 2)
	e.Load(state)
	want(t, "another token", decide(t, e, "orders", token.New(good().Reveal()+"x")), "Allow")
	wantCalls(t, "the one that worked is tried first, after a reload too", s, 3)
}
