// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestCVE202132701 (heimdall #3452): what a cache holds is judged by each policy anew: what a
// lax one let in warm, a stricter one refuses on every surface, and nobody is asked again.
func TestCVE202132701(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Policies = append(s.state.Policies, policyState(t, "strict", "orders", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Require.Scopes.AllOf = []string{"orders.write"}
		}))
	})
	minted := idp.mint(t, "1", nil)
	for _, s := range p.surfaces {
		lax := s.must(t, question{token: minted})
		p.check(t, s, &lax, s.name+", lax", "orders", allowed())
		strict := s.must(t, question{token: minted, policy: "strict", caller: "orders"})
		p.check(t, s, &strict, s.name+", strict", "strict", denied(token.ReasonInsufficientScope))
	}
	if calls := idp.calls(minted); calls != 1 {
		t.Errorf("the server was asked %d times: it was to be warm", calls)
	}
}

// elsewhere is a second server of the same issuer, with a client and a policy there.
func elsewhere(t *testing.T, idp *provider) func(*settings) {
	t.Helper()
	return func(s *settings) {
		s.state.Policies = []engine.PolicyState{policyState(t, "orders", "orders", introspected), policyState(t, "other", "other", introspected)}
		s.state.Clients = append(s.state.Clients, clientState("other", "t"))
		s.state.Servers = append(s.state.Servers, idp.state("t", issuer, "/introspect"))
	}
}

// TestCVE202633496: a token that one server knows is asked about at the other all the same.
func TestCVE202633496(t *testing.T) {
	for _, kind := range append(kinds(), facade, tokenReview) {
		first, other := newProvider(t), newProvider(t)
		p := simple(t, first, "/introspect", elsewhere(t, other))
		minted, s := first.mint(t, "1", nil), p.named(kind)
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, kind+", first", "orders", allowed())
		a = s.must(t, question{token: minted, policy: "other"})
		p.check(t, s, &a, kind+", second", "other", denied(token.ReasonInactive))
		if other.calls(minted) != 1 {
			t.Errorf("%s: the second server was asked %d times", kind, other.calls(minted))
		}
	}
}

// TestGHSA84rm (GHSA-84rm-mhfq-f476): two clients that ask about one token at once share no question.
func TestGHSA84rm(t *testing.T) {
	for _, kind := range append(kinds(), facade, tokenReview) {
		t.Run(kind, func(t *testing.T) {
			idp := newProvider(t)
			p := simple(t, idp, "/held", func(s *settings) {
				s.state.Policies = append(s.state.Policies, policyState(t, "other", "other", nil))
				s.state.Clients = append(s.state.Clients, clientState("other", "s"))
			})
			minted, s, done := idp.mint(t, "1", nil), p.named(kind), make(chan answer, 4)
			for _, policy := range []string{"orders", "other", "orders", "other"} {
				go func() {
					a, err := s.ask(t.Context(), t, (&question{token: minted, policy: policy}).defaults())
					if err != nil {
						a.verdict = err.Error()
					}
					done <- a
				}()
			}
			await(t, "both questions", func() bool { return idp.waiting.Load() == 2 })
			idp.release()
			for range cap(done) {
				if a := <-done; a.verdict != allow {
					t.Errorf("answered %s", a.verdict)
				}
			}
			if calls := idp.calls(minted); calls != 2 {
				t.Errorf("the server was asked %d times, by two clients", calls)
			}
		})
	}
}

// TestLocalFactsAnswerNoIntrospection: what a signature proved is no word of the server.
func TestLocalFactsAnswerNoIntrospection(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Policies = append(s.state.Policies, policyState(t, "local", "orders", local))
	})
	minted := idp.mint(t, "1", nil)
	idp.says(minted, nil)
	for _, s := range p.surfaces {
		a := s.must(t, question{token: minted, policy: "local", caller: "orders"})
		p.check(t, s, &a, s.name+", local", "local", allowed())
		a = s.must(t, question{token: minted})
		p.check(t, s, &a, s.name+", introspected", "orders", denied(token.ReasonInactive))
	}
}

// TestLuaResty399: a JWT that was verified for a policy of its issuer is nothing to a policy of another's.
func TestLuaResty399(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Policies = []engine.PolicyState{policyState(t, "orders", "orders", local), policyState(t, "other", "other", local)}
		s.state.Clients = append(s.state.Clients, clientState("other", "t"))
		s.state.Servers = append(s.state.Servers, idp.state("t", otherIssuer, "/introspect"))
	})
	minted := idp.mint(t, "1", nil)
	for _, s := range p.surfaces {
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, s.name+", its own", "orders", allowed())
		a = s.must(t, question{token: minted, policy: "other"})
		p.check(t, s, &a, s.name+", another's", "other", denied(token.ReasonInvalidIssuer))
	}
}

// TestSameClientIDWrongSecret: a client that calls itself as another one at the server, and
// has not its secret, gets nothing that the other was told.
func TestSameClientIDWrongSecret(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		thief := clientState("thief", "s")
		thief.Credentials[0].Secret = "guessed"
		s.state.Policies = append(s.state.Policies, policyState(t, "thief", "thief", nil))
		s.state.Clients = append(s.state.Clients, thief)
	})
	minted := idp.mint(t, "1", nil)
	answer := marshalled(changed(good("1"), object{"active": true}))
	idp.answersBy(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != serverSecret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(answer)
	})
	for _, s := range p.surfaces {
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, s.name+", the client", "orders", allowed())
		a = s.must(t, question{token: minted, policy: "thief"})
		p.check(t, s, &a, s.name+", the other", "thief", undecided(token.ReasonCredentialsRefused))
	}
}

// TestEditedServerStartsCold: what a server said under another address or CA is forgotten.
func TestEditedServerStartsCold(t *testing.T) {
	for _, kind := range append(kinds(), facade, tokenReview) {
		idp, moved := newProvider(t), newProvider(t)
		var state engine.State
		p := simple(t, idp, "/introspect", func(s *settings) {
			s.state.Policies[0] = policyState(t, "orders", "orders", introspected)
			state = s.state
		})
		minted, s := idp.mint(t, "1", nil), p.named(kind)
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, kind+", before", "orders", allowed())
		state.Servers = []engine.ServerState{moved.state("s", issuer, "/introspect")}
		p.engine.Load(state)
		a = s.must(t, question{token: minted})
		p.check(t, s, &a, kind+", after", "orders", denied(token.ReasonInactive))
	}
}

// TestHydraClientGo8: a server that lost its database says inactive for a while, and is
// believed for a moment only: it costs no good token its life.
func TestHydraClientGo8(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Policies[0] = policyState(t, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Freshness.MaxAge = &metav1.Duration{Duration: 300 * time.Millisecond}
		})
	})
	minted := idp.mint(t, "1", nil)
	idp.answersBy(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":false}`)) })
	for _, s := range p.surfaces {
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, s.name+", without its database", "orders", denied(token.ReasonInactive))
	}
	idp.answersBy(nil)
	for _, s := range p.surfaces {
		await(t, "an allow at "+s.name, func() bool { a := s.must(t, question{token: minted}); return a.verdict == allow })
	}
}

// TestCVE202653719: one tenant's broken objects stop neither the others nor their changes.
func TestCVE202653719(t *testing.T) {
	idp := newProvider(t)
	var state engine.State
	p := simple(t, idp, "/introspect", func(s *settings) {
		poison := policyState(t, "poison", "poison", nil)
		poison.Ref, poison.Compiled, poison.Err = token.Ref{Namespace: "evil", Name: "poison"}, nil, errors.New("poison")
		broken := idp.state("broken", otherIssuer, "/introspect")
		broken.CAPEM, broken.IntrospectionEndpoint, broken.JWKSURI = []byte("poison"), "::poison::", "::poison::"
		lost := clientIn("evil", "lost", "nowhere")
		s.state.Policies = append([]engine.PolicyState{poison, {Ref: token.Ref{}}}, s.state.Policies...)
		s.state.Clients = append([]engine.ClientState{lost, {}, clientIn("evil", "broken", "broken")}, s.state.Clients...)
		s.state.Servers = append([]engine.ServerState{broken, {}}, s.state.Servers...)
		s.reviews = []string{"shop/orders"}
		state = s.state
	})
	for _, s := range p.surfaces {
		a := s.must(t, question{token: idp.mint(t, "before "+s.name, nil)})
		p.check(t, s, &a, s.name, "orders", allowed())
	}
	changed := state
	changed.Policies = append([]engine.PolicyState(nil), state.Policies...)
	changed.Policies[len(changed.Policies)-1] = policyState(t, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Require.Scopes.AllOf = []string{"orders.write"}
	})
	p.engine.Load(changed)
	for _, s := range p.surfaces {
		a := s.must(t, question{token: idp.mint(t, "after "+s.name, nil)})
		p.check(t, s, &a, s.name+", changed", "orders", denied(token.ReasonInsufficientScope))
	}
}
