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
	if diff := cmp.Diff([]policy.Entry{{Client: "orders"}}, p.Entries()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if p.MaxAge() != 30*time.Second || p.StaleFor() != 0 || p.HeaderNames() != nil || p.Resource() != "" || p.ResourceMetadata() != "" || p.ServesTokenReview() {
		t.Errorf("maxAge %s, staleFor %s, headers %v, resource %q %q, TokenReview %t", p.MaxAge(), p.StaleFor(), p.HeaderNames(), p.Resource(), p.ResourceMetadata(), p.ServesTokenReview())
	}
	if p.ServiceAccount(token.Ref{}) || p.ServiceAccount(token.Ref{Namespace: "shop", Name: "orders"}) {
		t.Error("a ServiceAccount may ask that nobody named")
	}
	zero := compile(t, func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(0) })
	if zero.MaxAge() != 0 {
		t.Errorf("0s became %s", zero.MaxAge())
	}
}

func TestCompileOpaque(t *testing.T) {
	for value, want := range map[v1alpha1.OpaqueTokens]bool{"": false, v1alpha1.OpaqueRefused: false, v1alpha1.OpaqueAccepted: true} {
		if got := compile(t, opaque(value)).Entries()[0].Opaque; got != want {
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
		"no server":         {"nobody to ask", func(s *v1alpha1.TokenPolicySpec) { s.Accept = nil }, []string{"spec.accept has 0 entries: name 1 to 8"}},
		"no client":         {"nobody to ask as", func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].ClientRef.Name = "" }, []string{"spec.accept[0].clientRef.name is empty"}},
		"validation":        {"unknown must not mean the default", func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Validation = "local" }, []string{`spec.accept[0].validation is "local"`}},
		"opaque":            {"unknown must not mean Accepted", opaque("accepted"), []string{`spec.accept[0].opaque is "accepted"`}},
		"no clients":        {"an empty list is no requirement", clients(), []string{"spec.accept[0].clients.allow is empty"}},
		"empty client":      {"would match a token without one", clients("web", ""), []string{"spec.accept[0].clients.allow[1] is empty"}},
		"tenant":            {"nothing to look at", tenants(""), []string{"spec.accept[0].tenant.claim has 0 characters", "spec.accept[0].tenant.values is empty"}},
		"tenant claim":      {"no claim has such a name", tenants("te nant", "acme"), []string{`spec.accept[0].tenant.claim is "te nant"`}},
		"audiences":         {"an empty list is no requirement", audiences(), []string{"spec.require.audiences.anyOf is empty"}},
		"many audiences":    {"bounded work", audiences(many...), []string{"spec.require.audiences.anyOf has 65 values"}},
		"long audience":     {"bounded work", audiences(strings.Repeat("é", 256)), []string{"spec.require.audiences.anyOf[0] is longer than 255"}},
		"scopes":            {"an empty requirement is no requirement", scopesAll(), []string{"spec.require.scopes names no scope"}},
		"scope with space":  {"is two scopes", scopesAll("orders.read orders.write"), []string{`spec.require.scopes.allOf[0] is "orders.read orders.write"`}},
		"scope with quote":  {"RFC 6749", scopesAny("a", `b"`), []string{`spec.require.scopes.anyOf[1] is "b\""`}},
		"empty scope":       {"no token has it", scopesAll("a", ""), []string{"spec.require.scopes.allOf[1] is empty"}},
		"token type":        {"unknown must not be ignored", types("AccessToken", "LogoutToken"), []string{`spec.require.tokenTypes[1] is "LogoutToken"`}},
		"clock skew":        {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(6 * time.Minute) }, []string{"spec.require.clockSkew is 6m0s: it must be between 0s and 5m0s"}},
		"negative skew":     {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(-1) }, []string{"spec.require.clockSkew is -1ns"}},
		"max age":           {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(2 * time.Hour) }, []string{"spec.freshness.maxAge is 2h0m0s"}},
		"negative max age":  {"bounded", func(s *v1alpha1.TokenPolicySpec) { s.Freshness.MaxAge = duration(-1) }, []string{"spec.freshness.maxAge is -1ns"}},
		"max token age 0":   {"0 must not mean: no requirement", maxTokenAge(0), []string{"spec.require.maxTokenAge is 0s"}},
		"max auth age 0":    {"0 must not mean: no requirement", maxAuthAge(0), []string{"spec.require.maxAuthAge is 0s"}},
		"header":            {"an alias of itself", headers(map[string]string{"X_Auth": "sub"}), []string{`spec.respond.headers[0].name is "X_auth"`}},
		"header digit":      {"a letter first", headers(map[string]string{"1-Auth": "sub"}), []string{"spec.respond.headers[0].name is"}},
		"header injection":  {"no second header", headers(map[string]string{"X-A\r\nX-B": "sub"}), []string{"spec.respond.headers[0].name is"}},
		"empty header":      {"no name", headers(map[string]string{"": "sub"}), []string{"spec.respond.headers[0].name has 0 characters"}},
		"hop-by-hop":        {"GHSA-w9mr-28mw-j8hg: steers the connection", headers(map[string]string{"connection": "sub"}), []string{"spec.respond.headers[0].name is Connection, which has a meaning"}},
		"authorization":     {"the upstream's credential", headers(map[string]string{"Authorization": "sub"}), []string{"is Authorization, which has a meaning"}},
		"forwarded":         {"the gateway's own", headers(map[string]string{"x-forwarded-user": "sub"}), []string{"is X-Forwarded-User, which has a meaning"}},
		"decision id":       {"our own", headers(map[string]string{"Introspection-Decision": "sub"}), []string{"is Introspection-Decision, which has a meaning"}},
		"same header":       {"which one?", headers(map[string]string{"X-Auth": "sub", "x-auth": "iss"}), []string{`is "X-Auth", as another header is`}},
		"header claim":      {"nothing to send", headers(map[string]string{"X-Auth": ""}), []string{"spec.respond.headers[0].claim has 0 characters"}},
		"claim active":      {"always there", answers("sub", "active"), []string{"spec.respond.claims[1] is active"}},
		"claim cnf":         {"boundTokens decides", answers("cnf"), []string{"spec.respond.claims[0] is cnf"}},
		"claim twice":       {"a JSON member twice", answers("sub", "iss", "sub"), []string{`spec.respond.claims[2] is "sub" a second time`}},
		"header of nothing": {"nothing to send", expressions("X-A", ""), []string{"spec.respond.headers[0].claim has 0 characters"}},
		"header of both": {"which one?", func(s *v1alpha1.TokenPolicySpec) {
			s.Respond.Headers = []v1alpha1.ResponseHeader{{Name: "X-A", Claim: "sub", Expression: "claims.sub"}}
		}, []string{"spec.respond.headers[0] has claim and expression"}},
		"nine servers": {"bounded work", func(s *v1alpha1.TokenPolicySpec) { s.Accept = make([]v1alpha1.AcceptedServer, 9) }, []string{"spec.accept has 9 entries"}},
		"client twice": {"which requirements?", second("orders", ""), []string{`spec.accept[1].clientRef.name is "orders", as another entry's is`}},
		"opaque twice": {"it would be shown to both", func(s *v1alpha1.TokenPolicySpec) {
			second("b", v1alpha1.OpaqueAccepted)(s)
			s.Accept[0].Opaque = v1alpha1.OpaqueAccepted
		}, []string{"spec.accept[1].opaque is Accepted a second time"}},
		"no subjects":        {"an empty list is no requirement", subjects(), []string{"spec.accept[0].subjects.allow is empty"}},
		"sub of two servers": {"two users would be one", func(s *v1alpha1.TokenPolicySpec) { second("b", "")(s); headers(map[string]string{"X-A": "sub"})(s) }, []string{"spec.respond.headers carry sub and not iss"}},
		"no acr":             {"an empty list is no requirement", acr(), []string{"spec.require.acr.values is empty"}},
		"acr with space":     {"is two in a challenge", acr("a b"), []string{`spec.require.acr.values[0] is "a b"`}},
		"many acr":           {"bounded", acr(many[:17]...), []string{"spec.require.acr.values has 17 values: 16"}},
		"binding":            {"unknown must not mean None", bindings("dpop"), []string{`spec.require.binding.required is "dpop"`}},
		"DPoP, no resource":  {"a proof names a URL", func(s *v1alpha1.TokenPolicySpec) { bindings("Any")(s); s.Resource = nil }, []string{"spec.require.binding needs resource.identifier"}},
		"rule, no name":      {"a refusal names it", func(s *v1alpha1.TokenPolicySpec) { s.Require.Rules = []v1alpha1.Rule{{Expression: "true"}} }, []string{"spec.require.rules[0].name is \"\""}},
		"rule's odd name": {"it stands in a challenge", func(s *v1alpha1.TokenPolicySpec) {
			s.Require.Rules = []v1alpha1.Rule{{Name: `a"b`, Expression: "true"}}
		}, []string{"spec.require.rules[0].name is"}},
		"rule's odd message": {"it stands in a challenge", func(s *v1alpha1.TokenPolicySpec) {
			s.Require.Rules = []v1alpha1.Rule{{Name: "a", Message: "a\r\nb", Expression: "true"}}
		}, []string{"spec.require.rules[0].message is"}},
		"rule twice":       {"which one?", func(s *v1alpha1.TokenPolicySpec) { rules("true")(s); rules("false")(s) }, []string{`spec.require.rules[1].name is "r0" a second time`}},
		"rule of nothing":  {"nothing to evaluate", rules(""), []string{"spec.require.rules[0].expression has 0 characters"}},
		"long rule":        {"bounded", rules(strings.Repeat("1", 1025)), []string{"spec.require.rules[0].expression has 1025 characters"}},
		"many rules":       {"bounded", rules(strings.Split(strings.Repeat("true,", 16)+"true", ",")...), []string{"spec.require.rules has 17 entries"}},
		"maxAge, Local":    {"nobody is asked", func(s *v1alpha1.TokenPolicySpec) { local(s); maxAge(time.Second)(s) }, []string{"spec.freshness.maxAge bounds nothing"}},
		"stale, Local":     {"nothing is stale", func(s *v1alpha1.TokenPolicySpec) { local(s); stale(nil)(s) }, []string{"spec.outage bounds nothing"}},
		"outage":           {"unknown must not mean ServeStale", func(s *v1alpha1.TokenPolicySpec) { s.Outage.Mode = "servestale" }, []string{`spec.outage.mode is "servestale"`}},
		"staleFor, Deny":   {"it reads as if it did something", func(s *v1alpha1.TokenPolicySpec) { s.Outage.StaleFor = duration(time.Minute) }, []string{"spec.outage.staleFor is for mode ServeStale"}},
		"long staleFor":    {"bounded", stale(duration(11 * time.Minute)), []string{"spec.outage.staleFor is 11m0s: it must be between 1s and 10m0s"}},
		"resource":         {"no origin", resource("orders.example.com", ""), []string{`spec.resource.identifier is "orders.example.com"`}},
		"resource's query": {"a proof has none", resource("https://a.example?x", ""), []string{"spec.resource.identifier is"}},
		"resource's user":  {"a secret in a challenge", resource("https://u:p@a.example", ""), []string{"spec.resource.identifier is"}},
		"metadata":         {"it stands in a challenge", resource("", "http://a.example"), []string{"spec.resource.metadataURL is"}},
		"metadata's quote": {"no second parameter", resource("", `https://a.example/"`), []string{"spec.resource.metadataURL is"}},
		"long metadata":    {"bounded", resource("", "https://a.example/"+strings.Repeat("a", 512)), []string{"spec.resource.metadataURL is longer than 512"}},
		"exp":              {"unknown must not mean Clamp", func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Introspection.Exp = "clamp" }, []string{`spec.surfaces.introspection.exp is "clamp"`}},
		"bound tokens":     {"unknown must not mean CallerVerifies", func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Introspection.BoundTokens = "x" }, []string{"spec.surfaces.introspection.boundTokens is"}},
		"service account": {"whose?", func(s *v1alpha1.TokenPolicySpec) {
			s.Surfaces.Introspection.ServiceAccounts = []v1alpha1.ServiceAccountReference{{Name: "a"}}
		}, []string{"spec.surfaces.introspection.serviceAccounts[0] needs namespace and name"}},
		"preflight":          {"unknown must not mean Allow", func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Gateways.Preflight = "allow" }, []string{`spec.surfaces.gateways.preflight is "allow"`}},
		"no gateways":        {"an empty list is not all", func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.Gateways.Names = []string{} }, []string{"spec.surfaces.gateways.names is empty"}},
		"host with port":     {"it would match none", hosts("a.example:443"), []string{`spec.surfaces.gateways.hosts[0] is "a.example:443"`}},
		"review audiences":   {"none means good for the API server", func(s *v1alpha1.TokenPolicySpec) { review("claims.sub", "")(s); s.Surfaces.TokenReview.Audiences = nil }, []string{"spec.surfaces.tokenReview.audiences is empty"}},
		"review username":    {"nobody", review("", ""), []string{"spec.surfaces.tokenReview.username has 0 characters"}},
		"review extra":       {"the API server would refuse it", review("claims.sub", "", v1alpha1.ExtraMapping{Key: "Tenant", Expression: "''"}), []string{`spec.surfaces.tokenReview.extra[0].key is "Tenant"`}},
		"review extra twice": {"which one?", review("claims.sub", "", v1alpha1.ExtraMapping{Key: "a.b/c", Expression: "''"}, v1alpha1.ExtraMapping{Key: "a.b/c", Expression: "''"}), []string{"spec.surfaces.tokenReview.extra[1].key is \"a.b/c\" a second time"}},
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

// TestCompileTakes what stands beside the refusals.
func TestCompileTakes(t *testing.T) {
	p := compile(t, second("b", ""), headers(map[string]string{"X-Iss": "iss", "X-Sub": "sub"}), stale(nil), bindings(v1alpha1.BindingDPoP),
		func(s *v1alpha1.TokenPolicySpec) {
			s.Accept[0].Validation = v1alpha1.ValidationLocal // another entry is asked about: maxAge bounds that
			s.Freshness.MaxAge = duration(time.Minute)
			s.Resource.MetadataURL = "https://orders.example.com/.well-known/oauth-protected-resource"
			s.Surfaces.Introspection.ServiceAccounts = []v1alpha1.ServiceAccountReference{{Namespace: "shop", Name: "orders"}}
		}, review("claims.sub", ""))
	if p.StaleFor() != 2*time.Minute || p.MaxAge() != time.Minute || p.Resource() != "https://orders.example.com" || !strings.HasSuffix(p.ResourceMetadata(), "resource") || !p.ServesTokenReview() {
		t.Errorf("staleFor %s, maxAge %s, resource %s %s, TokenReview %t", p.StaleFor(), p.MaxAge(), p.Resource(), p.ResourceMetadata(), p.ServesTokenReview())
	}
	if !p.ServiceAccount(token.Ref{Namespace: "shop", Name: "orders"}) || p.ServiceAccount(token.Ref{Namespace: "other", Name: "orders"}) {
		t.Error("another ServiceAccount may ask")
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

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"accept":[{"clientRef":{"name":"orders"}}],"require":{"scopes":{"allOf":["orders.read"]}}}`,
		`{"accept":[{"clientRef":{"name":"o"},"validation":"Introspect","clients":{"allow":["web"]},"tenant":{"claim":"t","values":["acme"]}}],
		  "require":{"audiences":{"anyOf":["a"]},"scopes":{"anyOf":["a"]},"tokenTypes":["IDToken"],"maxAuthAge":"1h","maxTokenAge":"12h","clockSkew":"0s"},
		  "freshness":{"maxAge":"0s"},"respond":{"headers":[{"name":"X-A","claim":"sub"}],"claims":["sub"]}}`,
	} {
		f.Add(seed)
	}
	f.Add(`{"accept":[{"clientRef":{"name":"o"},"validation":"Local","opaque":"Accepted","subjects":{"allow":["a"]}},{"clientRef":{"name":"p"}}],
	  "require":{"acr":{"values":["a"]},"binding":{"required":"Any"},"rules":[{"name":"a","expression":"claims.sub != ''","message":"m"}]},"outage":{"mode":"ServeStale","staleFor":"1s"},
	  "resource":{"identifier":"https://a.example/b","metadataURL":"https://a.example/m"},"surfaces":{"introspection":{"serviceAccounts":[{"namespace":"a","name":"b"}],"exp":"Clamp","boundTokens":"CallerVerifies"},
	  "gateways":{"names":["a"],"hosts":["a.example"],"preflight":"Allow"},"tokenReview":{"username":"claims.sub","groups":"[]","extra":[{"key":"a.b/c","expression":"''"}],"audiences":["a"]}},
	  "respond":{"headers":[{"name":"X-A","expression":"claims.sub"}]}}`)
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
		if body, err := p.Body(facts()); err != nil || !json.Valid(body.At(now())) {
			t.Fatalf("body %s, error %v", body.At(now()), err)
		}
		if len(p.Headers(facts())) != len(p.HeaderNames()) {
			t.Fatal("headers are missing")
		}
		if user, d := p.User(facts(), []string{"a", "kubernetes"}); (user == nil) == (d == nil) || user != nil && len(user.Audiences) == 0 {
			t.Fatalf("user %+v, decision %+v", user, d)
		}
		for _, r := range p.Revocation(nil) {
			if r.Bound == "" || len(r.Bound) > 255 {
				t.Fatalf("bound %+v", r)
			}
		}
	})
}
