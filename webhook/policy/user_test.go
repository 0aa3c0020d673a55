// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestUser(t *testing.T) {
	extra := func(expression string) v1alpha1.ExtraMapping {
		return v1alpha1.ExtraMapping{Key: "example.com/tenant", Expression: expression}
	}
	asked := []string{"https://other", "kubernetes"}
	said := `{"sub":"a-1","email":"a@example.com","n":7,"groups":["dev","ops"],"evil":"System:Masters","mixed":["dev",7],"empty":"","nil":null,"line":"a\nb",
		"many":[` + strings.Repeat(`"g",`, 100) + `"g"],"long":"` + strings.Repeat("a", 1025) + `"}`
	good := token.User{Username: "a-1", Audiences: []string{"kubernetes"}}
	with := func(groups []string, extra map[string][]string) *token.User {
		u := good
		u.Groups, u.Extra = groups, extra
		return &u
	}
	cases := map[string]struct {
		reason string
		spec   func(*v1alpha1.TokenPolicySpec)
		asked  []string
		want   *token.User
		denied token.Reason
	}{
		"username":               {"and nothing else", review("claims.sub", ""), asked, &good, ""},
		"groups":                 {"a list of strings", review("claims.sub", "claims.groups.map(g, 'sso-' + g)"), asked, with([]string{"sso-dev", "sso-ops"}, nil), ""},
		"no groups":              {"an empty list", review("claims.sub", "[]"), asked, &good, ""},
		"extra":                  {"a string", review("claims.sub", "", extra("claims.email")), asked, with(nil, map[string][]string{"example.com/tenant": {"a@example.com"}}), ""},
		"extra list":             {"a list", review("claims.sub", "", extra("claims.groups")), asked, with(nil, map[string][]string{"example.com/tenant": {"dev", "ops"}}), ""},
		"no extra":               {"an empty list is left out", review("claims.sub", "", extra("[]")), asked, &good, ""},
		"audiences not asked":    {"none would mean: good for the API server", review("claims.sub", ""), []string{"https://other"}, nil, token.ReasonAudienceNotAsked},
		"no audience asked":      {"none would mean: good for the API server", review("claims.sub", ""), nil, nil, token.ReasonAudienceNotAsked},
		"no mapping":             {"nobody said who it is", func(*v1alpha1.TokenPolicySpec) {}, asked, nil, token.ReasonInvalidUser},
		"unknown claim":          {"nobody", review("claims.name", ""), asked, nil, token.ReasonInvalidUser},
		"empty username":         {"nobody", review("claims.empty", ""), asked, nil, token.ReasonInvalidUser},
		"null username":          {"nobody", review("claims.nil", ""), asked, nil, token.ReasonInvalidUser},
		"number":                 {"no name", review("claims.n", ""), asked, nil, token.ReasonInvalidUser},
		"number as a name":       {"said by the policy", review("'user-' + string(claims.n)", ""), asked, &token.User{Username: "user-7", Audiences: []string{"kubernetes"}}, ""},
		"two lines":              {"a log would show two users", review("claims.line", ""), asked, nil, token.ReasonInvalidUser},
		"space at the end":       {"looks like another", review("claims.sub + ' '", ""), asked, nil, token.ReasonInvalidUser},
		"long username":          {"bounded", review("claims.long", ""), asked, nil, token.ReasonInvalidUser},
		"TokenReview system:":    {"Kubernetes' own users, in any case", review("claims.evil", ""), asked, nil, token.ReasonInvalidUser},
		"TokenReview system: 2":  {"whatever CEL says", review("'system:admin'", ""), asked, nil, token.ReasonInvalidUser},
		"TokenReview groups":     {"Kubernetes' own groups", review("claims.sub", "['dev', 'system:masters']"), asked, nil, token.ReasonInvalidUser},
		"TokenReview groups 2":   {"in any case", review("claims.sub", "[claims.evil]"), asked, nil, token.ReasonInvalidUser},
		"groups no list":         {"a string", review("claims.sub", "claims.email"), asked, nil, token.ReasonInvalidUser},
		"groups mixed":           {"a number is no group", review("claims.sub", "claims.mixed"), asked, nil, token.ReasonInvalidUser},
		"empty group":            {"no group", review("claims.sub", "[claims.empty]"), asked, nil, token.ReasonInvalidUser},
		"many groups":            {"more than 100", review("claims.sub", "claims.many"), asked, nil, token.ReasonInvalidUser},
		"unknown groups":         {"could not tell is not none", review("claims.sub", "claims.roles"), asked, nil, token.ReasonInvalidUser},
		"extra number":           {"no string", review("claims.sub", "", extra("claims.n")), asked, nil, token.ReasonInvalidUser},
		"unknown extra":          {"could not tell is not none", review("claims.sub", "", extra("claims.tenant")), asked, nil, token.ReasonInvalidUser},
		"cost":                   {"bounded work", review("claims.sub", "claims.many.filter(a, claims.many.all(b, a == b))"), asked, nil, token.ReasonInvalidUser},
		"all audiences, ours up": {"those of the policy only, in its order", review("claims.sub", ""), []string{"x", "kubernetes", "https://kubernetes.default.svc"}, &token.User{Username: "a-1", Audiences: []string{"https://kubernetes.default.svc", "kubernetes"}}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			user, d := compile(t, c.spec).User(facts(claiming(said)), c.asked)
			if diff := cmp.Diff(c.want, user); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			switch {
			case (d == nil) != (c.denied == ""):
				t.Fatalf("%s: decision %+v", c.reason, d)
			case d != nil && (d.Verdict != token.Deny || d.Reason != c.denied || strings.Contains(d.Message, "a-1")):
				t.Errorf("%s: %s %q: %s", c.reason, d.Verdict, d.Reason, d.Message)
			case d != nil:
				fit(t, *d)
			}
		})
	}
}
