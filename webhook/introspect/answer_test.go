// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// sizeAside is compared on its own.
var sizeAside = cmpopts.IgnoreFields(token.Facts{}, "Size", "Claims")

func TestParse(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	cases := map[string]struct {
		reason string
		body   string
		want   *token.Facts
	}{
		"keycloak": {
			"as Keycloak answers",
			`{"exp":1700000300,"iat":1700000000,"jti":"onrtac:1","iss":"https://sso/realms/acme","aud":"orders","sub":"a-1","typ":"Bearer","azp":"web","scope":"profile orders.read","client_id":"web","username":"alice","token_type":"Bearer","active":true}`,
			&token.Facts{
				Active: true, Issuer: "https://sso/realms/acme", Subject: "a-1", Username: "alice", ID: "onrtac:1", ClientID: "web",
				TokenType: "Bearer", Type: "Bearer", Audience: []string{"orders"}, Scope: []string{"profile", "orders.read"},
				ExpiresAt: at(1700000300), IssuedAt: at(1700000000),
			},
		},
		"duende": {
			"as Duende answers: lists, access_token, no sub for machines",
			`{"iss":"https://ids","nbf":1700000000,"iat":1700000000,"exp":1700003600,"aud":["a","b"],"scope":["x","y"],"client_id":"m","token_type":"access_token","active":true}`,
			&token.Facts{
				Active: true, Issuer: "https://ids", ClientID: "m", TokenType: "access_token", Audience: []string{"a", "b"}, Scope: []string{"x", "y"},
				ExpiresAt: at(1700003600), IssuedAt: at(1700000000), NotBefore: at(1700000000),
			},
		},
		"white space":        {"JSON is JSON", " {\n \"active\" : true ,\r\n\t\"aud\" :\n [ \"a\" ] , \"exp\":  7 } \n", &token.Facts{Active: true, Audience: []string{"a"}, ExpiresAt: at(7)}},
		"azp":                {"some have no client_id", `{"active":true,"azp":"web"}`, &token.Facts{Active: true, ClientID: "web"}},
		"client_id over azp": {"client_id is RFC 7662's", `{"active":true,"azp":"web","client_id":"mobile"}`, &token.Facts{Active: true, ClientID: "mobile"}},
		"scp":                {"some have no scope", `{"active":true,"scp":["a","b"]}`, &token.Facts{Active: true, Scope: []string{"a", "b"}}},
		"scp string":         {"some have no scope", `{"active":true,"scp":"a b"}`, &token.Facts{Active: true, Scope: []string{"a", "b"}}},
		"scope over scp":     {"scope is RFC 7662's", `{"active":true,"scope":"","scp":"a"}`, &token.Facts{Active: true}},
		"scope spaces":       {"only a space separates", `{"active":true,"scope":"  a  b\tc "}`, &token.Facts{Active: true, Scope: []string{"a", "b\tc"}}},
		"cnf":                {"bound", `{"active":true,"cnf":{"jkt":"x"}}`, &token.Facts{Active: true, Bound: true, JKT: "x"}},
		"cnf odd":            {"a cnf that nobody understands binds too", `{"active":true,"cnf":[]}`, &token.Facts{Active: true, Bound: true}},
		"nulls":              {"null is unknown", `{"active":true,"cnf":null,"aud":null,"exp":null,"scope":null,"iss":null,"sub":null}`, &token.Facts{Active: true}},
		"float times":        {"RFC 7519: numbers, also non-integer", `{"active":true,"exp":1.7e9,"iat":1.5,"auth_time":0}`, &token.Facts{Active: true, ExpiresAt: at(1700000000), IssuedAt: time.Unix(1, 5e8), AuthTime: at(0)}},
		"numeric sub":        {"no judgement rests on it; the raw claim is there", `{"active":true,"sub":42}`, &token.Facts{Active: true}},
		"empty audience":     {"names nobody", `{"active":true,"aud":["",""],"scope":[""]}`, &token.Facts{Active: true, Audience: []string{}, Scope: []string{}}},
		"surrogate pair":     {"one character", `{"active":true,"sub":"\\\ud83d\ude00\\u"}`, &token.Facts{Active: true, Subject: `\😀\u`}},
		"other case":         {"ACTIVE is another member", `{"active":false,"ACTIVE":true}`, &token.Facts{}},
		"inactive":           {"as every server answers", `{"active":false}`, &token.Facts{}},
		"inactive, claims":   {"what an inactive token says is nobody's business", `{"active":false,"sub":"alice","exp":"x"}`, &token.Facts{}},
		"active string":      {"only the boolean is true", `{"active":"true"}`, &token.Facts{}},
		"active number":      {"only the boolean is true", `{"active":1}`, &token.Facts{}},
		"active null":        {"only the boolean is true", `{"active":null}`, &token.Facts{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.body))
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, got, sizeAside, cmpopts.IgnoreUnexported(token.Facts{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if (got.Claims != nil) != c.want.Active {
				t.Errorf("claims of a token with active %t: %v", c.want.Active, got.Claims)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct{ reason, body string }{
		"empty":              {"no verdict", ``},
		"HTML":               {"a proxy's page", `<html>canary</html>`},
		"list":               {"no object", `[{"active":true}]`},
		"null":               {"no object", `null`},
		"true":               {"no object", `true`},
		"truncated":          {"half an answer", `{"active":true,"sub":"canary`},
		"two objects":        {"which one?", `{"active":true}{"active":false}`},
		"trailing":           {"more than an object", `{"active":true} canary`},
		"trailing comma":     {"no JSON", `{"active":true,}`},
		"active twice":       {"readers differ about which one counts", `{"active":false,"active":true}`},
		"member twice":       {"readers differ about which one counts", `{"active":true,"sub":"canary","sub":"b"}`},
		"escaped twice":      {"the same name in another spelling", `{"active":true,"sub":"canary","s\u0075b":"b"}`},
		"no active":          {"no introspection answer at all", `{"error":"canary"}`},
		"bad UTF-8":          {"Go reads all broken bytes as one character", "{\"active\":true,\"sub\":\"canary\xff\"}"},
		"half a character":   {"Go reads all halves as one character", `{"active":true,"sub":"canary\ud800"}`},
		"other half":         {"Go reads all halves as one character", `{"active":true,"sub":"canary\udc00x"}`},
		"two first halves":   {"Go reads all halves as one character", `{"active":true,"sub":"\ud800\ud800"}`},
		"half, then escape":  {"Go reads all halves as one character", `{"active":true,"sub":"\ud800\n\u0041x"}`},
		"exp string":         {"clients break on it, and so do we", `{"active":true,"exp":"1700000000"}`},
		"exp negative":       {"nonsense", `{"active":true,"exp":-1}`},
		"exp huge":           {"overflow is no long life", `{"active":true,"exp":1e300}`},
		"exp beyond floats":  {"overflow is no long life", `{"active":true,"exp":1e400}`},
		"exp beyond 9999":    {"milliseconds for seconds", `{"active":true,"exp":1700000000000}`},
		"nbf object":         {"nonsense", `{"active":true,"nbf":{}}`},
		"iat bool":           {"nonsense", `{"active":true,"iat":true}`},
		"auth_time list":     {"nonsense", `{"active":true,"auth_time":[1]}`},
		"iss number":         {"an issuer is a string", `{"active":true,"iss":7}`},
		"iss empty":          {"present, and not ours", `{"active":true,"iss":""}`},
		"client_id list":     {"a client is a string", `{"active":true,"client_id":["canary"]}`},
		"azp number":         {"a client is a string", `{"active":true,"azp":7}`},
		"token_type object":  {"unknown type", `{"active":true,"token_type":{}}`},
		"typ list":           {"unknown type", `{"active":true,"typ":["Bearer"]}`},
		"aud number":         {"an audience is a string", `{"active":true,"aud":7}`},
		"aud mixed":          {"an audience is a string", `{"active":true,"aud":["canary",7]}`},
		"aud null inside":    {"an audience is a string", `{"active":true,"aud":["canary",null]}`},
		"scope object":       {"nonsense", `{"active":true,"scope":{"a":true}}`},
		"scope with a space": {"our answer would make two of it", `{"active":true,"scope":["orders.read orders.admin"]}`},
		"members":            {"tiny members grow large in memory", `{"active":true` + manyMembers(1000) + `}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.body))
			if err == nil {
				t.Fatalf("%s: %+v", c.reason, got)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds a word of the answer: %v", err)
			}
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m` + strings.Repeat("x", i) + `":1`)
	}
	return b.String()
}

func TestSizeGrowsWithTheAnswer(t *testing.T) {
	small, err := parse([]byte(`{"active":true}`))
	if err != nil {
		t.Fatal(err)
	}
	large, err := parse([]byte(`{"active":true,"roles":"` + strings.Repeat("x", 5000) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if small.Size < 100 || large.Size-small.Size < 5000 {
		t.Errorf("sizes %d and %d", small.Size, large.Size)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"active":true}`, `{"active":false}`, `{"active":true,"aud":["a"],"scope":"a b","exp":1.5e9,"cnf":{"jkt":"x"}}`,
		`{"active":true,"scp":["a"],"azp":"web","iat":1,"nbf":2,"auth_time":3}`, `{"active":true,"sub":"\ud83d\ude00"}`,
		`{"active":true,"active":false}`, `[]`, `null`, `{"active":true,"exp":1e999}`, `{"error":"invalid_client"}`, `{"error":"unsupported_token_type"}`, `{"iss":null,"active":true}`, "{\"\xff\":1}", `{"active":1e700}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = errorCode(body)
		facts, err := parse(body)
		if (facts == nil) != (err != nil) {
			t.Fatalf("facts %v, error %v", facts, err)
		}
		if err != nil {
			return
		}
		var plain map[string]json.RawMessage
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("a verdict from what is no JSON: %v", err)
		}
		if facts.Active != (string(plain["active"]) == "true") {
			t.Fatalf("active %t from %s", facts.Active, body)
		}
		if facts.Size <= 0 || len(facts.Claims) > 1000 {
			t.Fatalf("size %d, %d claims", facts.Size, len(facts.Claims))
		}
		for _, scope := range facts.Scope {
			if scope == "" || strings.Contains(scope, " ") {
				t.Fatalf("scope %q", scope)
			}
		}
		if facts.Active && plain["cnf"] != nil && string(plain["cnf"]) != "null" && !facts.Bound {
			t.Fatal("a bound token passes for a bearer token")
		}
	})
}
