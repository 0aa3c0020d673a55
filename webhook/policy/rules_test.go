// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// rules are named after their place: r0, r1, and so on.
func rules(expressions ...string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		for i, e := range expressions {
			s.Require.Rules = append(s.Require.Rules, v1alpha1.Rule{Name: "r" + string(rune('0'+i)), Expression: e})
		}
	}
}

func claiming(answer string) said {
	return func(f *token.Facts) { f.Claims = claims(answer) }
}

// request that a gateway asks about.
func request(method, target string, headers http.Header) *token.HTTPRequest {
	return &token.HTTPRequest{Method: method, Host: "Orders.Example.com:8443", Target: target, Headers: token.HTTPHeaders(headers)}
}

func TestRules(t *testing.T) {
	many := `{"n":[` + strings.Repeat("1,", 299) + `1],"s":"` + strings.Repeat("a", 9000) + `"}`
	cases := map[string]struct {
		reason string
		rules  []string
		claims string
		want   token.Reason
	}{
		"true":                {"it holds", []string{"true"}, `{}`, token.ReasonNone},
		"false":               {"it does not", []string{"false"}, `{}`, token.ReasonRuleDenied},
		"claim":               {"what the server said", []string{"claims.tenant == 'acme'"}, `{"tenant":"acme"}`, token.ReasonNone},
		"other claim":         {"not that", []string{"claims.tenant == 'acme'"}, `{"tenant":"other"}`, token.ReasonRuleDenied},
		"all of them":         {"each must hold", []string{"true", "claims.n > 1"}, `{"n":1}`, token.ReasonRuleDenied},
		"unknown claim":       {"an error denies", []string{"claims.tenant != 'evil'"}, `{}`, token.ReasonRuleError},
		"asked for":           {"has says whether it is there", []string{"!has(claims.tenant) || claims.tenant == 'acme'"}, `{}`, token.ReasonNone},
		"null":                {"present and nothing", []string{"has(claims.tenant) && claims.tenant == null"}, `{"tenant":null}`, token.ReasonNone},
		"other type":          {"an error denies", []string{"claims.tenant.startsWith('a')"}, `{"tenant":7}`, token.ReasonRuleError},
		"other type, not":     {"an error denies, negated too", []string{"!claims.tenant.startsWith('a')"}, `{"tenant":7}`, token.ReasonRuleError},
		"no boolean":          {"a claim that is true is needed", []string{"claims.admin"}, `{"admin":"true"}`, token.ReasonRuleError},
		"boolean claim":       {"true", []string{"claims.admin"}, `{"admin":true}`, token.ReasonNone},
		"one is no boolean":   {"JSON has booleans", []string{"claims.admin"}, `{"admin":1}`, token.ReasonRuleError},
		"integer":             {"no float: 2^53+1", []string{"claims.n == 9007199254740993"}, `{"n":9007199254740993}`, token.ReasonNone},
		"integer, not":        {"no float: 2^53", []string{"claims.n == 9007199254740993"}, `{"n":9007199254740992}`, token.ReasonRuleDenied},
		"beyond int64":        {"unsigned", []string{"claims.n == 18446744073709551615u"}, `{"n":18446744073709551615}`, token.ReasonNone},
		"no double":           {"a number that no double holds is no number", []string{"claims.n > 0"}, `{"n":1e999}`, token.ReasonRuleError},
		"fraction":            {"a double", []string{"claims.n > 0.4 && claims.n < 0.6"}, `{"n":0.5}`, token.ReasonNone},
		"nested":              {"Keycloak's roles", []string{"'admin' in claims.realm_access.roles"}, `{"realm_access":{"roles":["user","admin"]}}`, token.ReasonNone},
		"odd name":            {"a claim of a URL's name", []string{"claims['https://example.com/tier'] in ['gold', 'silver']"}, `{"https://example.com/tier":"gold"}`, token.ReasonNone},
		"strings":             {"the extension", []string{"claims.email.lowerAscii().split('@')[1] == 'example.com'"}, `{"email":"A@Example.com"}`, token.ReasonNone},
		"sets":                {"the extension", []string{"sets.intersects(claims.groups, ['a', 'b'])"}, `{"groups":["x","b"]}`, token.ReasonNone},
		"sets, not":           {"none in common", []string{"sets.intersects(claims.groups, ['a', 'b'])"}, `{"groups":["x"]}`, token.ReasonRuleDenied},
		"regular expression":  {"RE2", []string{"claims.sub.matches('^[a-z]{1,8}-[0-9]+$')"}, `{"sub":"a-1"}`, token.ReasonNone},
		"macro":               {"over a list", []string{"claims.roles.exists(r, r.startsWith('orders.'))"}, `{"roles":["x","orders.read"]}`, token.ReasonNone},
		"divided by zero":     {"an error denies", []string{"1 / claims.n > 0"}, `{"n":0}`, token.ReasonRuleError},
		"cost: nested macros": {"bounded work", []string{"claims.n.all(a, claims.n.all(b, claims.n.all(c, true)))"}, many, token.ReasonRuleError},
		"cost: a macro":       {"300 elements are too many for four steps each", []string{"claims.n.all(a, a + a + a + a > 0)"}, many, token.ReasonRuleError},
		"cost: pattern":       {"9,000 bytes against a pattern", []string{"claims.s.matches('^(a|b)+(a|b|c)+(a|d)+$')"}, many, token.ReasonRuleError},
		"cost: strings":       {"each doubles what it is", []string{"[claims.s].map(a, a + a).size() == 1"}, many, token.ReasonRuleError},
		"cost: replace":       {"a chain multiplies", []string{"claims.s.replace('a', 'aaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaa').size() > 0"}, many, token.ReasonRuleError},
		"cost: shared lists": {
			"doublings cost little to make, and for ever to compare",
			[]string{"[0]" + doubled("[", "a,", "]") + " == [1]" + doubled("[", "a,", "]")},
			`{}`, token.ReasonRuleError,
		},
		"cost: shared sums": {
			"so do sums of lists",
			[]string{"[[0]]" + doubled("[]", "+a", "") + " == [[1]]" + doubled("[]", "+a", "")},
			`{}`, token.ReasonRuleError,
		},
		"cost: all together": {"1,000 units are for all rules", []string{
			"claims.n.filter(a, a > 0).size() < 90 || true", "claims.t.all(a, a > 0)", "claims.t.all(a, a > 0)", "claims.t.all(a, a > 0)", "claims.t.all(a, a > 0)",
		}, `{"n":[1],"t":[` + strings.Repeat("1,", 69) + `1]}`, token.ReasonRuleError},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, rules(c.rules...))
			if err := p.Prepare(); err != nil {
				t.Fatal(err)
			}
			d := p.Judge(input(facts(claiming(c.claims))))
			if d.Reason != c.want || (d.Verdict == token.Allow) != (c.want == token.ReasonNone) {
				t.Errorf("%s: %s %q (%s), want %q", c.reason, d.Verdict, d.Reason, d.Message, c.want)
			}
			fit(t, d)
		})
	}
}

// doubled is three macros, of which each makes twenty of what it gets.
func doubled(begin, each, end string) string {
	return strings.Repeat(".map(a,"+begin+strings.TrimSuffix(strings.Repeat(each, 20), ",")+end+")", 3)
}

// TestRulesOnLargeFacts: the cost of a call is known when it is over.
func TestRulesOnLargeFacts(t *testing.T) {
	p := compile(t, rules("true"))
	d := p.Judge(input(facts(func(f *token.Facts) { f.Size = 64<<10 + 1 })))
	if d.Reason != token.ReasonRuleError {
		t.Errorf("%s %q", d.Verdict, d.Reason)
	}
}

func TestRuleMessages(t *testing.T) {
	cases := map[string]struct {
		reason string
		rule   v1alpha1.Rule
		want   token.Decision
	}{
		"own":      {"as the policy says it", v1alpha1.Rule{Name: "gold", Expression: "false", Message: "Only gold customers may order."}, token.Decision{Reason: token.ReasonRuleDenied, Message: "Only gold customers may order."}},
		"none":     {"by its name", v1alpha1.Rule{Name: "gold only", Expression: "false"}, token.Decision{Reason: token.ReasonRuleDenied, Message: "The rule gold only does not hold."}},
		"error":    {"CEL's words may hold a claim: int('a-1')", v1alpha1.Rule{Name: "gold", Expression: "int(claims.sub) > 0", Message: "x"}, token.Decision{Reason: token.ReasonRuleError, Message: "The rule gold could not be evaluated for this token."}},
		"no truth": {"neither true nor false", v1alpha1.Rule{Name: "gold", Expression: "claims.sub"}, token.Decision{Reason: token.ReasonRuleError, Message: "The rule gold is neither true nor false for this token."}},
		"request":  {"there is none", v1alpha1.Rule{Name: "gold", Expression: "request.method == 'GET'"}, token.Decision{Reason: token.ReasonRuleDenied, Message: "The rule gold reads the request, and there is none here."}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, func(s *v1alpha1.TokenPolicySpec) { s.Require.Rules = []v1alpha1.Rule{c.rule} })
			if diff := cmp.Diff(c.want, p.Judge(input(facts()))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRequestRules(t *testing.T) {
	sent := http.Header{
		"X-Tier": {"gold", "silver"}, "Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "Dpop": {"p"}, "Proxy-Authorization": {"Basic x"},
		"Introspection-Gateway-Token": {"t"}, "Accept": {"*/*"},
	}
	get := request("GET", "/orders/%2e%2e/7?limit=10&a=b?c", sent)
	cases := map[string]struct {
		reason, rule string
		on           *token.HTTPRequest
		want         token.Reason
	}{
		"method":            {"as sent", "request.method in ['GET', 'HEAD']", get, token.ReasonNone},
		"other method":      {"not that", "request.method == 'POST'", get, token.ReasonRuleDenied},
		"unknown method":    {"unknown is not another one: negated rules must not pass", "request.method != 'POST'", request("", "/", nil), token.ReasonRuleError},
		"host":              {"in lower case, without port", "request.host == 'orders.example.com'", get, token.ReasonNone},
		"unknown host":      {"unknown is not another one", "request.host != 'x'", &token.HTTPRequest{Target: "/", Headers: token.HTTPHeaders{}}, token.ReasonRuleError},
		"path":              {"raw: nothing is decoded or cleaned", "request.path == '/orders/%2e%2e/7'", get, token.ReasonNone},
		"unknown path":      {"unknown is not another one", "request.path != '/admin'", request("GET", "", nil), token.ReasonRuleError},
		"query":             {"after the first question mark", "request.query == 'limit=10&a=b?c'", get, token.ReasonNone},
		"no query":          {"known to be empty", "request.query == ''", request("GET", "/", nil), token.ReasonNone},
		"header":            {"by lower-case name, joined", "request.headers['x-tier'] == 'gold, silver'", get, token.ReasonNone},
		"unknown header":    {"an error denies", "request.headers['x-other'] != 'x'", get, token.ReasonRuleError},
		"credentials":       {"a verdict would tell about them", "request.headers.all(h, h in ['x-tier', 'accept'])", get, token.ReasonNone},
		"no headers":        {"none", "request.headers.size() == 0", &token.HTTPRequest{Target: "/"}, token.ReasonNone},
		"two spellings":     {"one order", "request.headers['x-a'] == '1, 2'", request("GET", "/", http.Header{"x-a": {"2"}, "X-A": {"1"}}), token.ReasonNone},
		"claims beside it":  {"both", "request.path.startsWith('/orders/') && claims.tenant == 'acme'", get, token.ReasonNone},
		"short of the path": {"what is not read needs not be there", "claims.tenant == 'acme' || request.path == ''", request("GET", "", nil), token.ReasonNone},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, rules(c.rule))
			if err := p.Prepare(); err != nil {
				t.Fatal(err)
			}
			for surface, on := range map[token.Surface]*token.HTTPRequest{
				token.SurfaceForwardAuth: c.on, token.SurfaceExtAuthz: c.on, token.SurfaceIntrospection: nil, token.SurfaceTokenReview: nil,
			} {
				in := input(facts())
				in.Surface, in.HTTP = surface, on
				want := c.want
				if on == nil {
					want = token.ReasonRuleDenied
				}
				if d := p.Judge(in); d.Reason != want {
					t.Errorf("%s: %s: %s %q (%s), want %q", surface, c.reason, d.Verdict, d.Reason, d.Message, want)
				}
			}
		})
	}
}

func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		"true", "claims.a == 'b'", "claims.l.all(x, x > 0)", "[[0]].map(a,[a,a]).map(a,a+a) == claims.l", "request.path.matches('^/a')",
		"claims.s.split(',').join('-') == ''", "{'a': claims}.a.n / 0 == 1", "sets.contains(claims.l, [1])", "duration(claims.s) > duration('1s')",
	} {
		f.Add(seed, `{"a":"b","l":[1,2],"n":0,"s":"a,b","o":{"x":null}}`)
	}
	f.Fuzz(func(t *testing.T, rule, answer string) {
		members, err := token.Members([]byte(answer))
		if err != nil || len(answer) > 4<<10 {
			return
		}
		p, err := policy.Compile(object(rules(rule)))
		if err != nil || p.Prepare() != nil {
			return
		}
		in := input(facts(func(f *token.Facts) { f.Claims = members }))
		fit(t, p.Judge(in))
		in.Surface, in.HTTP = token.SurfaceExtAuthz, request("GET", "/a?b", http.Header{"X-A": {"b"}})
		fit(t, p.Judge(in))
	})
}

func BenchmarkJudgeRules(b *testing.B) {
	p := compile(b, scopesAll("orders.read"), rules("claims.tenant == 'acme'", "'orders' in claims.roles", "request.method == 'GET' || claims.roles.exists(r, r == 'writer')"))
	if err := p.Prepare(); err != nil {
		b.Fatal(err)
	}
	in := input(facts(claiming(`{"sub":"a-1","tenant":"acme","roles":["a","b","orders"]}`)))
	in.Surface, in.HTTP = token.SurfaceForwardAuth, request("GET", "/orders/7", http.Header{"X-A": {"b"}})
	b.ReportAllocs()
	for b.Loop() {
		if d := p.Judge(in); d.Verdict != token.Allow {
			b.Fatal(d)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := compile(b, rules("claims.tenant == 'acme' && 'orders' in claims.roles")).Prepare(); err != nil {
			b.Fatal(err)
		}
	}
}
