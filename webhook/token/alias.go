// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

// IsAlias says whether a header that a client sent is another spelling of the identity
// header name: the same when case does not count and everything but letters and digits
// is a hyphen. CGI, WSGI, PHP and many frameworks read X_Auth_Subject and X.Auth.Subject
// as X-Auth-Subject, while a gateway overwrites only the exact name (CVE-2026-88011):
// Envoy hands X_Auth_Subject through. A request with an alias is to be refused.
//
// The exact name, in any case, is no alias. nginx and Caddy show us all headers of the
// client, and every gateway replaces the exact ones by ours, since an allow carries all
// of them: a client that sends one achieves nothing and breaks nothing.
//
// name has letters, digits and hyphens only.
func IsAlias(sent, name string) bool {
	if len(sent) != len(name) {
		return false
	}
	odd := false
	for i := range len(sent) {
		s, n := sent[i], name[i]
		switch {
		case s|0x20 >= 'a' && s|0x20 <= 'z':
			if s|0x20 != n|0x20 {
				return false
			}
		case s >= '0' && s <= '9':
			if s != n {
				return false
			}
		case n != '-':
			return false
		case s != '-':
			odd = true
		}
	}
	return odd
}
