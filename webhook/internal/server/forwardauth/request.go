// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// bearerOf reads the one Authorization header (RFC 6750 section 2.1), or says in words
// what is wrong with it. No header is no token, and so is one of another scheme: the
// policy's answer says so, without an error code (RFC 6750 section 3.1).
func bearerOf(authorization []string) (bearer token.Token, wrong string) {
	switch len(authorization) {
	case 0:
		return token.Token{}, ""
	case 1:
	default:
		return token.Token{}, "There are two Authorization headers: send one."
	}
	scheme, raw, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return token.Token{}, ""
	}
	raw = strings.TrimLeft(raw, " ")
	if !isToken68(raw) {
		return token.Token{}, "The Authorization header does not hold one bearer token."
	}
	return token.New(raw), ""
}

// isToken68 is b64token of RFC 6750: no gateway can have merged two of them into one
// (Envoy: "Bearer t1,Bearer t2"), and no byte of it means anything to anybody.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		switch c := body[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// originalHasToken says whether the URL that the user called carries a token too: two
// ways of transmission are one too many (RFC 6750 section 2). Only the header that this
// kind of gateway sets is read: the others come from the user.
func originalHasToken(h http.Header, kind server.Kind) bool {
	var original []string
	switch kind {
	case server.Nginx:
		original = h["X-Original-Url"]
	case server.Traefik:
		original = h["X-Forwarded-Uri"]
	}
	for _, target := range original {
		_, query, _ := strings.Cut(target, "?")
		for query != "" {
			var pair string
			pair, query, _ = strings.Cut(query, "&")
			key, _, _ := strings.Cut(pair, "=")
			if decoded, err := url.QueryUnescape(key); err == nil {
				key = decoded
			}
			if key == "access_token" {
				return true
			}
		}
	}
	return false
}

// aliases says in words which identity header a request tries to set or to remove behind
// the gateway's back: by another spelling (CVE-2026-44087, CVE-2026-88011), or as a
// hop-by-hop header (GHSA-w9mr-28mw-j8hg).
func aliases(h http.Header, names []string) string {
	for sent := range h {
		for _, name := range names {
			if token.IsAlias(sent, name) {
				return "The request has another spelling of the header " + name + ", which the gateway sets: do not send it."
			}
		}
	}
	for _, list := range h["Connection"] {
		for option := range strings.SplitSeq(list, ",") {
			option = strings.TrimSpace(option)
			for _, name := range names {
				if strings.EqualFold(option, name) || token.IsAlias(option, name) {
					return "The request's Connection header names " + name + ", which the gateway sets: do not name it."
				}
			}
		}
	}
	return ""
}
