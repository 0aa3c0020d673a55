// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

type (
	specs = []func(*v1alpha1.TokenPolicySpec)
	said  = func(*token.Facts)
)

func TestJudge(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   specs
		facts  said
		want   token.Reason
	}{
		"good":     {"all that the minimal policy needs", nil, func(*token.Facts) {}, token.ReasonNone},
		"inactive": {"RFC 7662", nil, func(f *token.Facts) { f.Active = false }, token.ReasonInactive},
		"nothing":  {"the zero value is a refusal", nil, func(f *token.Facts) { *f = token.Facts{} }, token.ReasonInactive},

		"opaque":                 {"not asked for: another policy of the client may have", nil, func(f *token.Facts) { f.Opaque = true }, token.ReasonMalformedToken},
		"opaque refused":         {"said", specs{opaque(v1alpha1.OpaqueRefused)}, func(f *token.Facts) { f.Opaque = true }, token.ReasonMalformedToken},
		"opaque and inactive":    {"refused as where it is not asked about", nil, func(f *token.Facts) { *f = token.Facts{Opaque: true} }, token.ReasonMalformedToken},
		"opaque accepted":        {"asked for", specs{opaque(v1alpha1.OpaqueAccepted)}, func(f *token.Facts) { f.Opaque = true }, token.ReasonNone},
		"JWT where opaque is":    {"both are accepted", specs{opaque(v1alpha1.OpaqueAccepted)}, func(*token.Facts) {}, token.ReasonNone},
		"opaque, without an aud": {"as any other: node-oidc-provider's refresh tokens have none", specs{opaque(v1alpha1.OpaqueAccepted)}, func(f *token.Facts) { f.Opaque, f.Audience = true, nil }, token.ReasonInvalidAudience},

		"other issuer":         {"the answer's iss must be the server's", nil, func(f *token.Facts) { f.Issuer = "https://sso.example.com/realms/other" }, token.ReasonInvalidIssuer},
		"issuer with slash":    {"RFC 8414: byte for byte", nil, func(f *token.Facts) { f.Issuer = issuer + "/" }, token.ReasonInvalidIssuer},
		"no issuer":            {"optional in RFC 7662: the server was asked", nil, func(f *token.Facts) { f.Issuer = "" }, token.ReasonNone},
		"expired":              {"the server may call it active for longer", nil, func(f *token.Facts) { f.ExpiresAt = now().Add(-time.Second) }, token.ReasonExpired},
		"in the second of exp": {"Keycloak still calls it active", nil, func(f *token.Facts) { f.ExpiresAt = now() }, token.ReasonExpired},
		"skew and exp":         {"skew never extends exp", specs{func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(5 * time.Minute) }}, func(f *token.Facts) { f.ExpiresAt = now().Add(-time.Nanosecond) }, token.ReasonExpired},
		"exp 1970":             {"a time, not its absence", nil, func(f *token.Facts) { f.ExpiresAt = time.Unix(0, 0) }, token.ReasonExpired},
		"no exp":               {"optional in RFC 7662: bounded by freshness", nil, func(f *token.Facts) { f.ExpiresAt = time.Time{} }, token.ReasonNone},
		"nbf within skew":      {"clocks differ", nil, func(f *token.Facts) { f.NotBefore = now().Add(30 * time.Second) }, token.ReasonNone},
		"nbf beyond skew":      {"RFC 7519", nil, func(f *token.Facts) { f.NotBefore = now().Add(31 * time.Second) }, token.ReasonNotYetValid},
		"iat within skew":      {"clocks differ", nil, func(f *token.Facts) { f.IssuedAt = now().Add(30 * time.Second) }, token.ReasonNone},
		"iat in the future":    {"no honest clock", nil, func(f *token.Facts) { f.IssuedAt = now().Add(31 * time.Second) }, token.ReasonNotYetValid},
		"skew 0":               {"0s is not the default", specs{func(s *v1alpha1.TokenPolicySpec) { s.Require.ClockSkew = duration(0) }}, func(f *token.Facts) { f.NotBefore = now().Add(time.Second) }, token.ReasonNotYetValid},

		"RFC 9449: bound as Bearer":    {"nobody proved possession", nil, func(f *token.Facts) { f.Bound = true }, token.ReasonBoundToken},
		"RFC 9449: DPoP without cnf":   {"bound, whatever the server keeps to itself", nil, func(f *token.Facts) { f.TokenType = "dpop" }, token.ReasonBoundToken},
		"RFC 9449: typ DPoP":           {"bound, whatever the server keeps to itself", nil, func(f *token.Facts) { f.Type = "DPoP" }, token.ReasonBoundToken},
		"RFC 8705: bound, any type":    {"a bound refresh token is bound first of all", nil, func(f *token.Facts) { f.Bound, f.Type = true, "Refresh" }, token.ReasonBoundToken},
		"duende":                       {"says access_token for token_type", nil, func(f *token.Facts) { f.TokenType, f.Type = "access_token", "" }, token.ReasonNone},
		"no types":                     {"optional in RFC 7662", nil, func(f *token.Facts) { f.TokenType, f.Type = "", "" }, token.ReasonNone},
		"RFC 9068":                     {"an access token's media type", nil, func(f *token.Facts) { f.Type = "application/AT+JWT" }, token.ReasonNone},
		"ID token":                     {"proves a sign-in to its client, gives no access", nil, func(f *token.Facts) { f.Type = "ID" }, token.ReasonInvalidTokenType},
		"refresh token":                {"is for the authorization server only", nil, func(f *token.Facts) { f.Type = "Refresh" }, token.ReasonInvalidTokenType},
		"offline token":                {"is a refresh token", nil, func(f *token.Facts) { f.Type = "Offline" }, token.ReasonInvalidTokenType},
		"refresh_token":                {"said in token_type", nil, func(f *token.Facts) { f.TokenType = "refresh_token" }, token.ReasonInvalidTokenType},
		"RFC 9701":                     {"an introspection answer is no access token", nil, func(f *token.Facts) { f.Type = "token-introspection+jwt" }, token.ReasonInvalidTokenType},
		"logout token":                 {"a JWT of another kind", nil, func(f *token.Facts) { f.Type = "logout+jwt" }, token.ReasonInvalidTokenType},
		"unknown token_type":           {"mac, N_A: not a bearer token", nil, func(f *token.Facts) { f.TokenType = "mac" }, token.ReasonInvalidTokenType},
		"contradiction":                {"an ID token and a refresh token is neither", specs{types("IDToken", "RefreshToken")}, func(f *token.Facts) { f.TokenType, f.Type = "refresh_token", "ID" }, token.ReasonInvalidTokenType},
		"unknown where all are wanted": {"unknown is never accepted", specs{types("AccessToken", "IDToken", "RefreshToken")}, func(f *token.Facts) { f.Type = "x" }, token.ReasonInvalidTokenType},
		"ID token where wanted":        {"asked for", specs{types("IDToken")}, func(f *token.Facts) { f.Type = "ID" }, token.ReasonNone},
		"access token where ID wanted": {"tokenTypes replaces the default", specs{types("IDToken")}, func(*token.Facts) {}, token.ReasonInvalidTokenType},

		"RFC 8707: missing aud":   {"missing denies", nil, func(f *token.Facts) { f.Audience = nil }, token.ReasonInvalidAudience},
		"other API":               {"by default our client's id is needed", nil, func(f *token.Facts) { f.Audience = []string{"billing"} }, token.ReasonInvalidAudience},
		"prefix of the audience":  {"equal, not alike", nil, func(f *token.Facts) { f.Audience = []string{"shop.orders2", "shop.order"} }, token.ReasonInvalidAudience},
		"audience of the policy":  {"one of several is enough", specs{audiences("x", "account")}, func(*token.Facts) {}, token.ReasonNone},
		"our id is not asked for": {"audiences replaces the default", specs{audiences("x")}, func(*token.Facts) {}, token.ReasonInvalidAudience},
		"all scopes":              {"RFC 6750", specs{scopesAll("orders.read", "profile")}, func(*token.Facts) {}, token.ReasonNone},
		"a scope is missing":      {"active is not authorized", specs{scopesAll("orders.read", "orders.write")}, func(*token.Facts) {}, token.ReasonInsufficientScope},
		"no scope at all":         {"missing denies", specs{scopesAll("orders.read")}, func(f *token.Facts) { f.Scope = nil }, token.ReasonInsufficientScope},
		"scopes have case":        {"RFC 6749: case-sensitive", specs{scopesAll("Orders.read")}, func(*token.Facts) {}, token.ReasonInsufficientScope},
		"any scope":               {"one of several is enough", specs{scopesAny("orders.write", "orders.read")}, func(*token.Facts) {}, token.ReasonNone},
		"none of any":             {"one is needed", specs{scopesAny("orders.write", "orders.admin")}, func(*token.Facts) {}, token.ReasonInsufficientScope},

		"client":           {"listed", specs{clients("mobile", "web")}, func(*token.Facts) {}, token.ReasonNone},
		"other client":     {"not listed", specs{clients("mobile")}, func(*token.Facts) {}, token.ReasonClientNotAllowed},
		"no client":        {"missing denies", specs{clients("web")}, func(f *token.Facts) { f.ClientID = "" }, token.ReasonClientNotAllowed},
		"tenant":           {"listed", specs{tenants("tenant", "other", "acme")}, func(*token.Facts) {}, token.ReasonNone},
		"other tenant":     {"not listed", specs{tenants("tenant", "other")}, func(*token.Facts) {}, token.ReasonTenantNotAllowed},
		"no tenant":        {"missing denies", specs{tenants("org", "acme")}, func(*token.Facts) {}, token.ReasonTenantNotAllowed},
		"tenant null":      {"null is missing", specs{tenants("tenant", "null")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":null}`) }, token.ReasonTenantNotAllowed},
		"tenant number":    {"a number is no name", specs{tenants("tenant", "42")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":42}`) }, token.ReasonTenantNotAllowed},
		"tenant object":    {"its keys are no tenants", specs{tenants("tenant", "acme")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":{"acme":"acme"}}`) }, token.ReasonTenantNotAllowed},
		"tenant list":      {"one of them is enough", specs{tenants("tenant", "acme")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":[7,"x","acme"]}`) }, token.ReasonNone},
		"tenant list, not": {"none of them", specs{tenants("tenant", "acme")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":["x",["acme"]]}`) }, token.ReasonTenantNotAllowed},
		"tenant escaped":   {"the same name in another spelling", specs{tenants("tenant", "acme")}, func(f *token.Facts) { f.Claims = claims(`{"tenant":"\u0061cme"}`) }, token.ReasonNone},
		"tenant with raw escapes": {
			"the name, not its spelling",
			specs{tenants("tenant", `\u0061cme`)},
			func(f *token.Facts) { f.Claims = claims(`{"tenant":"\u0061cme"}`) }, token.ReasonTenantNotAllowed,
		},

		"subject":       {"listed", specs{subjects("a-1", "b")}, func(*token.Facts) {}, token.ReasonNone},
		"other subject": {"not listed", specs{subjects("A-1", "b")}, func(*token.Facts) {}, token.ReasonSubjectNotAllowed},
		"no subject":    {"missing denies: Duende's machine tokens have none", specs{subjects("b")}, func(f *token.Facts) { f.Subject = "" }, token.ReasonSubjectNotAllowed},

		"RFC 9470: acr":       {"one of several is enough", specs{acr("silver", "gold")}, func(f *token.Facts) { f.ACR = "gold" }, token.ReasonNone},
		"RFC 9470: other acr": {"equal, not alike", specs{acr("gold")}, func(f *token.Facts) { f.ACR = "Gold" }, token.ReasonInsufficientAuthentication},
		"RFC 9470: no acr":    {"missing denies", specs{acr("gold")}, func(*token.Facts) {}, token.ReasonInsufficientAuthentication},

		"unbound where DPoP is required": {"RFC 9449", specs{bindings("DPoP")}, func(*token.Facts) {}, token.ReasonUnboundToken},
		"unbound where any is required":  {"either", specs{bindings("Any")}, func(*token.Facts) {}, token.ReasonUnboundToken},
		"binding None":                   {"is no requirement", specs{bindings("None")}, func(*token.Facts) {}, token.ReasonNone},

		"CVE-2026-8922": {"not-before: a token that was issued before the policy's cutoff", specs{maxTokenAge(time.Hour)}, func(f *token.Facts) { f.IssuedAt = now().Add(-2 * time.Hour) }, token.ReasonTokenTooOld},

		"young token":           {"within maxTokenAge and skew", specs{maxTokenAge(30 * time.Second)}, func(*token.Facts) {}, token.ReasonNone},
		"old token":             {"beyond both", specs{maxTokenAge(29 * time.Second)}, func(*token.Facts) {}, token.ReasonTokenTooOld},
		"token of unknown age":  {"missing denies", specs{maxTokenAge(time.Hour)}, func(f *token.Facts) { f.IssuedAt = time.Time{} }, token.ReasonTokenTooOld},
		"RFC 9470: signed in":   {"within maxAuthAge and skew", specs{maxAuthAge(570 * time.Second)}, func(*token.Facts) {}, token.ReasonNone},
		"RFC 9470: long ago":    {"a step-up is needed", specs{maxAuthAge(569 * time.Second)}, func(*token.Facts) {}, token.ReasonInsufficientAuthentication},
		"RFC 9470: unknown":     {"missing denies", specs{maxAuthAge(time.Hour)}, func(f *token.Facts) { f.AuthTime = time.Time{} }, token.ReasonInsufficientAuthentication},
		"RFC 9470: in a future": {"no honest clock", specs{maxAuthAge(time.Hour)}, func(f *token.Facts) { f.AuthTime = now().Add(time.Minute) }, token.ReasonInsufficientAuthentication},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := compile(t, c.spec...).Judge(input(facts(c.facts)))
			if d.Reason != c.want || (d.Verdict == token.Allow) != (c.want == token.ReasonNone) {
				t.Errorf("%s: %s %q, want %q", c.reason, d.Verdict, d.Reason, c.want)
			}
			if (d.Message == "") != (d.Verdict == token.Allow) {
				t.Errorf("message %q of %s", d.Message, d.Verdict)
			}
			fit(t, d)
		})
	}
}

// fit: RFC 6750 section 3 says what error_description and scope may hold.
func fit(t *testing.T, d token.Decision) {
	t.Helper()
	for _, c := range []byte(d.Message + d.Challenge.Scope) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("byte %#x in %+v", c, d)
		}
	}
	if len(d.Message) > 512 || len(d.Challenge.Scope) > 1024 {
		t.Errorf("%d bytes of message and %d of scope in a header", len(d.Message), len(d.Challenge.Scope))
	}
}

// TestFirstFailureGivesTheReason: a token that is wrong in all ways, put right one by one.
func TestFirstFailureGivesTheReason(t *testing.T) {
	p := compile(t, scopesAll("orders.read"), clients("web"), subjects("a-1"), tenants("tenant", "acme"), acr("gold"), maxTokenAge(time.Hour), maxAuthAge(time.Hour), rules("claims.tenant != 'acme'"))
	f, good := &token.Facts{
		Issuer: "x", ExpiresAt: now().Add(-1), NotBefore: now().Add(time.Hour), Bound: true, Type: "ID",
	}, facts()
	steps := []struct {
		want token.Reason
		fix  func()
	}{
		{token.ReasonInactive, func() { f.Active = true }},
		{token.ReasonInvalidIssuer, func() { f.Issuer = good.Issuer }},
		{token.ReasonExpired, func() { f.ExpiresAt = good.ExpiresAt }},
		{token.ReasonNotYetValid, func() { f.NotBefore = good.NotBefore }},
		{token.ReasonBoundToken, func() { f.Bound = false }},
		{token.ReasonInvalidTokenType, func() { f.Type = good.Type }},
		{token.ReasonInvalidAudience, func() { f.Audience = good.Audience }},
		{token.ReasonInsufficientScope, func() { f.Scope = good.Scope }},
		{token.ReasonClientNotAllowed, func() { f.ClientID = good.ClientID }},
		{token.ReasonSubjectNotAllowed, func() { f.Subject = good.Subject }},
		{token.ReasonTenantNotAllowed, func() { f.Claims = claims(`{"tenant":"acme"}`) }},
		{token.ReasonInsufficientAuthentication, func() { f.ACR = "gold" }},
		{token.ReasonInsufficientAuthentication, func() { f.AuthTime = good.AuthTime }},
		{token.ReasonTokenTooOld, func() { f.IssuedAt = good.IssuedAt }},
		{token.ReasonRuleDenied, func() {}},
	}
	for _, step := range steps {
		if d := p.Judge(input(f)); d.Reason != step.want {
			t.Fatalf("%s %q, want %q", d.Verdict, d.Reason, step.want)
		}
		step.fix()
	}
}

// TestCVE202132701StricterPolicy: the same facts, policy A, then a stricter B, then A.
func TestCVE202132701StricterPolicy(t *testing.T) {
	a, b, f := compile(t), compile(t, scopesAll("orders.admin")), facts()
	for i, want := range []token.Verdict{token.Allow, token.Deny, token.Allow} {
		if got := []*policy.Policy{a, b, a}[i].Judge(input(f)).Verdict; got != want {
			t.Errorf("judgement %d: %s, want %s", i, got, want)
		}
	}
}

func TestRefusalSaysWhatIsMissing(t *testing.T) {
	long := strings.Repeat("x", 255)
	cases := map[string]struct {
		reason string
		spec   specs
		facts  said
		want   token.Decision
	}{
		"scope": {"the one that is missing, and all that are needed", specs{scopesAll("orders.read", "orders.write")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks the scope orders.write.", Challenge: token.Challenge{Scope: "orders.read orders.write"},
		}},
		"scopes": {"those that are missing", specs{scopesAll("a", "b", "c")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks the scopes a, b and c.", Challenge: token.Challenge{Scope: "a b c"},
		}},
		"any scope": {"what is enough to ask for", specs{scopesAny("a", "b")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks a scope: it needs one of a or b.", Challenge: token.Challenge{Scope: "a"},
		}},
		"all and any": {"what is enough to ask for", specs{func(s *v1alpha1.TokenPolicySpec) {
			s.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: []string{"orders.read"}, AnyOf: []string{"a", "b"}}
		}}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks a scope: it needs one of a or b.", Challenge: token.Challenge{Scope: "orders.read a"},
		}},
		"all holds any": {"what is enough to ask for", specs{func(s *v1alpha1.TokenPolicySpec) {
			s.Require.Scopes = &v1alpha1.ScopeRequirement{AllOf: []string{"b"}, AnyOf: []string{"a", "b"}}
		}}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks the scope b.", Challenge: token.Challenge{Scope: "b"},
		}},
		"too many scopes": {"a header has room for so much", specs{scopesAll(long[1:]+"1", long[1:]+"2", long[1:]+"3", long[1:]+"4", long[1:]+"5")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientScope, Message: "The token lacks the scopes " + strings.Repeat(long[:64]+"..., ", 3) + long[:64] + "... and others.",
		}},
		"audience": {"what it must name, not what it names", nil, func(f *token.Facts) { f.Audience = []string{"billing"} }, token.Decision{
			Reason: token.ReasonInvalidAudience, Message: "The audience of the token does not name shop.orders.",
		}},
		"odd audience": {"RFC 6750: replaced, not escaped", specs{audiences("a\"b\\ü\n", "x")}, func(f *token.Facts) { f.Audience = nil }, token.Decision{
			Reason: token.ReasonInvalidAudience, Message: "The token has no audience. It must name one of a?b??? or x.",
		}},
		"type": {"what is accepted", specs{types("RefreshToken", "AccessToken")}, func(f *token.Facts) { f.Type = "ID" }, token.Decision{
			Reason: token.ReasonInvalidTokenType, Message: "A token of this type is not accepted here. Accepted: AccessToken, RefreshToken.",
		}},
		"subject": {"nothing that the token says", specs{subjects("b")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonSubjectNotAllowed, Message: "The token is of a subject that is not allowed here, or names none.",
		}},
		"RFC 9470: both": {"a step-up that brings one only would be refused again", specs{acr("silver", "gold"), maxAuthAge(time.Hour)}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientAuthentication, Message: "The user must have signed in in another way: acr must be one of silver or gold.",
			Challenge: token.Challenge{ACRValues: "silver gold", MaxAge: time.Hour},
		}},
		"RFC 9470: too old, with acr": {"the same the other way round", specs{acr("gold"), maxAuthAge(time.Minute)}, func(f *token.Facts) { f.ACR = "gold" }, token.Decision{
			Reason: token.ReasonInsufficientAuthentication, Message: "The user must have signed in within the last 1m0s: sign in again.",
			Challenge: token.Challenge{ACRValues: "gold", MaxAge: time.Minute},
		}},
		"RFC 9449": {"the scheme of the challenge", specs{bindings("DPoP")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonUnboundToken, Message: "The token must be bound to a key by DPoP.", Challenge: token.Challenge{DPoP: true},
		}},
		"RFC 9449 or 8705": {"one of two schemes", specs{bindings("Any")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonUnboundToken, Message: "The token must be bound to a key: by DPoP, or to a certificate.", Challenge: token.Challenge{DPoP: true},
		}},
		"RFC 8705": {"no scheme to name", specs{bindings("MTLS")}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonUnboundToken, Message: "The token must be bound to a certificate.",
		}},
		"RFC 9470": {"max_age for the challenge", specs{maxAuthAge(time.Minute)}, func(*token.Facts) {}, token.Decision{
			Reason: token.ReasonInsufficientAuthentication, Message: "The user must have signed in within the last 1m0s: sign in again.", Challenge: token.Challenge{MaxAge: time.Minute},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := compile(t, c.spec...).Judge(input(facts(c.facts)))
			if diff := cmp.Diff(c.want, d); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			fit(t, d)
		})
	}
}

// TestNoClientIDNoDefaultAudience: an empty id must not match an empty audience.
func TestNoClientIDNoDefaultAudience(t *testing.T) {
	in := input(facts(func(f *token.Facts) { f.Audience = []string{""} }))
	in.ClientID = ""
	if d := compile(t).Judge(in); d.Reason != token.ReasonInvalidAudience {
		t.Errorf("%s %q", d.Verdict, d.Reason)
	}
}

func BenchmarkJudge(b *testing.B) {
	p := compile(b, scopesAll("orders.read"), clients("web"), tenants("tenant", "acme"), maxTokenAge(time.Hour))
	in := input(facts())
	b.ReportAllocs()
	for b.Loop() {
		if p.Judge(in).Verdict != token.Allow {
			b.Fatal("refused")
		}
	}
}

func TestAllowDoesNotAllocate(t *testing.T) {
	p := compile(t, scopesAll("orders.read"), clients("web"), tenants("tenant", "acme"), maxTokenAge(time.Hour), maxAuthAge(time.Hour))
	in := input(facts())
	if allocs := testing.AllocsPerRun(100, func() { p.Judge(in) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
