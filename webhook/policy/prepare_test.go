// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestPrepareRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   func(*v1alpha1.TokenPolicySpec)
		want   string
	}{
		"syntax":            {"no CEL", rules("true", "claims.a =="), "spec.require.rules[1].expression does not compile: column "},
		"type":              {"not a condition", rules("'true'"), "it gives a string: make it a bool"},
		"unknown name":      {"a slip", rules("claim.sub == 'a'"), "undeclared reference to 'claim'"},
		"unknown member":    {"a slip", rules("request.methd == 'GET'"), "undeclared reference to 'request'"},
		"format":            {"a precision is a cost that nobody counts", rules("'%.99f'.format([1.0]) == ''"), "format is not available"},
		"pattern of claims": {"its size is the user's", rules("claims.a.matches(claims.b)"), "matches takes a literal only"},
		"large pattern":     {"each byte costs its size", rules("claims.a.matches('(a{500}){2}')"), "too large"},
		"no pattern":        {"no RE2", rules("claims.a.matches('(')"), "matches has a regular expression that is none"},
		"replace by claim":  {"each byte becomes as many", rules("claims.a.replace('', claims.b) == ''"), "replace takes literals only"},
		"join by claim":     {"between each two elements", rules("claims.a.join(claims.b) == ''"), "join takes literals only"},
		"long literal":      {"each byte becomes as many", rules("claims.a.replace('a', '" + strings.Repeat("a", 65) + "') == ''"), "replace takes literals only, of at most 64"},
		"search":            {"as many steps as both multiplied", rules("claims.a.indexOf(claims.b) > 0"), "indexOf takes literals only"},
		"sets of claims":    {"as many steps as both multiplied", rules("sets.contains(claims.a, claims.b)"), "sets.contains needs a list that is written out"},
		"time zone":         {"a file is read for it", rules("timestamp(claims.a).getHours('Europe/Berlin') > 8"), "getHours takes no time zone"},
		"nested":            {"the parser's stack", rules(strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200)), "does not compile"},
		"deep macros": {
			"the checker takes a minute for four hundred levels",
			rules("[[0]]" + strings.Repeat(".map(a,"+strings.Repeat("[", 50)+"a"+strings.Repeat("]", 50)+")", 8) + " == [[1]]"), "written out, two for each map or filter",
		},
		"many macros":       {"levels too", rules("[[0]]" + strings.Repeat(".filter(a,true)", 9) + " == []"), "it has more than 8 macros"},
		"request in header": {"headers are kept with the facts, requests differ", expressions("X-A", "request.path"), "spec.respond.headers[0].expression does not compile: it reads the request: only require.rules may"},
		"request in user":   {"there is none", review("request.path", ""), "spec.surfaces.tokenReview.username does not compile: it reads the request"},
		"username":          {"no name", review("1", ""), "spec.surfaces.tokenReview.username does not compile: it gives a int: make it a string"},
		"groups":            {"no list", review("claims.sub", "'admins'"), "spec.surfaces.tokenReview.groups does not compile: it gives a string"},
		"extra": {
			"no CEL", review("claims.sub", "", v1alpha1.ExtraMapping{Key: "example.com/a", Expression: "claims."}),
			"spec.surfaces.tokenReview.extra[0].expression does not compile",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, c.spec)
			err := p.Prepare()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%s: no %q in %v", c.reason, c.want, err)
			}
			if again := p.Prepare(); again == nil || again.Error() != err.Error() {
				t.Errorf("then %v", again)
			}
			if d := p.Judge(input(facts())); d.Reason != token.ReasonRuleError {
				t.Errorf("%s %q by a policy that does not compile", d.Verdict, d.Reason)
			}
		})
	}
}

// TestPrepareAtFirstJudgement: from many goroutines at once, as requests come.
func TestPrepareAtFirstJudgement(t *testing.T) {
	p, f := compile(t, rules("claims.tenant == 'acme'"), expressions("X-A", "claims.sub")), facts()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if d := p.Judge(input(f)); d.Verdict != token.Allow {
				t.Errorf("%s %q: %s", d.Verdict, d.Reason, d.Message)
			}
			if h := p.Headers(f); h[0].Value != "a-1" {
				t.Errorf("headers %v", h)
			}
		})
	}
	wg.Wait()
}
