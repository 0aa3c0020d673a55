// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestMembers(t *testing.T) {
	many := strings.Repeat(`"x":[1,{"y":"}"}],`, 3)
	cases := map[string]struct {
		reason, body string
		want         int // members; -1 for an error
	}{
		"empty":            {"an object", `{}`, 0},
		"nested":           {"only the top level is counted", `{"a":{"b":1,"c":[{"d":2}]},"e":"f:g\":{,"}`, 2},
		"twice":            {"two parsers may take either", `{"sub":"a","sub":"b"}`, -1},
		"twice, escaped":   {"the same name, written otherwise", `{"sub":"a","\u0073ub":"b"}`, -1},
		"twice, far":       {"wherever it stands", `{"a":1,` + strings.ReplaceAll(many, "x", "b") + `"c":1}`, -1},
		"list":             {"no object", `[]`, -1},
		"null":             {"no object", `null`, -1},
		"two":              {"one object only", `{} {}`, -1},
		"broken":           {"no JSON", `{"a":`, -1},
		"not UTF-8":        {"Go would make two names one", "{\"a\xff\":1}", -1},
		"half a character": {"Go would make two identities one", `{"sub":"\ud800"}`, -1},
		"escaped quote":    {"no end of the string", `{"a":"\\","b":"\\\""}`, 2},
		"too many":         {"bounded memory", "{" + strings.Repeat(`"a":1,`, 1000) + `"b":1}`, -1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, err := token.Members([]byte(c.body))
			if (err != nil) != (c.want < 0) || err == nil && len(m) != c.want {
				t.Errorf("%s: %d members, %v", c.reason, len(m), err)
			}
		})
	}
}

func TestValues(t *testing.T) {
	claims, err := token.Members([]byte(`{"n":7,"big":18446744073709551615,"f":1.5,"e":1e3,"huge":1e999,"s":"x","l":[1,"a",null,{"k":2}],"b":true,"z":null}`))
	if err != nil {
		t.Fatal(err)
	}
	facts, err := token.NewFacts(claims)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"n": int64(7), "big": uint64(math.MaxUint64), "f": 1.5, "e": 1000.0, "huge": "1e999", "s": "x",
		"l": []any{int64(1), "a", nil, map[string]any{"k": int64(2)}}, "b": true, "z": nil,
	}
	if diff := cmp.Diff(want, facts.Values()); diff != "" {
		t.Errorf("Values() (-want +got):\n%s", diff)
	}
}

func TestConfirmation(t *testing.T) {
	cases := map[string]struct {
		reason, claims string
		bound          bool
		jkt, x5t       string
	}{
		"none":           {"a bearer token", `{}`, false, "", ""},
		"DPoP":           {"RFC 9449 section 6", `{"cnf":{"jkt":"k"}}`, true, "k", ""},
		"mTLS":           {"RFC 8705 section 3.1", `{"cnf":{"x5t#S256":"c"}}`, true, "", "c"},
		"both":           {"both are to be proved", `{"cnf":{"jkt":"k","x5t#S256":"c"}}`, true, "k", "c"},
		"type alone":     {"a server may keep cnf to itself", `{"token_type":"DPoP"}`, true, "", ""},
		"unknown method": {"bound to what nobody can check", `{"cnf":{"kid":"k"}}`, true, "", ""},
		"half odd":       {"one that is odd spoils the other", `{"cnf":{"jkt":"k","x5t#S256":7}}`, true, "", ""},
		"null":           {"null is not there", `{"cnf":null}`, false, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var claims map[string]json.RawMessage
			if err := json.Unmarshal([]byte(c.claims), &claims); err != nil {
				t.Fatal(err)
			}
			f, err := token.NewFacts(claims)
			if err != nil || f.Bound != c.bound || f.JKT != c.jkt || f.X5T != c.x5t {
				t.Errorf("%s: %+v, %v", c.reason, f, err)
			}
		})
	}
}

// TestOdd: another spelling, or an option of Connection (GHSA-w9mr-28mw-j8hg).
func TestOdd(t *testing.T) {
	names := []string{"X-Auth-Subject", "X-Auth-Scope"}
	cases := map[string]struct {
		reason string
		sent   token.HTTPHeaders
		want   string
	}{
		"exact":              {"gateways overwrite it", token.HTTPHeaders{"X-Auth-Subject": {"root"}}, ""},
		"alias":              {"CVE-2026-88011", token.HTTPHeaders{"X_auth_scope": {"all"}}, "X-Auth-Scope"},
		"connection":         {"a proxy would drop ours", token.HTTPHeaders{"Connection": {"close, x-auth-subject"}}, "X-Auth-Subject"},
		"connection, alias":  {"in another spelling", token.HTTPHeaders{"Connection": {"X_Auth_Subject"}}, "X-Auth-Subject"},
		"second connection":  {"in any of them", token.HTTPHeaders{"Connection": {"close", "X-Auth-Scope"}}, "X-Auth-Scope"},
		"other headers":      {"nothing of ours", token.HTTPHeaders{"Connection": {"upgrade"}, "X-Auth": {"1"}}, ""},
		"no headers, no end": {"nothing sent", nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.sent.Odd(names); got != c.want {
				t.Errorf("%s: Odd(...) = %q, want %q", c.reason, got, c.want)
			}
		})
	}
}
