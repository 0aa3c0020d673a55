// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Path is the first segment.
const Path = "authorize"

// Decider decides.
type Decider interface {
	// Decide returns a *token.Undecided as its error.
	Decide(ctx context.Context, req token.Request) (token.Decision, error)
	// HeaderNames are the identity headers that a policy sets.
	HeaderNames(policy token.Ref) []string
}

// CallerFunc is the declared gateway that sent a request.
type CallerFunc func(*http.Request) (*server.Gateway, bool)

// Options of New.
type Options struct {
	Decider Decider
	Caller  CallerFunc
	Record  server.RecordFunc
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

	decider Decider
	caller  CallerFunc
	record  server.RecordFunc
}

var _ server.Surface = (*Handler)(nil)

// New answers gateways.
func New(opts Options) *Handler {
	return &Handler{
		clock: opts.Clock, strangers: rate.NewLimiter(strangerRate, strangerBurst),
		decider: opts.Decider, caller: opts.Caller, record: opts.Record,
	}
}

// Answer implements server.Surface.
func (h *Handler) Answer(w http.ResponseWriter, r *http.Request, call server.Call) {
	gateway, ok := h.caller(r)
	if !ok { // the user's token is not at fault: no 401
		const message = "This gateway is not one that the platform declared: " +
			"its client certificate and the webhook's gateways (certificateSAN, clientCA) do not match."
		h.record(r.Context(), server.Refusal{
			Surface: token.SurfaceForwardAuth, Call: call, Reason: token.ReasonCallerUnknown, Message: message, Remote: r.RemoteAddr,
			Quiet: !h.strangers.AllowN(h.clock(), 1),
		})
		h.Undecided(w, &token.Undecided{Reason: token.ReasonCallerUnknown, Message: message})
		return
	}
	bearer, message := bearerOf(r.Header["Authorization"])
	if message == "" && originalHasToken(r.Header, gateway.Kind) {
		message = "The URL has an access_token, where logs keep it. Send tokens in the Authorization header alone."
	}
	if message != "" {
		h.refused(r, call, gateway.Name, token.ReasonInvalidRequest, message)
		deny(w, &token.Decision{Reason: token.ReasonInvalidRequest, Message: message})
		return
	}
	h.decide(w, r, gateway, token.Request{
		ID: call.ID, Surface: token.SurfaceForwardAuth, Policy: call.Policy, Token: bearer, Gateway: gateway.Name,
	})
}

func (h *Handler) decide(w http.ResponseWriter, r *http.Request, gateway *server.Gateway, req token.Request) {
	names := h.decider.HeaderNames(req.Policy)
	if h.refusedAlias(w, r, names, &req) {
		return
	}
	d, err := h.decider.Decide(r.Context(), req)
	if err != nil {
		u, ok := errors.AsType[*token.Undecided](err)
		if !ok {
			u = server.Internal(err)
		}
		h.Undecided(w, u)
		return
	}
	if d.Verdict != token.Allow {
		deny(w, &d)
		return
	}
	// The policy may have changed since its names were looked at: what is sent decides.
	if sent := namesOf(d.Headers, names); h.refusedAlias(w, r, sent, &req) {
		return
	}
	u := sendable(d.Headers, gateway.Kind)
	if err := r.Context().Err(); err != nil {
		u = server.OutOfTime(err)
	}
	if u != nil {
		h.refused(r, server.Call{ID: req.ID, Policy: req.Policy}, gateway.Name, u.Reason, u.Message)
		h.Undecided(w, u)
		return
	}
	allow(w, d.Headers)
}

// refusedAlias refuses a request that carries an alias of one of the names.
func (h *Handler) refusedAlias(w http.ResponseWriter, r *http.Request, names []string, req *token.Request) bool {
	message := aliases(r.Header, names)
	if message == "" {
		return false
	}
	h.refused(r, server.Call{ID: req.ID, Policy: req.Policy}, req.Gateway, token.ReasonInvalidRequest, message)
	deny(w, &token.Decision{Reason: token.ReasonInvalidRequest, Message: message})
	return true
}

// namesOf are the headers' names; none if they are those that were looked at.
func namesOf(headers []token.Header, looked []string) []string {
	if slices.EqualFunc(headers, looked, func(h token.Header, name string) bool { return h.Name == name }) {
		return nil
	}
	names := make([]string, len(headers))
	for i := range headers {
		names[i] = headers[i].Name
	}
	return names
}

func (h *Handler) refused(r *http.Request, call server.Call, gateway string, reason token.Reason, message string) {
	h.record(r.Context(), server.Refusal{
		Surface: token.SurfaceForwardAuth, Call: call, Reason: reason, Message: message, Gateway: gateway, Remote: r.RemoteAddr,
	})
}
