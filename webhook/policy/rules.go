// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	maxRules    = 16
	maxRuleName = 63
)

// rule is a condition that must be true.
type rule struct {
	name, message string
	condition     *expression
}

func (p *Policy) declareRules(rules []v1alpha1.Rule, wrong *problems) {
	const path = "spec.require.rules"
	if len(rules) > maxRules {
		wrong.add(path, "has %d entries: %d are possible", len(rules), maxRules)
	}
	for i := range rules {
		r, at := &rules[i], index(path, i)
		if problem := ruleName(r.Name); problem != "" {
			wrong.add(at+".name", "%s", problem)
		}
		if slices.ContainsFunc(p.rules, func(other rule) bool { return other.name == r.Name }) {
			wrong.add(at+".name", "is %s a second time: give each rule its own", quoted(r.Name))
		}
		if problem := sentence(r.Message); problem != "" {
			wrong.add(at+".message", "%s", problem)
		}
		declared := rule{name: r.Name, message: r.Message}
		if declared.message == "" {
			declared.message = "The rule " + r.Name + " does not hold."
		}
		declared.condition = p.declare(expression{path: at + ".expression", source: r.Expression, result: cel.BoolType, onRequest: true}, wrong)
		p.rules = append(p.rules, declared)
	}
}

// ruleName has letters, digits, spaces and - _ ., with a letter or digit at both ends.
func ruleName(s string) string {
	plain := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }
	ok := s != "" && len(s) <= maxRuleName && plain(s[0]) && plain(s[len(s)-1])
	for i := range len(s) {
		ok = ok && (plain(s[i]) || strings.IndexByte(" -_.", s[i]) >= 0)
	}
	if !ok {
		return "is " + quoted(s) + ": use 1 to 63 letters, digits, spaces and - _ ., with a letter or digit first and last"
	}
	return ""
}

// sentence is what error_description may hold (RFC 6750 section 3), or nothing.
func sentence(s string) string {
	odd := strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
	if odd || len(s) > maxValue {
		return "is " + quoted(s) + ": use at most 255 printable ASCII characters, no quote or backslash"
	}
	return ""
}

// judgeRules: all must be true, in their order. What can't be evaluated refuses, and the
// message does not say why: the cause may hold a claim.
func (p *Policy) judgeRules(in *Input) *token.Decision {
	if p.Prepare() != nil {
		return deny(token.ReasonRuleError, "An expression of the policy does not compile.")
	}
	if len(p.rules) == 0 {
		return nil
	}
	on, err := claimsOf(in.Facts)
	if err != nil {
		return deny(token.ReasonRuleError, "The token says too much for the rules to be evaluated.")
	}
	on.http = in.HTTP
	var spent uint64
	for i := range p.rules {
		r := &p.rules[i]
		if r.condition.readsRequest && in.HTTP == nil {
			return deny(token.ReasonRuleDenied, "The rule "+r.name+" reads the request, and there is none here.")
		}
		value, cost, err := r.condition.eval(on)
		spent += cost
		switch {
		case spent > maxCost, errors.Is(err, errTooCostly):
			return deny(token.ReasonRuleError, "The rules cost too much to evaluate: "+r.name+" was the last.")
		case err != nil:
			return deny(token.ReasonRuleError, "The rule "+r.name+" could not be evaluated for this token.")
		}
		holds, ok := value.(types.Bool)
		switch {
		case !ok:
			return deny(token.ReasonRuleError, "The rule "+r.name+" is neither true nor false for this token.")
		case !bool(holds):
			return deny(token.ReasonRuleDenied, r.message)
		}
	}
	return nil
}
