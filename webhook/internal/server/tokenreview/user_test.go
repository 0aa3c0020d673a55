// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	v1      = "authentication.k8s.io/v1"
	v1beta1 = "authentication.k8s.io/v1beta1"
)

// TestAllow: prefixes on the user and on groups, only the listed extra keys, in the
// version that was asked.
func TestAllow(t *testing.T) {
	f := serve(t, allow(token.User{
		Username: "alice", Groups: []string{"dev", "ops"},
		Extra: map[string][]string{"example.com/tenant": {"acme"}, "example.com/other": {"x"}, "authentication.kubernetes.io/credential-id": {"x"}},
	}), nil)
	want := authenticationv1.TokenReviewStatus{
		Authenticated: true,
		User: authenticationv1.UserInfo{
			Username: "oidc:alice", Groups: []string{"oidc-group:dev", "oidc-group:ops"},
			Extra: map[string]authenticationv1.ExtraValue{"example.com/tenant": {"acme"}},
		},
		Audiences: []string{"api"},
	}
	for _, version := range []string{v1, v1beta1} {
		if diff := cmp.Diff(want, f.review(t, version, "s3cret").Status); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}

// TestSystem: no user or group of the cluster's own, whatever a policy's CEL says, and
// none that is another one on its way.
func TestSystem(t *testing.T) {
	cases := map[string]struct {
		reason string
		user   token.User
	}{
		"user":             {"the cluster's own", token.User{Username: "system:admin"}},
		"user, mixed case": {"read without case somewhere", token.User{Username: "System:admin"}},
		"user, space":      {"trimmed somewhere", token.User{Username: " system:admin"}},
		"group":            {"cluster administrators", token.User{Username: "alice", Groups: []string{"dev", "system:masters"}}},
		"group, case":      {"read without case somewhere", token.User{Username: "alice", Groups: []string{"SYSTEM:masters"}}},
		"no user":          {"the prefix alone", token.User{Username: ""}},
		"no group":         {"the prefix alone", token.User{Username: "alice", Groups: []string{""}}},
		"broken bytes":     {"JSON makes one character of all of them", token.User{Username: "alice\xff"}},
		"line break":       {"names go on in headers", token.User{Username: "alice\nX-Remote-Group: system:masters"}},
		"group, NUL":       {"names go on in headers", token.User{Username: "alice", Groups: []string{"a\x00"}}},
		"extra":            {"so do extra facts", token.User{Username: "alice", Extra: map[string][]string{"example.com/tenant": {"a\r\n"}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, allow(c.user), nil)
			if got := f.review(t, v1, "s3cret").Status; !cmp.Equal(got, authenticationv1.TokenReviewStatus{}) {
				t.Errorf("%s: answered %+v", c.reason, got)
			}
			if !strings.Contains(f.log.String(), `"reason":"invalid_user"`) {
				t.Errorf("%s: the log says\n%s", c.reason, f.log)
			}
		})
	}
}

// TestNeverAuthenticatedWithEmptyAudiences: the API server takes such an answer for a
// token of its own, and lets it in (measured). Nor with others than it asked for.
func TestNeverAuthenticatedWithEmptyAudiences(t *testing.T) {
	cases := map[string]struct {
		reason    string
		audiences []string
		asked     []string
		want      string
	}{
		"none":            {"cluster access", []string{}, []string{"api"}, "audience_not_asked: The answer would have no audience"},
		"an empty one":    {"is none", []string{""}, []string{"api", ""}, "audience_not_asked: "},
		"not asked":       {"another API server's", []string{"other"}, []string{"api"}, "audience_not_asked: "},
		"one of two":      {"another API server's", []string{"api", "other"}, []string{"api"}, "audience_not_asked: "},
		"none asked":      {"what to set is said", []string{"api"}, nil, "audience_not_asked: The TokenReview asks for no audience"},
		"none anywhere":   {"what to set is said", []string{}, []string{}, "audience_not_asked: The TokenReview asks for no audience"},
		"asked for more":  {"one of them is enough", []string{"api"}, []string{"api", "other"}, ""},
		"both asked for":  {"all of them", []string{"api", "other"}, []string{"other", "api"}, ""},
		"another's case":  {"audiences are exact", []string{"API"}, []string{"api"}, "audience_not_asked: "},
		"a part of asked": {"audiences are exact", []string{"ap"}, []string{"api"}, "audience_not_asked: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, allow(token.User{Username: "alice", Audiences: c.audiences}), nil)
			status := f.asked(t, f.post(t, f.client(t, apiServer), reviews, "application/json", body(t, v1, "s3cret", c.asked...)), v1).Status
			if c.want == "" {
				if !status.Authenticated || len(status.Audiences) == 0 {
					t.Errorf("%s: answered %+v", c.reason, status)
				}
				return
			}
			if status.Authenticated || !strings.HasPrefix(status.Error, c.want) ||
				!cmp.Equal(status, authenticationv1.TokenReviewStatus{}, cmpopts.IgnoreFields(authenticationv1.TokenReviewStatus{}, "Error")) {
				t.Errorf("%s: answered %+v", c.reason, status)
			}
			if c.asked == nil && !strings.Contains(status.Error, "--api-audiences") {
				t.Errorf("%s: does not say what to set: %q", c.reason, status.Error)
			}
		})
	}
}
