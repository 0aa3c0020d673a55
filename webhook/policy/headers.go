// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Headers are those of an allow: every configured one, once, in the policy's order. One
// whose claim is unknown is empty, not left out: some gateways keep the client's own
// where we send none (GHSA-7r4p-vjf4-gxv4).
//
// Strings and numbers are as the server sent them, other values compact JSON. What a
// header can't carry is percent-encoded, and so is the percent sign: a reader that
// decodes gets the very claim, and two claims never become one.
func (p *Policy) Headers(f *token.Facts) []token.Header {
	if len(p.headers) == 0 {
		return nil
	}
	headers := make([]token.Header, len(p.headers))
	for i, h := range p.headers {
		headers[i] = token.Header{Name: h.name, Value: headerValue(f.Claims[h.claim])}
	}
	return headers
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
