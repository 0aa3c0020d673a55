// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Path is the first segment.
const Path = "authorize"

// DecideFunc decides; its error is a *token.Undecided.
type DecideFunc func(ctx context.Context, req token.Request) (token.Decision, error)

// CallerFunc is the declared gateway that sent a request.
type CallerFunc func(*http.Request) (*server.Gateway, bool)

// Options of New.
type Options struct {
	Decide DecideFunc
	Caller CallerFunc
	Record server.RecordFunc
	// Clock is the time.
	Clock func() time.Time
}

// Strangers get so many lines in the log; they are counted all the same.
const (
	strangerRate  = 1 // a second
	strangerBurst = 20
)

// Handler answers gateways.
type Handler struct {
	clock     func() time.Time
	strangers *rate.Limiter

	decide DecideFunc
	caller CallerFunc
	record server.RecordFunc
}

var _ server.Surface = (*Handler)(nil)

// New answers gateways.
func New(opts Options) *Handler {
	return &Handler{
		clock: opts.Clock, strangers: rate.NewLimiter(strangerRate, strangerBurst),
		decide: opts.Decide, caller: opts.Caller, record: opts.Record,
	}
}

// Answer implements server.Surface.
func (h *Handler) Answer(w http.ResponseWriter, r *http.Request, call server.Call) {
	gateway, ok := h.caller(r)
	if !ok { // the user's token is not at fault: no 401
		h.stranger(w, r, call)
		return
	}
	delete(r.Header, server.HeaderGateway) // the gateway's own, and no rule's business
	original := gateway.Original(r)
	presented, scheme, problem := server.Presented(r.Header["Authorization"])
	if problem == "" && server.TokenInQuery(original.Target) {
		problem = "The URL has an access_token, where logs keep it. Send tokens in the Authorization header alone."
	}
	if problem != "" {
		h.refused(r, call, gateway.Name, token.ReasonInvalidRequest, problem)
		deny(w, &token.Decision{Reason: token.ReasonInvalidRequest, Message: problem})
		return
	}
	d, err := h.decide(r.Context(), token.Request{
		ID: call.ID, Surface: token.SurfaceForwardAuth, Policy: call.Policy, Token: presented, Scheme: scheme,
		Gateway: gateway.Name, HTTP: original,
	})
	switch {
	case err != nil:
		h.Undecided(w, r, server.AsUndecided(err))
	case d.Verdict == token.Allow:
		h.allow(w, r, call, gateway, d.Headers)
	default:
		deny(w, &d)
	}
}

func (h *Handler) allow(w http.ResponseWriter, r *http.Request, call server.Call, gateway *server.Gateway, headers []token.Header) {
	u := sendable(headers, gateway.Kind)
	if err := r.Context().Err(); err != nil {
		u = server.OutOfTime(err)
	}
	if u != nil {
		h.refused(r, call, gateway.Name, u.Reason, u.Message)
		h.Undecided(w, r, u)
		return
	}
	allow(w, headers)
}

func (h *Handler) stranger(w http.ResponseWriter, r *http.Request, call server.Call) {
	const message = "This gateway is not one that the platform declared: what it proves itself by " +
		"and the webhook's gateways (clientCA and certificateSAN, or serviceAccount) do not match."
	h.record(r.Context(), server.Refusal{
		Surface: token.SurfaceForwardAuth, Call: call, Reason: token.ReasonCallerUnknown, Message: message, Remote: r.RemoteAddr,
		Quiet: !h.strangers.AllowN(h.clock(), 1),
	})
	h.Undecided(w, r, &token.Undecided{Reason: token.ReasonCallerUnknown, Message: message})
}

func (h *Handler) refused(r *http.Request, call server.Call, gateway string, reason token.Reason, message string) {
	h.record(r.Context(), server.Refusal{
		Surface: token.SurfaceForwardAuth, Call: call, Reason: reason, Message: message, Gateway: gateway, Remote: r.RemoteAddr,
	})
}
