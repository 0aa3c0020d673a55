// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/google/cel-go/common/types"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// header of an allow: of a claim, or of an expression.
type header struct {
	name, claim string
	// value is nil for a claim's.
	value *expression
}

// Headers are those of an allow: every configured one, once, in the policy's order. One
// whose claim is unknown, or whose expression can't be evaluated, is empty, not left out:
// some gateways keep the client's own where we send none (GHSA-7r4p-vjf4-gxv4).
//
// Strings and numbers are as the server sent them, other values compact JSON. What a
// header can't carry is percent-encoded, and so is the percent sign: a reader that
// decodes gets the very claim, and two claims never become one.
func (p *Policy) Headers(f *token.Facts) []token.Header {
	if len(p.headers) == 0 {
		return nil
	}
	var on *activation
	headers := make([]token.Header, len(p.headers))
	for i, h := range p.headers {
		headers[i].Name = h.name
		if h.value == nil {
			headers[i].Value = headerValue(f.Claims[h.claim])
			continue
		}
		if on == nil {
			var err error
			if on, err = p.mapping(f); err != nil {
				on = &activation{}
			}
		}
		if on.claims != nil {
			headers[i].Value = h.value.text(on)
		}
	}
	return headers
}

// mapping is what the expressions over claims are evaluated on.
func (p *Policy) mapping(f *token.Facts) (*activation, error) {
	if err := p.Prepare(); err != nil {
		return nil, err
	}
	return claimsOf(f)
}

// text is an expression's value as a header carries it; empty for null, for what JSON
// does not have, and where it can't be evaluated.
func (e *expression) text(on *activation) string {
	value, _, err := e.eval(on)
	if err != nil {
		return ""
	}
	switch value := value.(type) {
	case types.Null:
		return ""
	case types.String:
		return percentEncode(strings.ToValidUTF8(string(value), "\ufffd"))
	}
	encoded, err := appendJSON(nil, value)
	if err != nil {
		return ""
	}
	return percentEncode(string(encoded))
}

// headerValue is a claim; empty for null and for what is no JSON.
func headerValue(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return percentEncode(s)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return ""
	}
	return percentEncode(compact.String())
}

// percentEncode keeps visible ASCII but the percent sign, and spaces inside: HTTP trims
// those at the ends.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	plain := func(i int) bool {
		c := s[i]
		if c == ' ' {
			return i > 0 && i < len(s)-1
		}
		return c > ' ' && c < 0x7f && c != '%'
	}
	odd := 0
	for i := range len(s) {
		if !plain(i) {
			odd++
		}
	}
	if odd == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*odd)
	for i := range len(s) {
		if plain(i) {
			b.WriteByte(s[i])
			continue
		}
		b.Write([]byte{'%', hex[s[i]>>4], hex[s[i]&0xf]})
	}
	return b.String()
}
