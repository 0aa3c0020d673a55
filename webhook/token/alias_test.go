// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestTraefikAliasFamily is CVE-2026-88011 and its kin: a spelling that the gateway does
// not overwrite and the upstream reads as ours.
func TestTraefikAliasFamily(t *testing.T) {
	cases := map[string]struct {
		reason string
		sent   string
		want   bool
	}{
		"underscores":        {"CGI, WSGI: Envoy lets it through", "X_Auth_Subject", true},
		"dots":               {"PHP turns dots into underscores", "X.Auth.Subject", true},
		"space":              {"PHP turns spaces into underscores", "X Auth Subject", true},
		"other punctuation":  {"Apache turns all but letters and digits into underscores", "X~Auth!Subject", true},
		"one of two":         {"one odd character is enough", "X-Auth_Subject", true},
		"case too":           {"names have no case", "x_AUTH_sUBJECT", true},
		"exact":              {"gateways overwrite the exact name, and nginx shows it to us", "X-Auth-Subject", false},
		"exact but for case": {"the same name on the wire", "x-auth-subject", false},
		"other name":         {"nothing of ours", "X-Auth-Subjects", false},
		"same length":        {"nothing of ours", "X-Auth-Sabject", false},
		"no separator":       {"no framework drops separators", "XAuthSubject", false},
		"letter for hyphen":  {"another name", "XxAuthxSubject", false},
		"@ is not `":         {"0x40 and 0x60 differ by the bit of case, and are no letters", "X-Auth-Subjec@", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := token.IsAlias(c.sent, "X-Auth-Subject"); got != c.want {
				t.Errorf("%s: IsAlias(%q) = %t", c.reason, c.sent, got)
			}
		})
	}
}
