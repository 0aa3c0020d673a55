// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestCVE202633494PathTraversal: no spelling of a path selects another policy than the
// one that its raw segments name (envoy #36122, #43398 too).
func TestCVE202633494PathTraversal(t *testing.T) {
	strict := token.Ref{Namespace: "a", Name: "strict"}
	cases := map[string]struct {
		reason string
		target string
		want   token.Ref // zero: 404
	}{
		"exact":                {"the policy", "/authorize/a/strict", strict},
		"slash":                {"the original URI is /", "/authorize/a/strict/", strict},
		"original URI":         {"Envoy appends it", "/authorize/a/strict/orders/7?x=1", strict},
		"query":                {"Caddy appends it", "/authorize/a/strict?/../lax", strict},
		"dots behind":          {"Envoy appends the raw path of the client", "/authorize/a/strict/../../a/lax", strict},
		"encoded dots behind":  {"as above, encoded", "/authorize/a/strict/%2e%2e/lax", strict},
		"slashes behind":       {"as above", "/authorize/a/strict//../lax", strict},
		"backslash behind":     {"as above", `/authorize/a/strict/\..\lax`, strict},
		"dots instead":         {"no name", "/authorize/a/..", token.Ref{}},
		"dots before":          {"no name", "/authorize/../authorize/a/strict", token.Ref{}},
		"dot":                  {"no name", "/authorize/./a/strict", token.Ref{}},
		"encoded name":         {"nothing is decoded", "/authorize/a/%73trict", token.Ref{}},
		"encoded slash":        {"nothing is decoded", "/authorize/a%2fstrict", token.Ref{}},
		"encoded dots in name": {"nothing is decoded", "/authorize/a/strict%2f..%2flax", token.Ref{}},
		"double slash":         {"an empty segment is no namespace", "/authorize//a/strict", token.Ref{}},
		"double slash first":   {"an empty segment is not ours", "//authorize/a/strict", token.Ref{}},
		"host-like":            {"RFC 3986 would read a host here", "//a/authorize/a/strict", token.Ref{}},
		"parameter":            {"no name", "/authorize/a/strict;v=1", token.Ref{}},
		"fragment":             {"no name", "/authorize/a/strict#x", token.Ref{}},
		"upper case":           {"names are lower case", "/authorize/a/Strict", token.Ref{}},
		"first segment":        {"another", "/Authorize/a/strict", token.Ref{}},
		"first segment longer": {"another", "/authorizex/a/strict", token.Ref{}},
		"no policy":            {"a segment is missing", "/authorize/a", token.Ref{}},
		"empty policy":         {"a segment is empty", "/authorize/a/", token.Ref{}},
		"absolute form":        {"no gateway sends it", "https://h/authorize/a/strict", token.Ref{}},
		"no slash":             {"CVE-2026-33186: a path without a slash", "authorize/a/strict", token.Ref{}},
		"asterisk":             {"OPTIONS *", "*", token.Ref{}},
		"empty":                {"nothing", "", token.Ref{}},
		"too long":             {"no object has such a name", "/authorize/a/" + strings.Repeat("s", 254), token.Ref{}},
		"zero byte":            {"no name", "/authorize/a/strict\x00", token.Ref{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Route{First: "authorize", Below: true}.match(c.target)
			if !ok {
				got = token.Ref{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", c.reason, c.target, diff)
			}
		})
	}
}

// TestRouteNothingBelow: the facade's path ends with the policy.
func TestRouteNothingBelow(t *testing.T) {
	cases := map[string]struct {
		reason string
		target string
		want   bool
	}{
		"exact": {"the policy", "/introspect/a/p", true},
		"query": {"it is not part of the path", "/introspect/a/p?x", true},
		"slash": {"another path", "/introspect/a/p/", false},
		"below": {"another path", "/introspect/a/p/x", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, got := (Route{First: "introspect"}).match(c.target); got != c.want {
				t.Errorf("%s: match(%q) = %t", c.reason, c.target, got)
			}
		})
	}
}

func FuzzRoute(f *testing.F) {
	for _, seed := range []string{"/authorize/a/strict/../../a/lax", "/authorize/a/p", "//authorize/a/p", "/authorize/a/%2e%2e", "*", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		ref, ok := Route{First: "authorize", Below: true}.match(target)
		if !ok {
			return
		}
		want := "/authorize/" + ref.Namespace + "/" + ref.Name
		rest, found := strings.CutPrefix(target, want)
		if !found || rest != "" && rest[0] != '/' && rest[0] != '?' {
			t.Errorf("%q selects %s", target, ref)
		}
		if strings.ContainsAny(ref.Namespace+ref.Name, "/%?#;\\ ") {
			t.Errorf("%q selects names %q", target, ref)
		}
	})
}

func TestIDs(t *testing.T) {
	s := NewIDs()
	seen := map[string]bool{}
	for range 3 * idsAtOne {
		id := s.Next()
		if len(id) != 2*idBytes || strings.Trim(id, "0123456789abcdef") != "" {
			t.Fatalf("id %q is not 16 hexadecimal digits", id)
		}
		if seen[id] {
			t.Fatalf("id %q twice", id)
		}
		seen[id] = true
	}
}
