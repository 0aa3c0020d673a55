// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestURL(t *testing.T) {
	tests := map[string]struct {
		reason                string
		resource, target, htu string
		want                  bool
	}{
		"equal":                 {"byte for byte", testResource, "/orders/7", testURL, true},
		"capitals":              {"RFC 3986 section 6.2.2.1: scheme and host have no case", testResource, "/orders/7", "HTTPS://Orders.Example.com/orders/7", true},
		"capitals of ours":      {"the same", "HTTPS://Orders.Example.com", "/orders/7", testURL, true},
		"capitals in the path":  {"paths have case", testResource, "/orders/7", testResource + "/Orders/7", false},
		"default port":          {"RFC 3986 section 6.2.3", testResource, "/", testResource + ":443/", true},
		"default port of ours":  {"RFC 3986 section 6.2.3", testResource + ":443", "/", testResource, true},
		"default port of http":  {"RFC 3986 section 6.2.3", "http://a.example:80", "/", "http://a.example/", true},
		"empty port":            {"RFC 3986 section 6.2.3", testResource, "/", testResource + ":/", true},
		"another port":          {"another origin", testResource, "/", testResource + ":8443/", false},
		"https port of http":    {"another origin", "http://a.example", "/", "http://a.example:443/", false},
		"another scheme":        {"a proof for plain HTTP", testResource, "/", "http://orders.example.com/", false},
		"port 443 of no digits": {"another host", "https://a", "/", "https://a443/", false},
		"IPv6":                  {"hexadecimal has no case", "https://[2001:db8::a]", "/", "https://[2001:DB8::A]:443/", true},
		"no path":               {"RFC 3986 section 6.2.3: empty is a slash", testResource, "/", testResource, true},
		"slash at the end":      {"another path", testResource, "/orders", testResource + "/orders/", false},
		"query of the target":   {"ignored", testResource, "/orders/7?a=b", testURL, true},
		"query without a path":  {"ignored", testResource, "/?a=b", testResource + "?c=d", true},
		"fragment of the htu":   {"ignored", testResource, "/orders/7", testURL + "#x?y", true},
		"fragment in a target":  {"there is none in HTTP: part of a path", testResource, "/orders/7#/../8", testURL, false},
		"base path":             {"what a gateway took off", testResource + "/shop", "/orders/7", testResource + "/shop/orders/7", true},
		"base path with slash":  {"the target's slash is its last", testResource + "/shop/", "/orders/7", testResource + "/shop/orders/7", true},
		"base path left out":    {"another URL", testResource + "/shop", "/orders/7", testURL, false},
		"slash after the host":  {"no path", testResource + "/", "/orders/7", testURL, true},
		"dot segments":          {"nothing is cleaned", testResource, "/a/../orders/7", testURL, false},
		"dot segments in both":  {"byte for byte", testResource, "/a/../b", testResource + "/a/../b", true},
		"two slashes":           {"nothing is cleaned", testResource, "//orders/7", testURL, false},
		"escapes":               {"nothing is decoded", testResource, "/orders/%37", testURL, false},
		"case of escapes":       {"byte for byte", testResource, "/a%2Fb", testResource + "/a%2fb", false},
		"semicolon":             {"part of the path", testResource, "/orders/7;x", testURL, false},
		"user":                  {"not a host", testResource, "/", "https://orders.example.com@evil.example.com/", false},
		"user before":           {"no htu has one", testResource, "/", "https://u@orders.example.com/", false},
		"backslash":             {"a slash to browsers", testResource, "/", `https://orders.example.com\/`, false},
		"longer host":           {"a prefix is not enough", testResource, "/", "https://orders.example.com.evil.example.com/", false},
		"no host":               {"not absolute", testResource, "/", "https:///", false},
		"a path only":           {"not absolute", testResource, "/orders/7", "/orders/7", false},
		"query instead of host": {"no host", testResource, "/", "https://?orders.example.com/", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := &Question{Resource: tc.resource, HTTP: &token.HTTPRequest{Method: "GET", Target: tc.target}}
			want, refusal := requested(q)
			if refusal != nil {
				t.Fatal(refusal.Message)
			}
			htu, ok := locate(tc.htu)
			if got := ok && htu == want; got != tc.want {
				t.Errorf("%s: %s at %s, htu %s: %t", tc.reason, tc.target, tc.resource, tc.htu, got)
			}
		})
	}
	for _, target := range []string{"", "*", "orders", "https://orders.example.com/", "?a=/"} {
		q := &Question{Resource: testResource, HTTP: &token.HTTPRequest{Method: "GET", Target: target}}
		if _, refusal := requested(q); refusal == nil || refusal.Reason != token.ReasonBoundToken {
			t.Errorf("target %q: %+v", target, refusal)
		}
	}
}
