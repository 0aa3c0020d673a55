// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestHeaderValues(t *testing.T) {
	cases := map[string]struct {
		reason, claim, want string
	}{
		"string":             {"as it is", `"alice"`, "alice"},
		"string with spaces": {"as it is inside", `"a  b"`, "a  b"},
		"spaces at the ends": {"HTTP trims them: two identities would be one", `" a b "`, "%20a b%20"},
		"one space":          {"HTTP trims it", `" "`, "%20"},
		"percent":            {"else %41 and A would be one", `"%41"`, "%2541"},
		"not ASCII":          {"stripping would make two identities one", `"José"`, "Jos%C3%A9"},
		"control":            {"no second header", `"a\r\nX-Admin: 1\u0000\u007f"`, "a%0D%0AX-Admin: 1%00%7F"},
		"quotes":             {"as they are", `"\"a\\,<"`, `"a\,<`},
		"integer":            {"no float: 2^53+1", `9007199254740993`, "9007199254740993"},
		"decimal":            {"as it is", `1.50e3`, "1.50e3"},
		"boolean":            {"as JSON", `true`, "true"},
		"list":               {"compact JSON", "[ \"a\",\n \"ü\" , 1 ]", `["a","%C3%BC",1]`},
		"object":             {"compact JSON", `{ "a" : { "b" : [ ] } }`, `{"a":{"b":[]}}`},
		"null":               {"unknown", `null`, ""},
		"absent":             {"unknown", ``, ""},
		"empty":              {"empty", `""`, ""},
	}
	p := compile(t, headers(map[string]string{"X-Claim": "claim"}))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := facts(func(f *token.Facts) {
				f.Claims = map[string]json.RawMessage{}
				if c.claim != "" {
					f.Claims["claim"] = json.RawMessage(c.claim)
				}
			})
			if diff := cmp.Diff([]token.Header{{Name: "X-Claim", Value: c.want}}, p.Headers(f)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestGHSA7r4pEveryHeaderEveryTime: a header that we don't send stays the client's.
func TestGHSA7r4pEveryHeaderEveryTime(t *testing.T) {
	p := compile(t, headers(map[string]string{"x-auth-email": "email", "X-Auth-Subject": "sub", "X-Auth-Tenant": "tenant"}))
	want := []token.Header{{Name: "X-Auth-Subject", Value: "a-1"}, {Name: "X-Auth-Tenant", Value: "acme"}, {Name: "X-Auth-Email"}}
	if diff := cmp.Diff(want, p.Headers(facts())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := compile(t).Headers(facts()); len(got) != 0 {
		t.Errorf("headers that nobody asked for: %v", got)
	}
}

func FuzzHeaderValue(f *testing.F) {
	for _, seed := range []string{"alice", " a ", "%41", "é", "\r\n", "\x00\x7f", "", "%", "a b"} {
		f.Add(seed)
	}
	p := compile(f, headers(map[string]string{"X-Claim": "claim"}))
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		value := p.Headers(&token.Facts{Claims: map[string]json.RawMessage{"claim": raw}})[0].Value
		if back, err := url.PathUnescape(value); err != nil || back != s {
			t.Fatalf("%q comes back as %q, %v", s, back, err)
		}
		if value != strings.TrimSpace(value) {
			t.Fatalf("HTTP trims %q", value)
		}
		for _, c := range []byte(value) {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("byte %#x in %q", c, value)
			}
		}
	})
}

func TestBody(t *testing.T) {
	const keycloak = `{"active":true,"iss":"https://sso","sub":"a-1","aud":["a","b"],"jti":"j","username":"alice","exp":1700000300,"iat":1700000000,
		"scope":"a b","client_id":"web","azp":"web","token_type":"Bearer","typ":"Bearer","email":"a@b","cnf":{"jkt":"x"},"realm_access":{"roles":[ "x" ]}}`
	base := func(answer string, change ...said) *token.Facts {
		f := &token.Facts{
			Active: true, ClientID: "web", TokenType: "Bearer", Scope: []string{"a", "b"},
			ExpiresAt: time.Unix(1700000300, 0), IssuedAt: time.Unix(1700000000, 0), Claims: claims(answer),
		}
		for _, c := range change {
			c(f)
		}
		return f
	}
	cases := map[string]struct {
		reason string
		spec   specs
		facts  *token.Facts
		want   string
	}{
		"default": {
			"the standard members of RFC 7662, in one order, never cnf", nil, base(keycloak),
			`{"active":true,"token_type":"Bearer","scope":"a b","client_id":"web","username":"alice","exp":1700000300,"iat":1700000000,"sub":"a-1","aud":["a","b"],"iss":"https://sso","jti":"j"}`,
		},
		"chosen": {
			"no more than was asked for",
			specs{answers("sub", "email", "realm_access", "unknown")},
			base(keycloak),
			`{"active":true,"token_type":"Bearer","sub":"a-1","email":"a@b","realm_access":{"roles":["x"]}}`,
		},
		"token_type chosen": {"once", specs{answers("token_type", "sub")}, base(keycloak), `{"active":true,"token_type":"Bearer","sub":"a-1"}`},
		"no token_type": {
			"some clients read its absence as an ID token",
			specs{answers("sub")},
			base(keycloak, func(f *token.Facts) { f.TokenType = "" }),
			`{"active":true,"token_type":"Bearer","sub":"a-1"}`,
		},
		"azp only": {"client_id is what clients read", specs{answers("client_id")}, base(`{"azp":"web"}`), `{"active":true,"token_type":"Bearer","client_id":"web"}`},
		"scope list": {
			"an array breaks clients", specs{answers("scope")}, base(`{"scope":["a","b"]}`), `{"active":true,"token_type":"Bearer","scope":"a b"}`,
		},
		"float times": {
			"clients want integers", specs{answers("exp", "nbf", "auth_time")}, base(`{"exp":1.7e9}`, func(f *token.Facts) {
				f.ExpiresAt, f.NotBefore, f.AuthTime = time.Unix(1700000300, 9e8), time.Unix(1700000000, 1), time.Unix(7, 5)
			}), `{"active":true,"token_type":"Bearer","exp":1700000300,"nbf":1700000000,"auth_time":7}`,
		},
		"exp not after iat": {
			"clients break on it", specs{answers("iat", "exp")}, base(`{}`, func(f *token.Facts) {
				f.ExpiresAt, f.IssuedAt = time.Unix(1700000000, 9e8), time.Unix(1700000000, 1e8)
			}), `{"active":true,"token_type":"Bearer","exp":1700000000}`,
		},
		"iat without exp": {"nothing to compare with", specs{answers("iat", "exp")}, base(`{}`, func(f *token.Facts) { f.ExpiresAt = time.Time{} }), `{"active":true,"token_type":"Bearer","iat":1700000000}`},
		"nulls":           {"unknown is left out", specs{answers("sub", "aud")}, base(`{"sub":null}`), `{"active":true,"token_type":"Bearer"}`},
		"numbers":         {"no float", specs{answers("n")}, base(`{"n":9007199254740993}`), `{"active":true,"token_type":"Bearer","n":9007199254740993}`},
		"odd name":        {"escaped", specs{answers(v1alpha1.ClaimName(`a"b`))}, base(`{"a\"b":1}`), `{"active":true,"token_type":"Bearer","a\"b":1}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := compile(t, c.spec...).Body(c.facts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got.At(now()))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestBodyOverTime: exp Clamp is for callers that cache until exp.
func TestBodyOverTime(t *testing.T) {
	const start = 1_800_000_000
	cases := map[string]struct {
		reason       string
		spec         specs
		expires, iat int64
		at           time.Time
		want         string
	}{
		"token":           {reason: "its own", spec: specs{answers("iat", "exp", "sub")}, expires: start + 300, iat: start - 60, at: now(), want: `{"active":true,"token_type":"Bearer","iat":1799999940,"exp":1800000300,"sub":"a-1"}`},
		"clamp":           {reason: "maxAge from now", spec: specs{clamped, answers("iat", "exp", "sub")}, expires: start + 300, iat: start - 60, at: now(), want: `{"active":true,"token_type":"Bearer","iat":1799999940,"exp":1800000030,"sub":"a-1"}`},
		"clamp, later":    {reason: "from that now", spec: specs{clamped, answers("exp", "sub")}, expires: start + 300, at: now().Add(90 * time.Second), want: `{"active":true,"token_type":"Bearer","exp":1800000120,"sub":"a-1"}`},
		"clamp, end":      {reason: "never past its own", spec: specs{clamped, answers("sub", "exp")}, expires: start + 10, at: now(), want: `{"active":true,"token_type":"Bearer","sub":"a-1","exp":1800000010}`},
		"clamp, unknown":  {reason: "a caller without exp may cache for ever", spec: specs{clamped, answers("exp")}, at: now(), want: `{"active":true,"token_type":"Bearer","exp":1800000030}`},
		"clamp, no exp":   {reason: "it is not asked for", spec: specs{clamped, answers("sub")}, expires: start + 300, at: now(), want: `{"active":true,"token_type":"Bearer","sub":"a-1"}`},
		"clamp, maxAge 0": {reason: "clients break on an exp that is not after iat", spec: specs{clamped, maxAge(0), answers("iat", "exp")}, expires: start + 300, iat: start, at: now(), want: `{"active":true,"token_type":"Bearer","exp":1800000000}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			body, err := compile(t, c.spec...).Body(facts(func(f *token.Facts) {
				f.ExpiresAt, f.IssuedAt = instant(c.expires), instant(c.iat)
			}))
			if err != nil {
				t.Fatal(err)
			}
			body.At(c.at.Add(time.Hour)) // another caller's answer is not ours
			if diff := cmp.Diff(c.want, string(body.At(c.at))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// TestBodyOfBoundTokens: cnf is for a caller who said that he checks it.
func TestBodyOfBoundTokens(t *testing.T) {
	f := facts(func(f *token.Facts) {
		f.Bound, f.JKT, f.Claims = true, "x", claims(`{"sub":"a-1","cnf":{ "jkt": "x" }}`)
	})
	for want, spec := range map[string]specs{
		`{"active":true,"token_type":"DPoP","cnf":{"jkt":"x"},"sub":"a-1"}`: {callerVerifies, answers("sub")},
		`{"active":true,"token_type":"DPoP","sub":"a-1"}`:                   {answers("sub")},
	} {
		body, err := compile(t, spec...).Body(f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(body.At(now()))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestBodyDoesNotAllocate(t *testing.T) {
	body, err := compile(t).Body(facts())
	if err != nil {
		t.Fatal(err)
	}
	if allocs := testing.AllocsPerRun(100, func() { body.At(now()) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestHeaderExpressions(t *testing.T) {
	cases := map[string]struct {
		reason, expression, want string
	}{
		"string":         {"as it is", "claims.sub", "a-1"},
		"joined":         {"of several", "claims.tenant + '/' + claims.sub", "acme/a-1"},
		"integer":        {"no float: 2^53+1", "claims.n + 0", "9007199254740993"},
		"unsigned":       {"beyond int64", "claims.u", "18446744073709551615"},
		"fraction":       {"a double", "claims.f / 2.0", "0.25"},
		"boolean":        {"as JSON", "'a' in claims.l", "true"},
		"list":           {"compact JSON, filtered", "claims.l.filter(x, x != 'b')", `["a","<c>"]`},
		"object":         {"members in order", "{'z': 1, 'a': claims.o}", `{"a":{"x":[null,%221%22]},"z":1}`},
		"not ASCII":      {"encoded as claims are", "'José' + claims.sub", "Jos%C3%A9a-1"},
		"line break":     {"no second header", "'a\\r\\nX-Admin: 1'", "a%0D%0AX-Admin: 1"},
		"null":           {"unknown", "claims.o.x[0]", ""},
		"error":          {"unknown", "claims.other", ""},
		"not of JSON":    {"unknown", "duration('1s')", ""},
		"infinity":       {"unknown", "1.0 / 0.0", ""},
		"keys":           {"JSON has strings only", "{1: 2}", ""},
		"costs too much": {"unknown", "claims.l.map(a, claims.l.map(b, claims.l.map(c, claims.l.map(d, claims.l.map(e, claims.l))))) == []", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := compile(t, expressions("X-A", c.expression, "X-B", "claims.sub"))
			if err := p.Prepare(); err != nil {
				t.Fatal(err)
			}
			f := facts(func(f *token.Facts) {
				f.Claims = claims(`{"sub":"a-1","tenant":"acme","n":9007199254740993,"u":18446744073709551615,"f":0.5,"l":["a","b","<c>"],"o":{"x":[null,"1"]}}`)
			})
			want := []token.Header{{Name: "X-A", Value: strings.ReplaceAll(c.want, "%22", `"`)}, {Name: "X-B", Value: "a-1"}}
			if diff := cmp.Diff(want, p.Headers(f)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestBodyOfNoJSON(t *testing.T) {
	f := &token.Facts{Claims: map[string]json.RawMessage{"sub": json.RawMessage(`{"canary`)}}
	if _, err := compile(t).Body(f); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
}
