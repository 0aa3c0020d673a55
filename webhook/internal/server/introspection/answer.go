// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"encoding/json"
	"net/http"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// inactive is all that RFC 7662 section 2.2 lets a refusal say: anything more would tell
// a caller about tokens that are not for it.
const inactive = `{"active":false}`

// Codes of RFC 6749 section 5.2 and, for an outage, 4.1.2.1.
const (
	invalidRequest = "invalid_request"
	invalidClient  = "invalid_client"
	unavailable    = "temporarily_unavailable"
)

// problem is a request that no policy is asked about.
type problem struct {
	status        int
	code, message string
	quiet         bool
}

func malformed(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: invalidRequest, message: message}
}

func unauthenticated() *problem {
	return &problem{
		status: http.StatusUnauthorized, code: invalidClient,
		message: "These are not the client_id and client_secret of the Secret that holds this introspection_endpoint.",
	}
}

// unlisted is of a ServiceAccount: which one may ask is the policy's to say.
func unlisted() *problem {
	p := unauthenticated()
	p.message = "This ServiceAccount token proves nobody that may ask: its audience is to be exactly the policy's " +
		"status.endpoints.introspection, and its ServiceAccount one of spec.surfaces.introspection.serviceAccounts."
	return p
}

// throttled is a problem of which there were too many.
func (p *problem) throttled() *problem {
	p.status, p.quiet = http.StatusTooManyRequests, true
	return p
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, call server.Call, p *problem) {
	reason := token.ReasonInvalidRequest
	if p.code == invalidClient {
		reason = token.ReasonCallerUnknown
	}
	h.record(r.Context(), server.Refusal{
		Surface: token.SurfaceIntrospection, Call: call, Reason: reason, Message: p.message, Remote: r.RemoteAddr, Quiet: p.quiet,
	})
	write(w, p)
}

func write(w http.ResponseWriter, p *problem) {
	switch p.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="introspection"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close") // the rest of the body is not read
	}
	failed(w, p.status, p.code, p.message)
}

// Undecided implements server.Surface: an outage is never inactive.
func (*Handler) Undecided(w http.ResponseWriter, _ *http.Request, u *token.Undecided) {
	w.Header().Set("Retry-After", "1")
	failed(w, http.StatusServiceUnavailable, unavailable, u.Message)
}

func failed(w http.ResponseWriter, status int, code, description string) {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
	if err != nil { // strings always marshal
		body = nil
	}
	server.JSON(w, status, body)
}
