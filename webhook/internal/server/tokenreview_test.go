// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestParseTokenReview: a configuration that would let tokens be the cluster's own users
// is none.
func TestParseTokenReview(t *testing.T) {
	ca := "\n  clientCA: |\n        " + indented(newAuthority(t).pem())
	const prefixes = "\n  usernamePrefix: 'oidc:'\n  groupsPrefix: 'oidc:'"
	const policies = "\n  policies: [platform/login, platform/ci]"
	cases := map[string]struct {
		reason string
		config string
		want   *server.TokenReviewConfig
		err    string // what the error has to say
	}{
		"none": {"the API server may not ask", "", nil, ""},
		"whole": {"as the chart writes it", "tokenReview:" + ca + prefixes + policies + "\n  certificateSAN: kube-apiserver\n  extraKeys: [example.com/tenant]\n", &server.TokenReviewConfig{
			Policies:       []token.Ref{{Namespace: "platform", Name: "login"}, {Namespace: "platform", Name: "ci"}},
			UsernamePrefix: "oidc:", GroupsPrefix: "oidc:", ExtraKeys: []string{"example.com/tenant"},
		}, ""},
		"no username prefix":  {"a token could be any user", "tokenReview:" + ca + policies + "\n  groupsPrefix: 'oidc:'\n", nil, "usernamePrefix is missing"},
		"no groups prefix":    {"a token could be in any group", "tokenReview:" + ca + policies + "\n  usernamePrefix: 'oidc:'\n", nil, "groupsPrefix is missing"},
		"system":              {"the cluster's own", "tokenReview:" + ca + policies + "\n  usernamePrefix: 'system:'\n  groupsPrefix: 'oidc:'\n", nil, "may become system:"},
		"system, upper case":  {"some compare without case", "tokenReview:" + ca + policies + "\n  usernamePrefix: 'oidc:'\n  groupsPrefix: 'System:x'\n", nil, "may become system:"},
		"a beginning of it":   {"the user ystem:admin", "tokenReview:" + ca + policies + "\n  usernamePrefix: 's'\n  groupsPrefix: 'oidc:'\n", nil, "may become system:"},
		"blank":               {"it looks empty", "tokenReview:" + ca + policies + "\n  usernamePrefix: ' '\n  groupsPrefix: 'oidc:'\n", nil, "usernamePrefix"},
		"no policies":         {"nothing to ask", "tokenReview:" + ca + prefixes + "\n", nil, "policies is missing"},
		"policy without name": {"which one is it?", "tokenReview:" + ca + prefixes + "\n  policies: [login]\n", nil, `"login" is not namespace/name`},
		"no CA":               {"anybody could ask", "tokenReview:" + prefixes + policies + "\n", nil, "tokenReview.clientCA is missing"},
		"key without domain":  {"the API server wants one", "tokenReview:" + ca + prefixes + policies + "\n  extraKeys: [tenant]\n", nil, "a domain and a path"},
		"key in upper case":   {"the API server wants lower case", "tokenReview:" + ca + prefixes + policies + "\n  extraKeys: [example.com/Tenant]\n", nil, "in lower case"},
		"unknown field":       {"a typo must not weaken anything", "tokenReview:" + ca + prefixes + policies + "\n  groupPrefix: x\n", nil, "unknown field"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := server.ParseConfig([]byte(c.config))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: error %v, want one that says %q", c.reason, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, got.TokenReview, cmpopts.IgnoreUnexported(server.TokenReviewConfig{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestTokenReviewVerify: who is the API server.
func TestTokenReviewVerify(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	config := func(san string) *server.TokenReviewConfig {
		c, err := server.ParseConfig([]byte("tokenReview:\n  usernamePrefix: 'o:'\n  groupsPrefix: 'o:'\n  policies: [a/b]\n" + san + "  clientCA: |\n        " + indented(ca.pem()) + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return c.TokenReview
	}
	chain := func(certs ...tls.Certificate) []*x509.Certificate {
		var all []*x509.Certificate
		for _, c := range certs {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, leaf)
		}
		return all
	}
	of := func(a *authority, name string) []*x509.Certificate { return chain(a.issue(t, name, nil)) }
	named := "  certificateSAN: kube-apiserver\n"
	cases := map[string]struct {
		reason string
		san    string
		certs  []*x509.Certificate
		later  time.Duration
		want   bool
	}{
		"its certificate":      {"under the CA", "", of(ca, "x"), 0, true},
		"its name":             {"under the CA, with the name", named, of(ca, "kube-apiserver"), 0, true},
		"another name":         {"somebody else of that CA", named, of(ca, "kubelet"), 0, false},
		"another CA":           {"nobody named it", "", of(stranger, "kube-apiserver"), 0, false},
		"none":                 {"anybody", "", nil, 0, false},
		"expired":              {"no more", "", of(ca, "x"), 2 * time.Hour, false},
		"a server's":           {"not for clients", "", chain(ca.issue(t, "x", serverAuth)), 0, false},
		"many certificates":    {"a stranger's chain is bounded", "", chain(ca.issue(t, "x", nil), ca.issue(t, "x", nil), ca.issue(t, "x", nil), ca.issue(t, "x", nil), ca.issue(t, "x", nil), ca.issue(t, "x", nil)), 0, false},
		"the CA's own is none": {"it is no client", named, []*x509.Certificate{ca.cert}, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := config(c.san).Verify(c.certs, time.Now().Add(c.later)); got != c.want {
				t.Errorf("%s: %v", c.reason, got)
			}
		})
	}
	if c := config(""); !c.Lists(token.Ref{Namespace: "a", Name: "b"}) || c.Lists(token.Ref{Namespace: "a", Name: "c"}) {
		t.Error("the list is not what was written")
	}
}
