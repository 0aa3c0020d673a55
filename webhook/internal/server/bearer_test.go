// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestPresented: RFC 6750 section 2.1 and RFC 9449 section 7.1, strictly.
func TestPresented(t *testing.T) {
	cases := map[string]struct {
		reason  string
		headers []string
		token   string
		scheme  token.Scheme
		problem string // how it begins
	}{
		"bearer":             {"the usual", []string{"Bearer t"}, "t", token.SchemeBearer, ""},
		"scheme, lower case": {"schemes have no case", []string{"bearer t"}, "t", token.SchemeBearer, ""},
		"scheme, upper case": {"schemes have no case", []string{"BEARER t"}, "t", token.SchemeBearer, ""},
		"DPoP":               {"RFC 9449", []string{"DPoP t"}, "t", token.SchemeDPoP, ""},
		"DPoP, lower case":   {"schemes have no case", []string{"dpop t"}, "t", token.SchemeDPoP, ""},
		"two blanks":         {"RFC 9110: 1*SP", []string{"Bearer  t"}, "t", token.SchemeBearer, ""},
		"all characters":     {"RFC 6750 section 2.1", []string{"Bearer aZ09-._~+/=="}, "aZ09-._~+/==", token.SchemeBearer, ""},
		"long":               {"what is too long is the policy's to say", []string{"Bearer " + strings.Repeat("t", 17<<10)}, strings.Repeat("t", 17<<10), token.SchemeBearer, ""},
		"none":               {"the policy's answer says so", nil, "", token.SchemeBearer, ""},
		"empty":              {"no token", []string{""}, "", token.SchemeBearer, ""},
		"another scheme":     {"RFC 6750 section 3.1", []string{"Basic dTpw"}, "", token.SchemeBearer, ""},
		"tab":                {"no scheme of ours", []string{"Bearer\tt"}, "", token.SchemeBearer, ""},
		"scheme alone":       {"no token", []string{"Bearer"}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"DPoP alone":         {"no token", []string{"DPoP "}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"padding alone":      {"no token", []string{"Bearer =="}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"two headers":        {"which one is it?", []string{"Bearer t", "Bearer u"}, "", token.SchemeBearer, "There are two Authorization headers"},
		"merged":             {"Envoy merges two", []string{"Bearer t,Bearer u"}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"merged, DPoP":       {"Envoy merges two", []string{"DPoP t,Bearer u"}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"CVE-2023-27488":     {"bytes that no token has", []string{"Bearer t\xff\xfe"}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"quote":              {"bytes that no token has", []string{`Bearer t"u`}, "", token.SchemeBearer, "The Authorization header does not hold"},
		"padding inside":     {"bytes that no token has", []string{"Bearer t=u"}, "", token.SchemeBearer, "The Authorization header does not hold"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, scheme, problem := server.Presented(c.headers)
			if got.Reveal() != c.token || scheme != c.scheme || !strings.HasPrefix(problem, c.problem) || (problem == "") != (c.problem == "") {
				t.Errorf("%s: %q, %v, %q", c.reason, got.Reveal(), scheme, problem)
			}
		})
	}
}

// FuzzPresented holds the parser to the grammar.
func FuzzPresented(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer t", "bearer  t==", "Bearer t,Bearer u", "Basic dTpw", "Bearer =", "Bearer\tt", "Bearer t u",
		"DPoP t", "dpop", "Bearer " + strings.Repeat(".", 8<<10), "Bearer \xff",
	} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`^(?i:(bearer)|(dpop)) +([A-Za-z0-9\-._~+/]+=*)$`)
	f.Fuzz(func(t *testing.T, header string) {
		got, scheme, problem := server.Presented([]string{header})
		want, wantScheme := "", token.SchemeBearer
		if m := grammar.FindStringSubmatch(header); m != nil {
			want = m[3]
			if m[2] != "" {
				wantScheme = token.SchemeDPoP
			}
		}
		name, _, _ := strings.Cut(header, " ")
		fine := want != "" || !strings.EqualFold(name, "Bearer") && !strings.EqualFold(name, "DPoP")
		if got.Reveal() != want || scheme != wantScheme || (problem == "") != fine {
			t.Errorf("%q is read as %q, %v (%s), want %q, %v", header, got.Reveal(), scheme, problem, want, wantScheme)
		}
		if len(header) > 8 && problem != "" && strings.Contains(problem, header) {
			t.Errorf("%q is told: %s", header, problem)
		}
	})
}

// TestCVE202527144ThousandsOfDots: parsing them costs nothing.
func TestCVE202527144ThousandsOfDots(t *testing.T) {
	header := []string{"Bearer " + strings.Repeat(".", 8<<10)}
	if allocs := testing.AllocsPerRun(10, func() { _, _, _ = server.Presented(header) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestTokenInQuery(t *testing.T) {
	cases := map[string]struct {
		reason string
		target string
		want   bool
	}{
		"query":         {"RFC 6750 section 2.3", "/x?access_token=u", true},
		"not the first": {"any place", "/x?a=b&access_token=u", true},
		"empty":         {"it is there", "/x?access_token", true},
		"encoded":       {"the API decodes it", "/x?access%5Ftoken=u", true},
		"behind a ?":    {"part of the query", "/x?a?b&access_token=u", true},
		"no path":       {"the query alone", "?access_token=u", true},
		"path":          {"no query", "/access_token=u", false},
		"value":         {"no name", "/x?a=access_token", false},
		"another name":  {"another parameter", "/x?my_access_token=u", false},
		"bad escape":    {"no name that anybody reads", "/x?access%zztoken=u", false},
		"none":          {"nothing", "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := server.TokenInQuery(c.target); got != c.want {
				t.Errorf("%s: %v", c.reason, got)
			}
		})
	}
}
