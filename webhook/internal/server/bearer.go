// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/url"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Presented reads the values of a request's Authorization headers: a token after Bearer
// (RFC 6750 section 2.1) or DPoP (RFC 9449 section 7.1), or says in words what is wrong
// with them. No header is no token and no problem, and so is one of another scheme: the
// policy's answer says so, without an error code (RFC 6750 section 3.1).
func Presented(authorization []string) (t token.Token, scheme token.Scheme, problem string) {
	switch len(authorization) {
	case 0:
		return token.Token{}, token.SchemeBearer, ""
	case 1:
	default:
		return token.Token{}, token.SchemeBearer, "There are two Authorization headers: send one."
	}
	name, raw, _ := strings.Cut(authorization[0], " ")
	switch {
	case strings.EqualFold(name, "Bearer"):
	case strings.EqualFold(name, "DPoP"):
		scheme = token.SchemeDPoP
	default:
		return token.Token{}, token.SchemeBearer, ""
	}
	raw = strings.TrimLeft(raw, " ")
	if !isToken68(raw) {
		return token.Token{}, token.SchemeBearer, "The Authorization header does not hold one token."
	}
	return token.New(raw), scheme, ""
}

// isToken68 is b64token of RFC 6750: no gateway can have merged two of them into one
// (Envoy: "Bearer t1,Bearer t2"), and no byte of it means anything to anybody.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	// Tokens are long and in each request: eight bytes a step, without a branch for each.
	bad := byte(0)
	for ; len(body) >= 8; body = body[8:] {
		bad |= noToken68[body[0]] | noToken68[body[1]] | noToken68[body[2]] | noToken68[body[3]] |
			noToken68[body[4]] | noToken68[body[5]] | noToken68[body[6]] | noToken68[body[7]]
	}
	for i := range len(body) {
		bad |= noToken68[body[i]]
	}
	return bad == 0
}

// noToken68 has a 1 for each byte that is no character of b64token, padding included.
const noToken68 = ones + ones + // controls
	"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x01\x00\x00\x00" + // + - . /
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01\x01\x01" + // 0 to 9
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // A to O
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01\x00" + // P to Z _
	"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // a to o
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x00\x01" + // p to z ~
	ones + ones + ones + ones + ones + ones + ones + ones // no ASCII

const ones = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"

// TokenInQuery says whether the URL that the user called carries a token too: two ways
// of transmission are one too many (RFC 6750 section 2). target is a path and query, raw.
func TokenInQuery(target string) bool {
	_, query, _ := strings.Cut(target, "?")
	return InQuery(query, paramAccessToken)
}

// paramAccessToken is RFC 6750 section 2.3.
const paramAccessToken = "access_token"

// InQuery says whether a raw query has a parameter of one of the names, however it is
// encoded.
func InQuery(query string, names ...string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(key); err == nil {
			key = decoded
		}
		if slices.Contains(names, key) {
			return true
		}
	}
	return false
}
