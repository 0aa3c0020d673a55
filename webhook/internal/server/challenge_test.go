// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const algorithms = `algs="ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA"`

// TestChallenges of RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3 and RFC
// 9728 section 5.1.
func TestChallenges(t *testing.T) {
	const invalid = `Bearer error="invalid_token", error_description="why"`
	why := func(reason token.Reason, c token.Challenge) token.Decision {
		return token.Decision{Reason: reason, Message: "why", Challenge: c}
	}
	bare := func(reason token.Reason) token.Decision { return why(reason, token.Challenge{}) }
	metadata := token.Challenge{ResourceMetadata: "https://api.example.com/.well-known/oauth-protected-resource"}
	const at = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`
	cases := map[string]struct {
		reason   string
		decision token.Decision
		status   int
		want     string
	}{
		"missing":           {"who sent nothing is told nothing", bare(token.ReasonMissingToken), 401, `Bearer realm="introspection"`},
		"missing, metadata": {"RFC 9728: where to begin", why(token.ReasonMissingToken, metadata), 401, `Bearer realm="introspection", ` + at},
		"missing, DPoP":     {"RFC 9449: which scheme", why(token.ReasonMissingToken, token.Challenge{DPoP: true}), 401, `DPoP realm="introspection", ` + algorithms},
		"zero":              {"the zero Decision is a deny", token.Decision{}, 401, `Bearer error="invalid_token"`},
		"unknown":           {"a reason of later", bare("later"), 401, invalid},
		"inactive":          {"a bad token", bare(token.ReasonInactive), 401, invalid},
		"audience":          {"a bad token", bare(token.ReasonInvalidAudience), 401, invalid},
		"signature":         {"a bad token", bare(token.ReasonInvalidSignature), 401, invalid},
		"certificate":       {"RFC 8705 section 3", bare(token.ReasonInvalidCertificate), 401, invalid},
		"bound":             {"bound as Bearer", why(token.ReasonBoundToken, token.Challenge{DPoP: true}), 401, `DPoP error="invalid_token", error_description="why", ` + algorithms},
		"unbound":           {"bound ones only", bare(token.ReasonUnboundToken), 401, invalid},
		"proof":             {"RFC 9449", why(token.ReasonInvalidProof, token.Challenge{DPoP: true}), 401, `DPoP error="invalid_dpop_proof", error_description="why", ` + algorithms},
		"request":           {"never 400 on gateways", bare(token.ReasonInvalidRequest), 401, `Bearer error="invalid_request", error_description="why"`},
		"scope":             {"what is missing", why(token.ReasonInsufficientScope, token.Challenge{Scope: "orders.read orders.write"}), 403, `Bearer error="insufficient_scope", error_description="why", scope="orders.read orders.write"`},
		"scope, long":       {"half a list would be another", why(token.ReasonInsufficientScope, token.Challenge{Scope: strings.Repeat("x", 2000)}), 403, `Bearer error="insufficient_scope", error_description="why"`},
		"scope elsewhere":   {"it is not what is missing", why(token.ReasonInactive, token.Challenge{Scope: "a", ACRValues: "b", MaxAge: time.Hour}), 401, invalid},
		"client":            {"another token won't help", bare(token.ReasonClientNotAllowed), 403, `Bearer error="access_denied", error_description="why"`},
		"subject":           {"another token won't help", bare(token.ReasonSubjectNotAllowed), 403, `Bearer error="access_denied", error_description="why"`},
		"tenant":            {"another token won't help", bare(token.ReasonTenantNotAllowed), 403, `Bearer error="access_denied", error_description="why"`},
		"rule":              {"another token won't help", bare(token.ReasonRuleDenied), 403, `Bearer error="access_denied", error_description="why"`},
		"rule's error":      {"another token won't help", bare(token.ReasonRuleError), 403, `Bearer error="access_denied", error_description="why"`},
		"host":              {"another token won't help", bare(token.ReasonHostNotAllowed), 403, `Bearer error="access_denied", error_description="why"`},
		"step-up, age":      {"RFC 9470", why(token.ReasonInsufficientAuthentication, token.Challenge{MaxAge: time.Hour}), 401, `Bearer error="insufficient_user_authentication", error_description="why", max_age="3600"`},
		"step-up, class":    {"RFC 9470", why(token.ReasonInsufficientAuthentication, token.Challenge{ACRValues: "gold silver"}), 401, `Bearer error="insufficient_user_authentication", error_description="why", acr_values="gold silver"`},
		"step-up, both":     {"RFC 9470", why(token.ReasonInsufficientAuthentication, token.Challenge{ACRValues: "gold", MaxAge: 90 * time.Second, ResourceMetadata: metadata.ResourceMetadata}), 401, `Bearer error="insufficient_user_authentication", error_description="why", acr_values="gold", max_age="90", ` + at},
		"quotes":            {"forbidden characters are replaced, not escaped", token.Decision{Reason: token.ReasonInactive, Message: "a \"b\" \\c\r\nX: é\x7f"}, 401, `Bearer error="invalid_token", error_description="a 'b' /c??X: ??"`},
		"very long":         {"a challenge is bounded", token.Decision{Reason: token.ReasonInactive, Message: strings.Repeat("x", 9999)}, 401, `Bearer error="invalid_token", error_description="` + strings.Repeat("x", 512) + `"`},
		"an undecided's":    {"the engine gives it with an error", bare(token.ReasonNoPolicy), 401, invalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status, got := server.Challenge(&c.decision)
			if status != c.status || got != c.want {
				t.Errorf("%s: %d %s, want %d %s", c.reason, status, got, c.status, c.want)
			}
		})
	}
}

// FuzzChallenge holds any to the grammar of RFC 9110 section 11.6.1, with RFC 6750 section
// 3's values.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{"", `a "quoted" \word`, "line\r\nbreak", "é", strings.Repeat("x", 1000), "\xff"} {
		f.Add(string(token.ReasonInsufficientScope), seed, seed, int64(1), true)
		f.Add(string(token.ReasonMissingToken), seed, seed, int64(0), false)
		f.Add(string(token.ReasonInsufficientAuthentication), seed, seed, int64(-1), false)
	}
	grammar := regexp.MustCompile(`^(Bearer|DPoP) [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*")*$`)
	f.Fuzz(func(t *testing.T, reason, words, list string, age int64, dpop bool) {
		status, got := server.Challenge(&token.Decision{Reason: token.Reason(reason), Message: words, Challenge: token.Challenge{
			Scope: list, ACRValues: list, ResourceMetadata: list, MaxAge: time.Duration(age), DPoP: dpop,
		}})
		if status != http.StatusUnauthorized && status != http.StatusForbidden || !grammar.MatchString(got) || len(got) > 6<<10 {
			t.Errorf("%d %s", status, got)
		}
	})
}
