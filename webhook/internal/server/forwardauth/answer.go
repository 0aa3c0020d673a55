// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"io"
	"net/http"

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
)

// allow sets every configured header, once: what is not sent stays the client's own in
// Caddy and Envoy (GHSA-7r4p-vjf4-gxv4). Exactly 200: Envoy gives a 204 to the client.
func allow(w http.ResponseWriter, headers []token.Header) {
	h, values := w.Header(), make([]string, len(headers))
	for i := range headers {
		values[i] = headers[i].Value
		h[http.CanonicalHeaderKey(headers[i].Name)] = values[i : i+1 : i+1]
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

// deny refuses with a challenge.
func deny(w http.ResponseWriter, d *token.Decision) {
	status, challenge := server.Challenge(d)
	w.Header()["Www-Authenticate"] = []string{challenge}
	w.WriteHeader(status)
}

// Undecided implements server.Surface: 503 in words. No Retry-After: gateways don't heed
// it, and a user's client that did would wait for nothing.
func (*Handler) Undecided(w http.ResponseWriter, _ *http.Request, u *token.Undecided) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["X-Content-Type-Options"] = []string{"nosniff"} // some gateways hand it to browsers
	w.WriteHeader(http.StatusServiceUnavailable)
	// An error means that the gateway is gone: nobody to tell.
	_, _ = io.WriteString(w, string(u.Reason)+": "+u.Message+"\n") //nolint:gosec // plain text, and browsers are told not to guess
}
