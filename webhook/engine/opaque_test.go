// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// acceptsOpaque is a state of one policy that accepts opaque tokens.
func acceptsOpaque(t *testing.T, s *idp) State {
	t.Helper()
	p := &v1alpha1.TokenPolicy{}
	p.Namespace, p.Name = "shop", "opaque"
	p.Spec.Accept = []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}, Opaque: v1alpha1.OpaqueAccepted}}
	p.Spec.Freshness.MaxAge = &metav1.Duration{Duration: time.Hour}
	p.Spec.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-Auth-Issuer", Claim: "iss"}}
	compiled, err := policy.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	state := one(t, s, time.Hour)
	state.Policies = append(state.Policies, PolicyState{Ref: ref("opaque"), Compiled: compiled})
	return state
}

// without is a good answer without some members.
func without(names ...string) map[string]any {
	c := claims()
	for _, name := range names {
		delete(c, name)
	}
	return c
}

func with(name string, value any) map[string]any {
	c := claims()
	c[name] = value
	return c
}

// An opaque token goes to the server of the policy that accepts it; a JWT of another issuer, or
// what no token is, does not.
func TestOpaqueIsAsked(t *testing.T) {
	cases := map[string]struct {
		reason string
		token  token.Token
		want   string
		calls  int
	}{
		"Opaque":        {"as node-oidc-provider and Duende make them", token.New("Zk8jCyTzqTFTJ2BDVkT9cPYzSZAzu5UMG4mY5uHFXyl"), "Allow", 1},
		"FiveSegments":  {"agentgateway #3064: dots do not make a JWT", token.New("a.b.c.d.e"), "Allow", 1},
		"ThreeSegments": {"nor do two, of anything", token.New("abc.def.ghi"), "Allow", 1},
		"JWT":           {"both forms are accepted", good(), "Allow", 1},
		"ForeignJWT":    {"a live credential of somebody else's", unsigned(map[string]any{"iss": "https://evil.example.com"}), "invalid_issuer", 0},
		"NoIssuer":      {"a JWT, of nobody", unsigned(map[string]any{"sub": "alice"}), "invalid_issuer", 0},
		"Unsigned":      {"an empty signature makes it no opaque token", token.New(strings.TrimRight(unsigned(map[string]any{"iss": "x"}).Reveal(), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")), "invalid_issuer", 0},
		"Space":         {"two tokens", token.New("opaque x"), "malformed_token", 0},
		"NonASCII":      {"not a token's alphabet", token.New("opaqué"), "malformed_token", 0},
		"TooLong":       {"over 16 KiB", token.New(strings.Repeat("a", token.MaxLength+1)), "malformed_token", 0},
		"Empty":         {"no token", token.New(""), "missing_token", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			e := newEngine(t, Options{}, acceptsOpaque(t, s))
			for range 2 { // cold and warm
				want(t, tc.reason, decide(t, e, "opaque", tc.token), tc.want)
			}
			wantCalls(t, tc.reason, s, tc.calls)
		})
	}
}

// What the server says of an opaque token is judged as of any other. RFC 7662 leaves `iss` to it.
func TestOpaqueAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		token  token.Token
		answer map[string]any
		want   string
		issuer string
	}{
		"Issuer":      {"the server's own word", token.New("opaque"), claims(), "Allow", issuer},
		"NoIssuer":    {"it is the server's that was asked", token.New("opaque"), without("iss"), "Allow", issuer},
		"NullIssuer":  {"null is missing", token.New("opaque"), with("iss", nil), "Allow", issuer},
		"JWTNoIssuer": {"a JWT's answer stays as it is", good(), without("iss"), "Allow", ""},
		"OtherIssuer": {"a server that answers for another", token.New("opaque"), with("iss", "https://evil.example.com"), "invalid_issuer", ""},
		"JWTOther":    {"a JWT that says one thing and its server another", good(), with("iss", "https://evil.example.com"), "invalid_issuer", ""},
		"NoAudience":  {"RFC 8707: missing denies", token.New("opaque"), without("aud"), "invalid_audience", ""},
		"OtherAPI":    {"is for another", token.New("opaque"), with("aud", "billing"), "invalid_audience", ""},
		"Expired":     {"ours, not the server's", token.New("opaque"), with("exp", time.Now().Add(-time.Second).Unix()), "expired", ""},
		"Bound":       {"nobody proved possession", token.New("opaque"), with("cnf", map[string]any{"jkt": "x"}), "bound_token", ""},
		"Refresh":     {"is for the authorization server only", token.New("opaque"), with("token_type", "refresh_token"), "invalid_token_type", ""},
		"Inactive":    {"revoked", token.New("opaque"), map[string]any{"active": false}, "inactive", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			s.answers(func(call) (int, map[string]any) { return http.StatusOK, maps.Clone(tc.answer) })
			e := newEngine(t, Options{}, acceptsOpaque(t, s))
			for range 2 { // cold and warm
				d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("opaque"), Token: tc.token})
				want(t, tc.reason, outcome(d, err), tc.want)
				if tc.want != "Allow" {
					continue
				}
				if diff := cmp.Diff([]token.Header{{Name: "X-Auth-Issuer", Value: tc.issuer}}, d.Headers); diff != "" {
					t.Errorf("%s: -want +got: %s", tc.reason, diff)
				}
			}
		})
	}
}

// A cache hit must not skip what the miss was refused for (CVE-2021-32701): the two policies share
// a client, and so the facts.
func TestOpaqueIsEachPolicysWord(t *testing.T) {
	for name, active := range map[string]bool{"active": true, "inactive": false} {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			s.answers(func(call) (int, map[string]any) { return http.StatusOK, with("active", active) })
			e := newEngine(t, Options{}, acceptsOpaque(t, s))
			accepted := map[bool]string{true: "Allow", false: "inactive"}[active]
			opaque := token.New("opaque")
			want(t, "refused, cold", decide(t, e, "orders", opaque), "malformed_token")
			wantCalls(t, "without a call", s, 0)
			want(t, "accepted", decide(t, e, "opaque", opaque), accepted)
			want(t, "refused, warm", decide(t, e, "orders", opaque), "malformed_token")
			want(t, "accepted still", decide(t, e, "opaque", opaque), accepted)
			wantCalls(t, "one question", s, 1)
		})
	}
}

// unsupportedTokenType is node-oidc-provider's answer to a JWT.
func unsupportedTokenType(call) (int, map[string]any) {
	return http.StatusBadRequest, map[string]any{
		"error": "unsupported_token_type", "error_description": "Structured JWT Tokens cannot be introspected via the introspection_endpoint",
	}
}

// A form that the server does not introspect is a refusal that says so: no outage, and no
// fault of our credentials. Nothing is learnt about the token.
func TestUnsupportedToken(t *testing.T) {
	s := newIDP(t)
	s.answers(unsupportedTokenType)
	state := acceptsOpaque(t, s)
	state.Clients[0] = clientState("orders", "s1", "current", "next")
	e := newEngine(t, Options{}, state)
	for form, tok := range map[string]token.Token{"JWT": good(), "opaque": token.New("opaque")} {
		for _, req := range []token.Request{{Surface: token.SurfaceForwardAuth}, {Surface: token.SurfaceIntrospection, Client: ref("orders")}} {
			req.HTTP, req.Policy, req.Token = original(), ref("opaque"), tok
			d, err := e.Decide(t.Context(), req)
			want(t, string(req.Surface), outcome(d, err), "unsupported_token")
			if !strings.Contains(d.Message, "("+form+")") {
				t.Errorf("message %q does not say %q", d.Message, form)
			}
		}
	}
	wantCalls(t, "the other credential is not tried, and nothing is cached", s, 4)
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, claims() })
	want(t, "the server learnt it", decide(t, e, "orders", good()), "Allow")
}

// Whoever waits for the same answer does not ask again: the server would say the same.
func TestUnsupportedTokenIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, tell := 0, make(chan struct{})
		dial, state := scripted(func(context.Context, introspect.Credential, token.Token) (*token.Facts, error) {
			asked++
			<-tell
			return nil, introspect.ErrUnsupportedToken
		}, policyState(t, "orders", "orders", time.Hour))
		e := newEngine(t, Options{Clock: time.Now, Dial: dial}, state)
		said := make(chan string, 2)
		for range 2 {
			go func() { said <- decide(t, e, "orders", good()) }()
		}
		synctest.Wait()
		close(tell)
		want(t, "one", <-said, "unsupported_token")
		want(t, "the other", <-said, "unsupported_token")
		if asked != 1 {
			t.Errorf("the server was asked %d times", asked)
		}
		e.Close()
	})
}
