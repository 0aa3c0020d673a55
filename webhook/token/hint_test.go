// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const header = `{"alg":"RS256","typ":"JWT"}`

func jws(header, payload string) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
}

type hint struct {
	Iss, Azp string
	Aud      []string
	OK       bool
}

func hintOf(raw string) hint {
	var h hint
	h.Iss, h.Azp, h.Aud, h.OK = token.Hint(token.New(raw))
	return h
}

func TestHint(t *testing.T) {
	cases := map[string]struct {
		reason string
		raw    string
		want   hint
	}{
		"keycloak":             {"the usual", jws(header, `{"iss":"https://sso","azp":"web","aud":"billing"}`), hint{"https://sso", "web", []string{"billing"}, true}},
		"audience list":        {"RFC 7519: one or many", jws(header, `{"aud":["a","b"]}`), hint{Aud: []string{"a", "b"}, OK: true}},
		"lightweight":          {"a JWT may say nothing", jws(header, `{}`), hint{OK: true}},
		"odd types":            {"an odd claim is not known, the form is a JWT's", jws(header, `{"iss":1,"azp":[],"aud":{"a":1}}`), hint{OK: true}},
		"exact names":          {"ISS is not iss", jws(header, `{"ISS":"https://sso"}`), hint{OK: true}},
		"unsigned":             {"alg none has the form; nobody trusts it here", strings.TrimSuffix(jws(header, `{"iss":"x"}`), "c2lnbmF0dXJl"), hint{Iss: "x", OK: true}},
		"opaque":               {"no dots", "0af7651916cd43dd8448eb211c80319c", hint{}},
		"empty":                {"nothing", "", hint{}},
		"two segments":         {"no JWS", "e30.e30", hint{}},
		"empty segments":       {"no JWS", "..", hint{}},
		"opaque with two dots": {"segments that are no JSON", "abc.def.ghi", hint{}},
		"payload no object":    {"claims are an object", jws(header, `["iss"]`), hint{}},
		"payload null":         {"claims are an object", jws(header, `null`), hint{}},
		"header no object":     {"a header is an object", jws(`7`, `{}`), hint{}},
		"padded":               {"RFC 7515: no padding", "e30=.e30=.eA", hint{}},
		"too long":             {"over the length nothing is read", jws(header, `{"iss":"`+strings.Repeat("x", token.MaxLength)+`"}`), hint{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, hintOf(c.raw)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestAgentgateway3064FiveSegments: dots say nothing about a token's form.
func TestAgentgateway3064FiveSegments(t *testing.T) {
	for _, raw := range []string{"a.b.c.d.e", jws(header, `{"iss":"x"}`) + ".d.e", jws(header, `{}`) + "."} {
		if got := hintOf(raw); got.OK {
			t.Errorf("Hint takes %q for a JWT: %+v", raw, got)
		}
	}
}

// TestCVE202527144ThousandsOfDots: they cost nothing.
func TestCVE202527144ThousandsOfDots(t *testing.T) {
	for name, raw := range map[string]string{
		"dots":                  strings.Repeat(".", 8<<10),
		"dots behind a JWT":     jws(header, `{}`) + strings.Repeat(".", 8<<10),
		"dots between segments": strings.Repeat("e30.", 2<<10),
	} {
		dots := token.New(raw)
		if allocs := testing.AllocsPerRun(10, func() { token.Hint(dots) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func TestEscape(t *testing.T) {
	long := strings.Repeat("a", 65)
	cases := map[string]struct {
		reason, in, want string
	}{
		"plain":            {"as it is", "https://sso.example.com/realms/acme", "https://sso.example.com/realms/acme"},
		"line break":       {"no second line in the log", "a\nb", `a\x0ab`},
		"blank":            {"two values must not look like one", "a b", `a\x20b`},
		"quotes":           {"no end of a quoted value", `"'\`, `\x22\x27\x5c`},
		"not ASCII":        {"no homographs, no bidi overrides", "é", `\xc3\xa9`},
		"64":               {"what fits is whole", long[:64], long[:64]},
		"65":               {"what does not is cut, and says so", long, long[:61] + "..."},
		"cut at escape":    {"never half an escape", long[:60] + "\n\n", long[:60] + "..."},
		"escape that fits": {"what fits is whole", long[:60] + "\n", long[:60] + `\x0a`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := token.Escape(c.in); got != c.want {
				t.Errorf("%s: Escape(%q) = %q, want %q", c.reason, c.in, got, c.want)
			}
		})
	}
}

func FuzzHint(f *testing.F) {
	for _, seed := range []string{
		"", "..", "a.b.c", "a.b.c.d.e", jws(header, `{"iss":"x","azp":"y","aud":["z"]}`), jws(header, `{"aud":"z"}`),
		jws(`{}`, strings.Repeat("[", 5000)), strings.Repeat(".", 8<<10),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		h := hintOf(raw)
		if !h.OK && (h.Iss != "" || h.Azp != "" || h.Aud != nil) {
			t.Errorf("not a JWT, and yet it says %+v", h)
		}
		if h.OK && strings.Count(raw, ".") != 2 {
			t.Errorf("a JWT of %d dots", strings.Count(raw, "."))
		}
		for _, s := range append(h.Aud, h.Iss, h.Azp, raw) {
			escaped := token.Escape(s)
			if len(escaped) > 64 {
				t.Errorf("Escape(%q) has %d characters", s, len(escaped))
			}
			for _, b := range []byte(escaped) {
				if b <= ' ' || b >= 0x7f {
					t.Errorf("Escape(%q) has byte %#x", s, b)
				}
			}
		}
	})
}
