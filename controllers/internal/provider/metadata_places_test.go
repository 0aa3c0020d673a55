// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// TestDiscoverPlaces: an OAuth server without OpenID Connect has its metadata where RFC 8414 says, or where others say.
func TestDiscoverPlaces(t *testing.T) {
	const openID, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for name, tc := range map[string]struct {
		reason string
		path   string
		serves string
		status int // of all other places
		asks   []string
		want   provider.Kind // -1 for none
	}{
		"OpenID":        {"the one place of OpenID Connect", "/acme", "/acme" + openID, 404, []string{"/acme" + openID}, -1},
		"inserted":      {"RFC 8414 section 3.1", "/acme", oauth + "/acme", 404, []string{"/acme" + openID, oauth + "/acme"}, -1},
		"appended":      {"as some have it", "/acme", "/acme" + oauth, 404, []string{"/acme" + openID, oauth + "/acme", "/acme" + oauth}, -1},
		"no path":       {"both are the same", "", oauth, 404, []string{openID, oauth}, -1},
		"slash":         {"a slash at the end is no path", "/", oauth, 404, []string{openID, oauth}, -1},
		"escaped":       {"the path stays as it is spelled", "/a%2Fb", oauth + "/a%2Fb", 404, []string{"/a%2Fb" + openID, oauth + "/a%2Fb"}, -1},
		"nowhere":       {"404 everywhere is 404", "/acme", "", 404, []string{"/acme" + openID, oauth + "/acme", "/acme" + oauth}, provider.KindNotFound},
		"trouble":       {"trouble is no reason to look elsewhere", "/acme", oauth + "/acme", 502, []string{"/acme" + openID}, provider.KindServer},
		"somebody else": {"nor is a refusal", "/acme", oauth + "/acme", 403, []string{"/acme" + openID}, provider.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			var issuer string
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.EscapedPath())
				if r.URL.EscapedPath() != tc.serves {
					w.WriteHeader(tc.status)
					return
				}
				_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","registration_endpoint":"` + strings.TrimSuffix(issuer, "/") + `/reg"}`))
			}))
			t.Cleanup(server.Close)
			issuer = server.URL + tc.path
			m, err := provider.Discover(t.Context(), server.Client(), issuer, issuer)
			if kind, ok := provider.KindOf(err); ok != (tc.want >= 0) || ok && kind != tc.want {
				t.Errorf("%s: error %v", tc.reason, err)
			}
			if err == nil && (m.Issuer != issuer || m.RegistrationEndpoint != strings.TrimSuffix(issuer, "/")+"/reg") {
				t.Errorf("%s: %+v", tc.reason, m)
			}
			if diff := cmp.Diff(tc.asks, asked); diff != "" {
				t.Errorf("%s: asked (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRebase(t *testing.T) {
	const issuer, base = "https://sso.example.com/acme", "http://sso.identity.svc/acme"
	for name, tc := range map[string]struct{ reason, address, want string }{
		"under":  {"what lies under the issuer is called where we call it", issuer + "/token", base + "/token"},
		"beside": {"another path is another thing", "https://sso.example.com/other/token", "https://sso.example.com/other/token"},
		"longer": {"a longer name is another tenant", issuer + "2/token", issuer + "2/token"},
	} {
		if got := provider.Rebase(tc.address, issuer, base); got != tc.want {
			t.Errorf("%s: %s: %q, want %q", name, tc.reason, got, tc.want)
		}
	}
}
