// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	modeDefault    v1alpha1.Validation = ""
	modeIntrospect                     = v1alpha1.ValidationIntrospect
	modeLocal                          = v1alpha1.ValidationLocal
	modeBoth                           = v1alpha1.ValidationLocalThenIntrospect
)

// validating is a policy of a mode; opaque tokens are accepted.
func validating(tb testing.TB, name, client string, mode v1alpha1.Validation) PolicyState {
	tb.Helper()
	return policyWith(tb, name, client, func(spec *v1alpha1.TokenPolicySpec) {
		spec.Accept[0].Validation, spec.Accept[0].Opaque = mode, v1alpha1.OpaqueAccepted
	})
}

// keyedState is a state of one server with keys, a client and policies.
func keyedState(server ServerState, policies ...PolicyState) State {
	return State{Policies: policies, Clients: []ClientState{clientState("orders", server.UID, "secret")}, Servers: []ServerState{server}}
}

// Each mode, as it is declared: who is asked, and who settles it.
func TestModes(t *testing.T) {
	ours, theirs := newSigner(t, "k1"), newSigner(t, "k1")
	changed := func(name string, value any) map[string]any {
		c := signed()
		c[name] = value
		return c
	}
	tokens := map[string]token.Token{
		"good":     ours.sign(t, signed()),
		"forged":   theirs.sign(t, signed()),
		"other":    ours.sign(t, changed("aud", "billing")),
		"expired":  ours.sign(t, changed("exp", time.Now().Add(-time.Minute).Unix())),
		"identity": token.New(ours.jws(t, map[string]any{"alg": "ES256", "typ": "JWT", "kid": "k1"}, signed())),
		"none":     token.New(segment([]byte(`{"alg":"none"}`)) + "." + segment(marshal(t, signed())) + "."),
		"revoked":  ours.sign(t, changed("jti", "revoked")),
		"opaque":   token.New("Zk8jCyTzqTFTJ2BDVkT9cPYzSZAzu5UMG4mY5uHFXyl"),
		"five":     token.New("a.b.c.d.e"),
		"three":    token.New("abc.def.ghi"),
	}
	cases := map[string]struct {
		reason string
		mode   v1alpha1.Validation
		noKeys bool
		token  string
		want   string
		calls  int
	}{
		"DefaultIsBoth":           {reason: "a good one is asked about", mode: modeDefault, token: "good", want: "Allow", calls: 1},
		"DefaultForged":           {reason: "a bad signature costs no call", mode: modeDefault, token: "forged", want: "invalid_signature"},
		"DefaultWithoutKeys":      {reason: "then only the server can tell", mode: modeDefault, noKeys: true, token: "forged", want: "inactive", calls: 1},
		"DefaultOpaque":           {reason: "has no signature to look at", mode: modeDefault, token: "opaque", want: "Allow", calls: 1},
		"IntrospectGood":          {reason: "the server is asked", mode: modeIntrospect, token: "good", want: "Allow", calls: 1},
		"IntrospectForged":        {reason: "and only the server", mode: modeIntrospect, token: "forged", want: "inactive", calls: 1},
		"IntrospectNeedsNoKeys":   {reason: "as without keys", mode: modeIntrospect, noKeys: true, token: "good", want: "Allow", calls: 1},
		"LocalGood":               {reason: "nobody is asked", mode: modeLocal, token: "good", want: "Allow"},
		"LocalForged":             {reason: "somebody else's key of the same name", mode: modeLocal, token: "forged", want: "invalid_signature"},
		"LocalRevoked":            {reason: "until its exp: said in the API", mode: modeLocal, token: "revoked", want: "Allow"},
		"LocalOther":              {reason: "is judged as any other", mode: modeLocal, token: "other", want: "invalid_audience"},
		"LocalExpired":            {reason: "ours, not the server's", mode: modeLocal, token: "expired", want: "expired"},
		"LocalIdentity":           {reason: "an ID token has its key too", mode: modeLocal, token: "identity", want: "invalid_token_type"},
		"LocalNone":               {reason: "an algorithm that is none", mode: modeLocal, token: "none", want: "invalid_signature"},
		"LocalOpaque":             {reason: "has no signature: the server is asked", mode: modeLocal, token: "opaque", want: "Allow", calls: 1},
		"LocalFiveSegments":       {reason: "agentgateway #3064: dots do not make a JWT", mode: modeLocal, token: "five", want: "Allow", calls: 1},
		"LocalThreeSegments":      {reason: "agentgateway #3064: nor do two", mode: modeLocal, token: "three", want: "Allow", calls: 1},
		"BothThreeSegments":       {reason: "agentgateway #3064: nor do two", mode: modeBoth, token: "three", want: "Allow", calls: 1},
		"LocalWithoutKeys":        {reason: "nobody can tell: it never falls back", mode: modeLocal, noKeys: true, token: "good", want: "keys_unavailable"},
		"LocalWithoutKeysForged":  {reason: "the same for a forged one", mode: modeLocal, noKeys: true, token: "forged", want: "keys_unavailable"},
		"BothGood":                {reason: "and then the server is asked", mode: modeBoth, token: "good", want: "Allow", calls: 1},
		"BothForged":              {reason: "a bad signature costs no call", mode: modeBoth, token: "forged", want: "invalid_signature"},
		"BothExpired":             {reason: "nor does an old token", mode: modeBoth, token: "expired", want: "expired"},
		"BothRevoked":             {reason: "the server knows", mode: modeBoth, token: "revoked", want: "inactive", calls: 1},
		"BothOpaque":              {reason: "has no signature to look at", mode: modeBoth, token: "opaque", want: "Allow", calls: 1},
		"BothWithoutKeys":         {reason: "was asked for, and can't be had", mode: modeBoth, noKeys: true, token: "good", want: "keys_unavailable"},
		"BothFiveSegments":        {reason: "agentgateway #3064: dots do not make a JWT", mode: modeBoth, token: "five", want: "Allow", calls: 1},
		"IntrospectFiveSegments":  {reason: "agentgateway #3064: dots do not make a JWT", mode: modeIntrospect, token: "five", want: "Allow", calls: 1},
		"IntrospectOpaqueRevoked": {reason: "the server knows", mode: modeIntrospect, token: "revoked", want: "inactive", calls: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			s.answers(func(c call) (int, map[string]any) {
				if c.token == tokens["forged"].Reveal() || c.token == tokens["revoked"].Reveal() {
					return http.StatusOK, map[string]any{"active": false}
				}
				return http.StatusOK, claims()
			})
			server := s.keyed("s1", ours)
			if tc.noKeys {
				server.JWKSURI = ""
			}
			e := newEngine(t, Options{}, keyedState(server, validating(t, "orders", "orders", tc.mode)))
			for range 2 { // cold and warm
				want(t, tc.reason, decide(t, e, "orders", tokens[tc.token]), tc.want)
			}
			wantCalls(t, tc.reason, s, tc.calls)
		})
	}
}

// An opaque token under Local was introspected: maxAge bounds it as anywhere.
func TestOpaqueUnderLocalKeepsMaxAge(t *testing.T) {
	s, c := newIDP(t), newClock()
	e := newEngine(t, Options{Clock: c.Now}, keyedState(s.keyed("s1", newSigner(t, "k1")), validating(t, "orders", "orders", modeLocal)))
	want(t, "asked", decide(t, e, "orders", token.New("opaque")), "Allow")
	s.inactive()
	c.Advance(30*time.Second + 1)
	want(t, "revoked, past the default maxAge", decide(t, e, "orders", token.New("opaque")), "inactive")
}

// Our own review: what one mode found out is no answer to another.
func TestModesDoNotShareFacts(t *testing.T) {
	s, signer := newIDP(t), newSigner(t, "k1")
	s.inactive()
	e := newEngine(t, Options{}, keyedState(s.keyed("s1", signer),
		validating(t, "local", "orders", modeLocal), validating(t, "introspect", "orders", modeIntrospect), validating(t, "both", "orders", modeBoth)))
	tok := signer.sign(t, signed())
	want(t, "Local, warmed", decide(t, e, "local", tok), "Allow")
	want(t, "Introspect asks the server", decide(t, e, "introspect", tok), "inactive")
	wantCalls(t, "one question", s, 1)
	want(t, "LocalThenIntrospect asks too", decide(t, e, "both", tok), "inactive")
	wantCalls(t, "another", s, 2)
	want(t, "and Local is as it was", decide(t, e, "local", tok), "Allow")
	forged := newSigner(t, "k1").sign(t, signed())
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, claims() })
	want(t, "a server that takes a forged one", decide(t, e, "introspect", forged), "Allow")
	want(t, "lends it to no policy that looks at signatures", decide(t, e, "both", forged), "invalid_signature")
	want(t, "none at all", decide(t, e, "local", forged), "invalid_signature")
}

// A cache of verified JWTs crossed to routes with other issuers.
func TestLuaRestyOpenidc399(t *testing.T) {
	first, second := newIDP(t), newIDP(t)
	signer := newSigner(t, "k1")
	other := second.keyed("s2", signer)
	other.Issuer = "https://sso.example.com/realms/other"
	state := keyedState(first.keyed("s1", signer), validating(t, "orders", "orders", modeLocal), validating(t, "other", "other", modeLocal),
		validating(t, "twin", "twin", modeLocal))
	twin := first.state("s3")
	twin.JWKSURI = newKeys(t, second, newSigner(t, "k1"))
	twin.CAPEM = second.state("").CAPEM
	state.Servers = append(state.Servers, other, twin)
	state.Clients = append(state.Clients, clientState("other", "s2", "secret"), clientState("twin", "s3", "secret"))
	e := newEngine(t, Options{}, state)
	tok := signer.sign(t, signed())
	want(t, "its own policy, warmed", decide(t, e, "orders", tok), "Allow")
	want(t, "a policy of another issuer, with the same key", decide(t, e, "other", tok), "invalid_issuer")
	want(t, "a server of the same issuer, with another key", decide(t, e, "twin", tok), "invalid_signature")
}

// newKeys publishes keys at a server, instead of those that it had.
func newKeys(t *testing.T, s *idp, signers ...*signer) string {
	t.Helper()
	s.keys.publish(signers...)
	return s.URL + "/keys"
}

// While the keys can't be had nobody can tell, and no server is asked about a token that
// anybody may have made.
func TestKeysOutage(t *testing.T) {
	for name, mode := range map[string]v1alpha1.Validation{"Default": modeDefault, "Local": modeLocal, "Both": modeBoth} {
		t.Run(name, func(t *testing.T) {
			s, c, signer := newIDP(t), newClock(), newSigner(t, "k1")
			e := newEngine(t, Options{Clock: c.Now}, keyedState(s.keyed("s1", signer), validating(t, "orders", "orders", mode)))
			s.keys.fail(http.StatusBadGateway)
			want(t, "no keys", decide(t, e, "orders", signer.sign(t, signed())), "keys_unavailable")
			want(t, "forged or not", decide(t, e, "orders", newSigner(t, "k1").sign(t, signed())), "keys_unavailable")
			wantCalls(t, "nobody is asked", s, 0)
			if n := s.keys.count(); n != 1 {
				t.Errorf("the keys were asked for %d times within a moment, want once", n)
			}
			s.keys.publish(signer)
			c.Advance(3 * time.Second)
			want(t, "the outage is over", decide(t, e, "orders", signer.sign(t, signed())), "Allow")
		})
	}
}

// Local asks nobody, but looks at the keys again: one that was withdrawn stops working,
// token in use or not.
func TestWithdrawnKey(t *testing.T) {
	for name, every := range map[string]time.Duration{"InUse": 10 * time.Second, "Rarely": 50 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var published keys
				signer := newSigner(t, "k1")
				published.publish(signer)
				dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
					t.Error("Local asked a server")
					return nil, introspect.ErrCredentialsRefused
				}, policyWith(t, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
					spec.Accept[0].Validation = modeLocal
					spec.Require.ClockSkew = &metav1.Duration{Duration: time.Minute}
				}))
				state.Servers[0].JWKSURI = "https://sso.example.com/keys"
				e := newEngine(t, Options{Clock: time.Now, Dial: dial, FetchKeys: func(ServerState) (func(context.Context) ([]byte, error), error) {
					return func(context.Context) ([]byte, error) { _, body := published.document(); return body, nil }, nil
				}}, state)
				tok, start := signer.sign(t, signed()), time.Now()
				want(t, "cold", decide(t, e, "orders", tok), "Allow")
				published.publish(newSigner(t, "k2"))
				time.Sleep(localMaxAge)
				want(t, "a signature is believed for five minutes", decide(t, e, "orders", tok), "Allow")
				for range 400 {
					time.Sleep(every)
					synctest.Wait()
					if decide(t, e, "orders", tok) == "invalid_signature" {
						break
					}
				}
				if took := time.Since(start); took > 2*every+25*time.Minute {
					t.Errorf("it worked for %s", took)
				}
				e.Close()
			})
		})
	}
}
