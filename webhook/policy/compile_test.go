// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestCompileDefaults(t *testing.T) {
	p := compile(t)
	if p.ClientName() != "orders" || p.MaxAge() != 30*time.Second || p.HeaderNames() != nil {
		t.Errorf("client %q, maxAge %s, headers %v", p.ClientName(), p.MaxAge(), p.HeaderNames())
	}
	zero := compile(t, func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(0) })
	if zero.MaxAge() != 0 {
		t.Errorf("0s became %s", zero.MaxAge())
	}
}

func TestCompileOpaque(t *testing.T) {
	for value, want := range map[v1alpha1.OpaqueTokens]bool{"": false, v1alpha1.OpaqueRefused: false, v1alpha1.OpaqueAccepted: true} {
		if got := compile(t, opaque(value)).AcceptsOpaque(); got != want {
			t.Errorf("opaque %q: accepted %t", value, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = "v" + strings.Repeat("x", i)
	}
	cases := map[string]struct {
		reason string
		spec   func(*v1alpha1.TokenPolicySpec)
		want   []string
	}{
		"no server":        {"nobody to ask", func(s *v1alpha1.TokenPolicySpec) { s.Accept = nil }, []string{"spec.accept has 0 entries: name one"}},
		"two servers":      {"not yet", func(s *v1alpha1.TokenPolicySpec) { s.Accept = append(s.Accept, s.Accept[0]) }, []string{"spec.accept has 2 entries"}},
		"no client":        {"nobody to ask as", func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].ClientRef.Name = "" }, []string{"spec.accept[0].clientRef.name is empty"}},
		"validation":       {"unknown must not mean the default", func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Validation = "Local" }, []string{`spec.accept[0].validation is "Local"`}},
		"opaque":           {"unknown must not mean Accepted", opaque("accepted"), []string{`spec.accept[0].opaque is "accepted"`}},
		"no clients":       {"an empty list is no requirement", clients(), []string{"spec.accept[0].clients.allow is empty"}},
		"empty client":     {"would match a token without one", clients("web", ""), []string{"spec.accept[0].clients.allow[1] is empty"}},
		"tenant":           {"nothing to look at", tenants(""), []string{"spec.accept[0].tenant.claim has 0 characters", "spec.accept[0].tenant.values is empty"}},
		"tenant claim":     {"no claim has such a name", tenants("te nant", "acme"), []string{`spec.accept[0].tenant.claim is "te nant"`}},
		"audiences":        {"an empty list is no requirement", audiences(), []string{"spec.require.audiences.anyOf is empty"}},
		"many audiences":   {"bounded work", audiences(many...), []string{"spec.require.audiences.anyOf has 65 values"}},
		"long audience":    {"bounded work", audiences(strings.Repeat("é", 256)), []string{"spec.require.audiences.anyOf[0] is longer than 255"}},
		"scopes":           {"an empty requirement is no requirement", scopesAll(), []string{"spec.require.scopes names no scope"}},
		"scope with space": {"is two scopes", scopesAll("orders.read orders.write"), []string{`spec.require.scopes.allOf[0] is "orders.read orders.write"`}},
		"scope with quote": {"RFC 6749", scopesAny("a", `b"`), []string{`spec.require.scopes.anyOf[1] is "b\""`}},
		"empty scope":      {"no token has it", scopesAll("a", ""), []string{"spec.require.scopes.allOf[1] is empty"}},
		"token type":       {"unknown must not be ignored", types("AccessToken", "LogoutToken"), []string{`spec.require.tokenTypes[1] is "LogoutToken"`}},
		"clock skew":       {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(6 * time.Minute) }, []string{"spec.require.clockSkew is 6m0s: it must be between 0s and 5m0s"}},
		"negative skew":    {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(-1) }, []string{"spec.require.clockSkew is -1ns"}},
		"max age":          {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(2 * time.Hour) }, []string{"spec.freshness.maxAge is 2h0m0s"}},
		"negative max age": {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(-1) }, []string{"spec.freshness.maxAge is -1ns"}},
		"max token age 0":  {"0 must not mean: no requirement", maxTokenAge(0), []string{"spec.require.maxTokenAge is 0s"}},
		"max auth age 0":   {"0 must not mean: no requirement", maxAuthAge(0), []string{"spec.require.maxAuthAge is 0s"}},
		"header":           {"an alias of itself", headers(map[string]string{"X_Auth": "sub"}), []string{`spec.respond.headers[0].name is "X_auth"`}},
		"header digit":     {"a letter first", headers(map[string]string{"1-Auth": "sub"}), []string{"spec.respond.headers[0].name is"}},
		"header injection": {"no second header", headers(map[string]string{"X-A\r\nX-B": "sub"}), []string{"spec.respond.headers[0].name is"}},
		"empty header":     {"no name", headers(map[string]string{"": "sub"}), []string{"spec.respond.headers[0].name has 0 characters"}},
		"hop-by-hop":       {"GHSA-w9mr-28mw-j8hg: steers the connection", headers(map[string]string{"connection": "sub"}), []string{"spec.respond.headers[0].name is Connection, which has a meaning"}},
		"authorization":    {"the upstream's credential", headers(map[string]string{"Authorization": "sub"}), []string{"is Authorization, which has a meaning"}},
		"forwarded":        {"the gateway's own", headers(map[string]string{"x-forwarded-user": "sub"}), []string{"is X-Forwarded-User, which has a meaning"}},
		"decision id":      {"our own", headers(map[string]string{"Introspection-Decision": "sub"}), []string{"is Introspection-Decision, which has a meaning"}},
		"same header":      {"which one?", headers(map[string]string{"X-Auth": "sub", "x-auth": "iss"}), []string{`is "X-Auth", as another header is`}},
		"header claim":     {"nothing to send", headers(map[string]string{"X-Auth": ""}), []string{"spec.respond.headers[0].claim has 0 characters"}},
		"claim active":     {"always there", answers("sub", "active"), []string{"spec.respond.claims[1] is active"}},
		"claim cnf":        {"nobody proved possession", answers("cnf"), []string{"spec.respond.claims[0] is cnf"}},
		"claim twice":      {"a JSON member twice", answers("sub", "iss", "sub"), []string{`spec.respond.claims[2] is "sub" a second time`}},
		"everything at once": {"one look is enough", func(s *v1alpha1.TokenPolicySpec) {
			s.Accept[0].ClientRef.Name = ""
			scopesAll("a b")(s)
			answers("cnf")(s)
		}, []string{"spec.accept[0].clientRef.name", "; spec.require.scopes.allOf[0]", "; spec.respond.claims[0]"}},
		"too much at once": {"a condition's message is bounded", scopesAll(strings.Split(strings.Repeat(" ,", 30)+" ", ",")...), []string{"; and 11 more"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := policy.Compile(object(c.spec))
			if err == nil || p != nil {
				t.Fatalf("%s: it compiles", c.reason)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: no %q in %q", c.reason, want, err)
				}
			}
		})
	}
	if _, err := policy.Compile(nil); err == nil {
		t.Error("nothing compiles")
	}
}

// TestCompileCopies: a change of the object afterwards changes no judgement.
func TestCompileCopies(t *testing.T) {
	o := object(scopesAll("orders.read"), clients("web"), audiences("shop.orders"))
	p, err := policy.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Spec.Require.Scopes.AllOf[0] = "x"
	o.Spec.Require.Audiences.AnyOf[0] = "x"
	o.Spec.Accept[0].Clients.Allow[0] = "x"
	if d := p.Judge(input(facts())); d.Verdict != token.Allow {
		t.Errorf("%s %q", d.Verdict, d.Reason)
	}
}

func TestIsAlias(t *testing.T) {
	p := compile(t, headers(map[string]string{"X-Auth-Subject": "sub", "x-auth-scope": "scope"}))
	if diff := cmp.Diff([]string{"X-Auth-Subject", "X-Auth-Scope"}, p.HeaderNames()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for sent, want := range map[string]bool{
		"X_Auth_Scope": true, "x.auth.subject": true,
		"X-Auth-Scope": false, "x-auth-subject": false, "X_Auth_Other": false, "Accept": false,
	} {
		if got := p.IsAlias(sent); got != want {
			t.Errorf("IsAlias(%q) = %t", sent, got)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"accept":[{"clientRef":{"name":"orders"}}],"require":{"scopes":{"allOf":["orders.read"]}}}`,
		`{"accept":[{"clientRef":{"name":"o"},"validation":"Introspect","clients":{"allow":["web"]},"tenant":{"claim":"t","values":["acme"]}}],
		  "require":{"audiences":{"anyOf":["a"]},"scopes":{"anyOf":["a"]},"tokenTypes":["IDToken"],"maxAuthAge":"1h","maxTokenAge":"12h","clockSkew":"0s"},
		  "freshness":{"maxAge":"0s"},"respond":{"headers":[{"name":"X-A","claim":"sub"}],"claims":["sub"]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		var o v1alpha1.TokenPolicy
		if json.Unmarshal([]byte(spec), &o.Spec) != nil {
			return
		}
		p, err := policy.Compile(&o)
		if (p == nil) != (err != nil) {
			t.Fatalf("policy %v, error %v", p, err)
		}
		if err != nil {
			return
		}
		for _, in := range []policy.Input{{}, input(&token.Facts{}), input(&token.Facts{Active: true})} {
			d := p.Judge(in)
			if d.Verdict == token.Allow {
				t.Fatalf("%+v is allowed by %s", in.Facts, spec)
			}
			fit(t, d)
		}
		if body, err := p.Body(facts()); err != nil || !json.Valid(body) {
			t.Fatalf("body %s, error %v", body, err)
		}
		if len(p.Headers(facts())) != len(p.HeaderNames()) {
			t.Fatal("headers are missing")
		}
	})
}
