// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// nginxHeader is what nginx reads an answer's head into (proxy_buffer_size, one page):
	// a longer one is a 500 and a line in a log that only the platform reads.
	nginxHeader = 4 << 10
	// fixedHeader is what an allow has beside the identity headers: status line, date,
	// length, decision, caching, connection.
	fixedHeader = 192
	// maxDescription bounds a challenge, in bytes.
	maxDescription = 512
)

// allow sets every configured header, once: what is not sent stays the client's own in
// Caddy and Envoy (GHSA-7r4p-vjf4-gxv4). Exactly 200: Envoy gives a 204 to the client.
func allow(w http.ResponseWriter, headers []token.Header) {
	h := w.Header()
	for i := range headers {
		h.Set(headers[i].Name, headers[i].Value)
	}
	w.WriteHeader(http.StatusOK)
}

// sendable says why headers can't be sent. Values were percent-encoded before; a byte
// that was not would be changed on its way, and two identities might become one.
func sendable(headers []token.Header, kind server.Kind) *token.Undecided {
	size := fixedHeader
	for i := range headers {
		size += len(headers[i].Name) + len(headers[i].Value) + len(": \r\n")
		for _, b := range []byte(headers[i].Value) {
			if b < ' ' || b > '~' {
				return server.Internal(nil)
			}
		}
	}
	if kind == server.Nginx && size > nginxHeader {
		return &token.Undecided{
			Reason: token.ReasonResponseTooLarge,
			Message: "The identity headers of this token are longer than the 4 KB that nginx takes: " +
				"list fewer claims in the policy's spec.respond.headers.",
		}
	}
	return nil
}

// deny refuses with the challenge of RFC 6750 section 3.
func deny(w http.ResponseWriter, d *token.Decision) {
	status, code := challenge(d.Reason)
	var b strings.Builder
	b.WriteString("Bearer ")
	if code == "" { // RFC 6750 section 3.1: who sent nothing is told nothing
		b.WriteString(`realm="introspection"`)
	} else {
		b.WriteString(`error="` + code + `", error_description="` + quotable(d.Message) + `"`)
	}
	switch {
	case d.Reason == token.ReasonInsufficientScope && d.RequiredScope != "":
		b.WriteString(`, scope="` + quotable(d.RequiredScope) + `"`)
	case d.Reason == token.ReasonInsufficientAuthentication: // RFC 9470 section 3
		b.WriteString(`, max_age="` + strconv.FormatInt(int64(d.MaxAuthAge/time.Second), 10) + `"`)
	}
	w.Header()["Www-Authenticate"] = []string{b.String()}
	w.WriteHeader(status)
}

// challenge is the status of a refusal, and its error code; none for a missing token.
func challenge(reason token.Reason) (status int, code string) {
	switch reason {
	case token.ReasonMissingToken:
		return http.StatusUnauthorized, ""
	case token.ReasonInvalidRequest: // 400 elsewhere (RFC 6750 section 3.1), but never on gateways
		return http.StatusUnauthorized, "invalid_request"
	case token.ReasonInsufficientScope:
		return http.StatusForbidden, "insufficient_scope"
	case token.ReasonInsufficientAuthentication:
		return http.StatusUnauthorized, "insufficient_user_authentication"
	case token.ReasonClientNotAllowed, token.ReasonTenantNotAllowed:
		return http.StatusForbidden, "access_denied"
	case token.ReasonNone, token.ReasonMalformedToken, token.ReasonInactive, token.ReasonInvalidIssuer, token.ReasonExpired,
		token.ReasonNotYetValid, token.ReasonInvalidTokenType, token.ReasonInvalidAudience, token.ReasonTokenTooOld,
		token.ReasonBoundToken, token.ReasonUnsupportedToken:
		// A token that is not good for this policy, whatever else it may be good for.
	case token.ReasonNoPolicy, token.ReasonPolicyInvalid, token.ReasonClientNotReady, token.ReasonAccessWithdrawn,
		token.ReasonServerUnavailable, token.ReasonCredentialsRefused, token.ReasonAnswerTooOld, token.ReasonResponseTooLarge,
		token.ReasonNotStarted, token.ReasonCallerUnknown, token.ReasonInternal:
		// No reasons of a refusal: the engine gives them with an error.
	}
	return http.StatusUnauthorized, "invalid_token"
}

// quotable is fit for the quoted values of a challenge, in which quote and backslash are
// forbidden: they are replaced, since escaping them is (RFC 6750 section 3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s[:min(len(s), maxDescription)])
}

// Undecided implements server.Surface: 503 in words. No Retry-After: gateways don't heed
// it, and a user's client that did would wait for nothing.
func (*Handler) Undecided(w http.ResponseWriter, u *token.Undecided) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["X-Content-Type-Options"] = []string{"nosniff"} // some gateways hand it to browsers
	w.WriteHeader(http.StatusServiceUnavailable)
	// An error means that the gateway is gone: nobody to tell.
	_, _ = io.WriteString(w, string(u.Reason)+": "+u.Message+"\n") //nolint:gosec // plain text, and browsers are told not to guess
}
