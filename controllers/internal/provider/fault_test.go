// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestFault(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		answer provider.Answer
		want   provider.Error
		cause  bool // it says why in words of ours
	}{
		"OAuth":         {"error and error_description (RFC 6749 section 5.2)", provider.Answer{Status: 400, Body: []byte(`{"error":"invalid_scope","error_description":"No s3cr3t"}`)}, provider.Error{Kind: provider.KindInvalid, Detail: "invalid_scope: No [secret]"}, false},
		"error alone":   {"error alone", provider.Answer{Status: 400, Body: []byte(`{"error":"invalid_scope"}`)}, provider.Error{Kind: provider.KindInvalid, Detail: "invalid_scope"}, false},
		"description":   {"the description alone", provider.Answer{Status: 400, Body: []byte(`{"error_description":"No"}`)}, provider.Error{Kind: provider.KindInvalid, Detail: "No"}, false},
		"errorMessage":  {"Keycloak's other form", provider.Answer{Status: 409, Body: []byte(`{"errorMessage":"Client X already exists"}`)}, provider.Error{Kind: provider.KindConflict, Detail: "Client X already exists"}, false},
		"other JSON":    {"nothing else of the body is repeated", provider.Answer{Status: 400, Body: []byte(`{"message":"s3cr3t"}`)}, provider.Error{Kind: provider.KindInvalid}, false},
		"401":           {"whatever the body", provider.Answer{Status: 401}, provider.Error{Kind: provider.KindCredentials}, false},
		"403":           {"whatever the body", provider.Answer{Status: 403, Body: []byte("<html>")}, provider.Error{Kind: provider.KindForbidden}, false},
		"404":           {"the server's own", provider.Answer{Status: 404, Body: []byte(`{"error":"not_found"}`)}, provider.Error{Kind: provider.KindNotFound, Detail: "not_found"}, false},
		"404 HTML":      {"a proxy's is no absence, but trouble", provider.Answer{Status: 404, Body: []byte("<html>")}, provider.Error{Kind: provider.KindServer}, true},
		"400 HTML":      {"nor is its 400 the user's fault", provider.Answer{Status: 400, Body: []byte("<html>")}, provider.Error{Kind: provider.KindServer}, true},
		"302":           {"a redirect is not followed", provider.Answer{Status: 302, Body: []byte(`{"error":"x"}`)}, provider.Error{Kind: provider.KindServer, Detail: "x"}, true},
		"408":           {"try again", provider.Answer{Status: 408, Body: []byte(`{}`)}, provider.Error{Kind: provider.KindServer}, false},
		"425":           {"try again", provider.Answer{Status: 425, Body: []byte(`{}`)}, provider.Error{Kind: provider.KindServer}, false},
		"429":           {"wait, for as long as it says", provider.Answer{Status: 429, RetryAfter: time.Second}, provider.Error{Kind: provider.KindRateLimited, RetryAfter: time.Second}, false},
		"429 silent":    {"wait, though it does not say how long", provider.Answer{Status: 429}, provider.Error{Kind: provider.KindRateLimited}, false},
		"503":           {"trouble", provider.Answer{Status: 503}, provider.Error{Kind: provider.KindServer}, false},
		"503 with time": {"maintenance that says when it ends", provider.Answer{Status: 503, RetryAfter: time.Second}, provider.Error{Kind: provider.KindRateLimited, RetryAfter: time.Second}, false},
		"500":           {"trouble", provider.Answer{Status: 500, Body: []byte(`{"error":"unknown_error"}`)}, provider.Error{Kind: provider.KindServer, Detail: "unknown_error"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.answer.Op, tc.want.Op, tc.want.Status = "ask", "ask", tc.answer.Status
			got := tc.answer.Fault("s3cr3t")
			if diff := cmp.Diff(&tc.want, got, cmpopts.IgnoreFields(provider.Error{}, "Err")); diff != "" || (got.Err != nil) != tc.cause {
				t.Errorf("%s: cause %v (-want +got):\n%s", tc.reason, got.Err, diff)
			}
		})
	}
}

func TestAnswerWord(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		answer *provider.Answer
		word   string
		json   bool
	}{
		"code":      {"the code", &provider.Answer{Body: []byte(`{"error":"not_found"}`)}, "not_found", true},
		"none":      {"JSON without one", &provider.Answer{Body: []byte(`{}`)}, "", true},
		"HTML":      {"a proxy's page", &provider.Answer{Body: []byte(`<html>`)}, "", false},
		"array":     {"no object", &provider.Answer{Body: []byte(`[]`)}, "", false},
		"no answer": {"it may be asked of no answer at all", nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.answer.Word(); got != tc.word {
				t.Errorf("%s: word %q, want %q", tc.reason, got, tc.word)
			}
			if tc.answer != nil && tc.answer.IsJSON() != tc.json {
				t.Errorf("%s: IsJSON is %v", tc.reason, !tc.json)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, owner, mark string
		want                bool
	}{
		"ours":    {"the same mark", "a/b/c", "a/b/c", true},
		"theirs":  {"another one", "a/b/c", "a/b/d", false},
		"none":    {"no mark", "a/b/c", "", false},
		"no mark": {"who has no mark owns nothing, not even what bears none", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := provider.Owns(tc.owner, tc.mark); got != tc.want {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
}
