// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// maxName is the longest name that an object has.
const maxName = 253

// Route finds the policy in a request target.
type Route struct {
	// First is the first segment of the path.
	First string
	// Below says that anything may follow the policy, as with gateways that append the
	// original URI. It is ignored.
	Below bool
}

// match reads /{First}/{namespace}/{policy} from a request target as it came over the
// wire. Segments are matched raw: nothing is cleaned, decoded or redirected, or
// /authorize/a/strict/../../a/lax would be asked about another policy than the gateway
// meant (CVE-2026-33494, envoy #36122). A name has no character that could be encoded.
func (rt Route) match(target string) (token.Ref, bool) {
	path, _, _ := strings.Cut(target, "?")
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return token.Ref{}, false
	}
	first, rest, _ := strings.Cut(rest, "/")
	namespace, rest, _ := strings.Cut(rest, "/")
	name, _, more := strings.Cut(rest, "/")
	if first != rt.First || more && !rt.Below || !IsName(namespace) || !IsName(name) {
		return token.Ref{}, false
	}
	return token.Ref{Namespace: namespace, Name: name}, true
}

// IsName says whether s is what names of objects are made of (RFC 1123): no dot stands at an end.
func IsName(s string) bool {
	if s == "" || len(s) > maxName || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
