// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const partner = "https://login.partner.example"

// account is one that the policy of two servers lists.
func account() token.Ref { return token.Ref{Namespace: "tools", Name: "prober"} }

// ofPartner are the claims of a good token of the second server.
func ofPartner() map[string]any {
	c := claims()
	c["iss"], c["sub"], c["aud"], c["tenant"] = partner, "bob", "orders", "acme"
	return c
}

// two is a state of one policy that accepts two servers; opaque tokens are the second's.
func two(t *testing.T, first, second *idp) State {
	t.Helper()
	second.answers(func(call) (int, map[string]any) { return http.StatusOK, ofPartner() })
	p := policyWith(t, "orders", "orders", func(spec *v1alpha1.TokenPolicySpec) {
		spec.Accept = append(spec.Accept, v1alpha1.AcceptedServer{
			ClientRef: v1alpha1.LocalReference{Name: "partner"}, Opaque: v1alpha1.OpaqueAccepted,
			Tenant:  &v1alpha1.TenantRequirement{Claim: "tenant", Values: []string{"acme"}},
			Clients: &v1alpha1.ClientRequirement{Allow: []string{"web"}},
		})
		spec.Accept[0].Clients = &v1alpha1.ClientRequirement{Allow: []string{"web", "mobile"}}
		spec.Require.Audiences = &v1alpha1.AudienceRequirement{AnyOf: []string{"shop.orders", "orders"}}
		spec.Freshness.MaxAge = &metav1.Duration{Duration: time.Hour}
		spec.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-Auth-Subject", Claim: "sub"}, {Name: "X-Auth-Issuer", Claim: "iss"}}
		spec.Surfaces.Introspection.ServiceAccounts = []v1alpha1.ServiceAccountReference{{Namespace: account().Namespace, Name: account().Name}}
	})
	other := second.state("s2")
	other.Issuer = partner
	client := clientState("partner", "s2", "partners-secret")
	client.ClientID = "orders"
	return State{
		Policies: []PolicyState{p},
		Clients:  []ClientState{clientState("orders", "s1", "secret"), client},
		Servers:  []ServerState{first.state("s1"), other},
	}
}

// A token goes to the one server that it names, and to no other.
func TestSeveralServers(t *testing.T) {
	down := func(call) (int, map[string]any) { return http.StatusBadGateway, nil }
	says := func(name string, value any) func(call) (int, map[string]any) {
		return func(call) (int, map[string]any) {
			c := ofPartner()
			c[name] = value
			return http.StatusOK, c
		}
	}
	cases := map[string]struct {
		reason string
		token  token.Token
		first  func(call) (int, map[string]any)
		second func(call) (int, map[string]any)
		state  func(*State)
		want   string
		calls  [2]int
	}{
		"First":       {reason: "by iss", token: good(), want: "Allow", calls: [2]int{1, 0}},
		"Second":      {reason: "by iss", token: unsigned(map[string]any{"iss": partner}), want: "Allow", calls: [2]int{0, 1}},
		"Neither":     {reason: "a live credential of somebody else's", token: unsigned(map[string]any{"iss": "https://evil.example.com"}), want: "invalid_issuer"},
		"NoIssuer":    {reason: "chooses none", token: unsigned(map[string]any{"sub": "x"}), want: "invalid_issuer"},
		"Opaque":      {reason: "goes to the one entry that accepts it", token: token.New("opaque"), want: "Allow", calls: [2]int{0, 1}},
		"FirstDown":   {reason: "the next is not tried", token: good(), first: down, want: "server_unavailable", calls: [2]int{2, 0}},
		"SecondDown":  {reason: "the others are not tried", token: unsigned(map[string]any{"iss": partner}), second: down, want: "server_unavailable", calls: [2]int{0, 2}},
		"OpaqueDown":  {reason: "no other server may see it", token: token.New("opaque"), second: down, want: "server_unavailable", calls: [2]int{0, 2}},
		"DownOthers":  {reason: "one's outage is not the other's", token: good(), second: down, want: "Allow", calls: [2]int{1, 0}},
		"SwappedIss":  {reason: "a server that answers for the other", token: unsigned(map[string]any{"iss": partner}), second: says("iss", issuer), want: "invalid_issuer", calls: [2]int{0, 1}},
		"OpaqueIss":   {reason: "it can't say that it is the other", token: token.New("opaque"), second: says("iss", issuer), want: "invalid_issuer", calls: [2]int{0, 1}},
		"Tenant":      {reason: "is demanded of the entry's tokens", token: unsigned(map[string]any{"iss": partner}), second: says("tenant", "evil"), want: "tenant_not_allowed", calls: [2]int{0, 1}},
		"Client":      {reason: "mobile is a client of the first's only", token: unsigned(map[string]any{"iss": partner}), second: says("client_id", "mobile"), want: "client_not_allowed", calls: [2]int{0, 1}},
		"NotReady":    {reason: "blocks its own tokens", token: good(), state: func(s *State) { s.Clients[0].Verified = false }, want: "client_not_ready"},
		"OtherIsNot":  {reason: "and no others", token: unsigned(map[string]any{"iss": partner}), state: func(s *State) { s.Clients[0].Verified = false }, want: "Allow", calls: [2]int{0, 1}},
		"Missing":     {reason: "nobody knows whose tokens it accepts", token: good(), state: func(s *State) { s.Clients = s.Clients[1:] }, want: "client_not_ready"},
		"OtherMiss":   {reason: "the rest goes on", token: good(), state: func(s *State) { s.Clients = s.Clients[:1] }, want: "Allow", calls: [2]int{1, 0}},
		"MissStrange": {reason: "it may be of the one that is missing: nobody can tell", token: unsigned(map[string]any{"iss": "https://evil.example.com"}), state: func(s *State) { s.Clients = s.Clients[:1] }, want: "client_not_ready"},
		"Withdrawn":   {reason: "the platform withdrew one", token: unsigned(map[string]any{"iss": partner}), state: func(s *State) { s.Servers[1].Namespaces = nil }, want: "access_withdrawn"},
		"OpaqueGone":  {reason: "the one that may see it is not ready", token: token.New("opaque"), state: func(s *State) { s.Clients[1].Verified = false }, want: "client_not_ready"},
		"SameIssuer":  {reason: "a token would have two owners", token: good(), state: func(s *State) { s.Servers[1].Issuer = issuer }, want: "policy_invalid"},
		"SameServer":  {reason: "two clients of one server: the same", token: good(), state: func(s *State) { s.Clients[1].Server = "s1" }, want: "policy_invalid"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			first, second := newIDP(t), newIDP(t)
			state := two(t, first, second)
			if tc.first != nil {
				first.answers(tc.first)
			}
			if tc.second != nil {
				second.answers(tc.second)
			}
			if tc.state != nil {
				tc.state(&state)
			}
			e := newEngine(t, Options{}, state)
			for range 2 { // cold, and warm where that can be
				want(t, tc.reason, decide(t, e, "orders", tc.token), tc.want)
			}
			wantCalls(t, tc.reason+": the first", first, tc.calls[0])
			wantCalls(t, tc.reason+": the second", second, tc.calls[1])
		})
	}
}

// What a gateway hands on says whose subject it is: two servers may each have an alice.
func TestSubjectBesideIssuer(t *testing.T) {
	first, second := newIDP(t), newIDP(t)
	e := newEngine(t, Options{}, two(t, first, second))
	for tok, said := range map[token.Token][2]string{
		good():                                   {"alice", issuer},
		unsigned(map[string]any{"iss": partner}): {"bob", partner},
		token.New("opaque"):                      {"bob", partner},
	} {
		for range 2 {
			d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: tok})
			if err != nil || len(d.Headers) != 2 || d.Headers[0].Value != said[0] || d.Headers[1].Value != said[1] {
				t.Errorf("Decide(...): got %v, %v, want %v", d.Headers, err, said)
			}
		}
	}
}

// CVE-2026-37979, CVE-2026-58425: anyone could introspect anyone's token. Client X is answered
// from X's entry only, a ServiceAccount where it is listed, and a stranger not at all.
func TestCVE_2026_58425(t *testing.T) {
	ofFirst, ofSecond, opaque := good(), unsigned(map[string]any{"iss": partner}), token.New("opaque")
	cases := map[string]struct {
		reason  string
		client  token.Ref
		account token.Ref
		policy  token.Ref
		token   token.Token
		want    string
		calls   [2]int
	}{
		"Own":             {reason: "X's entry", client: ref("orders"), token: ofFirst, want: "Allow", calls: [2]int{1, 0}},
		"OfTheOther":      {reason: "a token that its entry does not accept", client: ref("orders"), token: ofSecond, want: "invalid_issuer"},
		"OpaqueOfOther":   {reason: "the opaque ones are the partner's", client: ref("orders"), token: opaque, want: "malformed_token"},
		"PartnersOwn":     {reason: "the partner's entry", client: ref("partner"), token: ofSecond, want: "Allow", calls: [2]int{0, 1}},
		"PartnersOpaque":  {reason: "the partner's entry", client: ref("partner"), token: opaque, want: "Allow", calls: [2]int{0, 1}},
		"PartnerOfFirst":  {reason: "not the partner's", client: ref("partner"), token: ofFirst, want: "invalid_issuer"},
		"AccountFirst":    {reason: "an account is answered from all entries", account: account(), token: ofFirst, want: "Allow", calls: [2]int{1, 0}},
		"AccountSecond":   {reason: "an account is answered from all entries", account: account(), token: ofSecond, want: "Allow", calls: [2]int{0, 1}},
		"StrangeAccount":  {reason: "is not listed", account: token.Ref{Namespace: "tools", Name: "other"}, token: ofFirst, want: "caller_unknown"},
		"AccountsName":    {reason: "the same name elsewhere", account: token.Ref{Namespace: "evil", Name: "prober"}, token: ofFirst, want: "caller_unknown"},
		"AccountNoPolicy": {reason: "in the same words, whether there is one or not", account: account(), policy: ref("missing"), token: ofFirst, want: "caller_unknown"},
		"Both":            {reason: "an account that also claims to be a client is an account", account: token.Ref{Namespace: "evil", Name: "x"}, client: ref("orders"), token: ofFirst, want: "caller_unknown"},
		"TenantB":         {reason: "of another namespace", client: token.Ref{Namespace: "evil", Name: "orders"}, token: ofFirst, want: "no_policy"},
		"ClientUnnamed":   {reason: "a client that the policy does not name", client: ref("third"), token: ofFirst, want: "no_policy"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			first, second := newIDP(t), newIDP(t)
			e := newEngine(t, Options{}, two(t, first, second))
			// Whatever is known already: nobody learns it whom it does not concern.
			for _, warm := range []token.Token{ofFirst, ofSecond, opaque} {
				want(t, "warmed", decide(t, e, "orders", warm), "Allow")
			}
			cold := newEngine(t, Options{}, two(t, first, second))
			before := [2]int{first.asked(), second.asked()}
			asked := tc.policy
			if asked == (token.Ref{}) {
				asked = ref("orders")
			}
			req := token.Request{Surface: token.SurfaceIntrospection, Policy: asked, Client: tc.client, ServiceAccount: tc.account, Token: tc.token}
			d, err := e.Decide(t.Context(), req)
			want(t, tc.reason+", warm", outcome(d, err), tc.want)
			d, err = cold.Decide(t.Context(), req)
			want(t, tc.reason+", cold", outcome(d, err), tc.want)
			if tc.want != "Allow" && d.Body != nil {
				t.Errorf("%s: a body beside a refusal: %s", tc.reason, d.Body)
			}
			wantCalls(t, tc.reason+": the first", first, before[0]+tc.calls[0])
			wantCalls(t, tc.reason+": the second", second, before[1]+tc.calls[1])
		})
	}
}

// CVE-2026-37979: a caller outside of the audience learns nothing but a refusal.
func TestCVE_2026_37979(t *testing.T) {
	s := newIDP(t)
	s.answers(func(call) (int, map[string]any) { return http.StatusOK, with("aud", "billing") })
	state := one(t, s, time.Hour)
	e := newEngine(t, Options{}, state)
	for range 2 {
		d, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceIntrospection, Policy: ref("orders"), Client: ref("orders"), Token: good()})
		want(t, "a token of another API", outcome(d, err), "invalid_audience")
		if d.Body != nil || strings.Contains(d.Message, "billing") {
			t.Errorf("Decide(...): got body %q and message %q: that is another API's token", d.Body, d.Message)
		}
	}
}

// A policy of two entries of which one is broken says which, for the right token.
func TestOneEntryIsNotReady(t *testing.T) {
	first, second := newIDP(t), newIDP(t)
	state := two(t, first, second)
	state.Clients[1].Verified = false
	e := newEngine(t, Options{}, state)
	_, err := e.Decide(t.Context(), token.Request{Surface: token.SurfaceForwardAuth, HTTP: original(), Policy: ref("orders"), Token: token.New("opaque")})
	u, ok := errors.AsType[*token.Undecided](err)
	if !ok || !strings.Contains(u.Message, "shop/partner") {
		t.Errorf("Decide(...): got %v, want the client named", err)
	}
}
