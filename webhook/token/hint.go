// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// maxEscaped bounds what Escape returns, in characters.
const maxEscaped = 64

// Hint is what a JWT says of itself in `iss`, `azp` and `aud`, UNVERIFIED: anybody can
// write it. It may choose whom to ask and explain a refusal in the audit line; it never
// lets anything in. ok is false if the token is not of the form of a signed JWT (RFC
// 7519): an opaque token may have dots too. The work is bounded by MaxLength, and a
// token of thousands of dots costs nothing (CVE-2025-27144, CVE-2025-30204).
func Hint(t Token) (iss, azp string, aud []string, ok bool) {
	if len(t.value) > MaxLength {
		return "", "", nil, false
	}
	header, rest, _ := strings.Cut(t.value, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if !found || header == "" || payload == "" || strings.IndexByte(signature, '.') >= 0 {
		return "", "", nil, false
	}
	if !isObject(header) {
		return "", "", nil, false
	}
	claims, ok := object(payload)
	if !ok {
		return "", "", nil, false
	}
	return unquote(claims["iss"]), unquote(claims["azp"]), list(claims["aud"]), true
}

// object is a base64url segment that holds a JSON object. Members are found by their
// exact name: a struct would take ISS for iss.
func object(segment string) (map[string]json.RawMessage, bool) {
	decoded, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return nil, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(decoded, &members) != nil || members == nil {
		return nil, false
	}
	return members, true
}

// isObject says whether a base64url segment holds a JSON object, whatever is in it.
func isObject(segment string) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Valid(decoded) && bytes.HasPrefix(bytes.TrimLeft(decoded, " \t\r\n"), []byte("{"))
}

// list is a JSON list of strings, or a string as a list of one.
func list(raw json.RawMessage) []string {
	if s := unquote(raw); s != "" {
		return []string{s}
	}
	var all []string
	if len(raw) == 0 || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// Escape makes a stranger's words fit for a log line: visible ASCII, all else as \xHH,
// blanks and quotes too, so that one value can't look like two; at most 64 characters.
func Escape(s string) string {
	const (
		hex = "0123456789abcdef"
		cut = "..."
	)
	var (
		out   = make([]byte, 0, maxEscaped+len(cut))
		whole int // how much of out leaves room for the cut
	)
	for i := range len(s) {
		switch c := s[i]; {
		case c > ' ' && c < 0x7f && c != '\\' && c != '"' && c != '\'':
			out = append(out, c)
		default:
			out = append(out, '\\', 'x', hex[c>>4], hex[c&0xf])
		}
		if len(out) > maxEscaped {
			return string(append(out[:whole], cut...))
		}
		if len(out) <= maxEscaped-len(cut) {
			whole = len(out)
		}
	}
	return string(out)
}
