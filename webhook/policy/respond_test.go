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
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
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
