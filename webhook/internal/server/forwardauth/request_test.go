// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// FuzzBearer holds the parser to the grammar of RFC 6750 section 2.1.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer t", "bearer  t==", "Bearer t,Bearer u", "Basic dTpw", "Bearer =", "Bearer\tt", "Bearer t u",
		"Bearer " + strings.Repeat(".", 8<<10), "Bearer \xff",
	} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)$`)
	f.Fuzz(func(t *testing.T, header string) {
		got, wrong := bearerOf([]string{header})
		want := ""
		if m := grammar.FindStringSubmatch(header); m != nil {
			want = m[1]
		}
		scheme, _, _ := strings.Cut(header, " ")
		if fine := want != "" || !strings.EqualFold(scheme, "Bearer"); got.Reveal() != want || (wrong == "") != fine {
			t.Errorf("%q is read as %q (%s), want %q", header, got.Reveal(), wrong, want)
		}
		if len(header) > 8 && wrong != "" && strings.Contains(wrong, header) {
			t.Errorf("%q is told: %s", header, wrong)
		}
	})
}

// FuzzChallenge holds the quoted values to RFC 6750 section 3.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{"", `a "quoted" \word`, "line\r\nbreak", "é", strings.Repeat("x", 1000), "\xff"} {
		f.Add(seed)
	}
	forbidden := regexp.MustCompile(`[^\x20-\x21\x23-\x5b\x5d-\x7e]`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := quotable(s); forbidden.MatchString(got) || len(got) > maxDescription {
			t.Errorf("quotable(%q) = %q", s, got)
		}
	})
}

// TestAliasScanIsCheap: it stands before every decision.
func TestAliasScanIsCheap(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"Accept", "Authorization", "Cookie", "User-Agent", "X-Original-Url", "X-Original-Method", "X-Real-Ip", "Connection"} {
		h.Set(name, "x")
	}
	names := []string{"X-Auth-Subject", "X-Auth-Issuer", "X-Auth-Scope"}
	if allocs := testing.AllocsPerRun(10, func() { aliases(h, names) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestCVE202527144ThousandsOfDots: parsing them costs nothing.
func TestCVE202527144ThousandsOfDots(t *testing.T) {
	header := []string{"Bearer " + strings.Repeat(".", 8<<10)}
	if allocs := testing.AllocsPerRun(10, func() { _, _ = bearerOf(header) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
