// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Path is the first segment.
const Path = "tokenreview"

// Strangers get so many lines in the log; they are counted all the same.
const (
	strangerRate  = 1 // a second
	strangerBurst = 20
)

// DecideFunc answers whether a token is good for a policy; its error is a *token.Undecided.
type DecideFunc func(ctx context.Context, req token.Request) (token.Decision, error)

// Options of New; all are required.
type Options struct {
	// Decide is the engine's.
	Decide DecideFunc
	// Config says who the API server is, what it may ask, and what it is told.
	Config *server.TokenReviewConfig
	// Record writes down what the engine was not asked about, or what it can't have meant.
	Record server.RecordFunc
	// Clock is the time.
	Clock func() time.Time
	// Logger takes panics.
	Logger *slog.Logger
}

// Handler answers the API server.
type Handler struct {
	decide    DecideFunc
	config    *server.TokenReviewConfig
	record    server.RecordFunc
	clock     func() time.Time
	log       *slog.Logger
	strangers *rate.Limiter
}

var _ server.Surface = (*Handler)(nil)

// New answers the API server. The listener has to ask for client certificates.
func New(opts Options) *Handler {
	return &Handler{
		decide: opts.Decide, config: opts.Config, record: opts.Record, clock: opts.Clock, log: opts.Logger,
		strangers: rate.NewLimiter(strangerRate, strangerBurst),
	}
}

// Answer implements server.Surface.
func (h *Handler) Answer(w http.ResponseWriter, r *http.Request, call server.Call) {
	switch {
	case !h.isAPIServer(r):
		h.write(r, call, token.ReasonCallerUnknown, stranger, !h.strangers.AllowN(h.clock(), 1))
		http.Error(w, stranger, http.StatusUnauthorized)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "A TokenReview is sent by POST.", http.StatusMethodNotAllowed)
		return
	}
	asked, err := read(r)
	answer(w, asked.version, h.status(r, call, asked, err))
}

// stranger is what a caller is told that did not prove to be the API server.
const stranger = "This client is not the API server that the platform declared: " +
	"its certificate and the webhook's tokenReview (clientCA, certificateSAN) do not match."

// isAPIServer says whether a caller shows the certificate that the platform named.
func (h *Handler) isAPIServer(r *http.Request) bool {
	return r.TLS != nil && h.config.Verify(r.TLS.PeerCertificates, h.clock())
}

// status is the answer to a question. A panic is no 500.
func (h *Handler) status(r *http.Request, call server.Call, asked *question, unread error) (status *authenticationv1.TokenReviewStatus) {
	ctx := r.Context()
	defer func() {
		if v := recover(); v != nil {
			server.LogPanic(ctx, h.log, &call, v)
			status = untold(server.Internal(nil), call.ID)
		}
	}()
	u := h.refusal(call.Policy, asked, unread)
	if u != nil {
		h.write(r, call, u.Reason, u.Message, false)
		return untold(u, call.ID)
	}
	presented, ok := tokenOf(asked.token)
	if !ok {
		h.write(r, call, token.ReasonMalformedToken, "What the user sent is not one token.", false)
		return &authenticationv1.TokenReviewStatus{}
	}
	d, err := h.decide(ctx, token.Request{
		ID: call.ID, Surface: token.SurfaceTokenReview, Policy: call.Policy, Token: presented, Audiences: asked.audiences,
	})
	switch {
	case err != nil:
		return untold(server.AsUndecided(err), call.ID)
	case d.Verdict != token.Allow:
		return &authenticationv1.TokenReviewStatus{}
	case ctx.Err() != nil:
		u = server.OutOfTime(ctx.Err())
		h.write(r, call, u.Reason, u.Message, false)
		return untold(u, call.ID)
	}
	return h.authenticated(r, call, d.User, asked.audiences)
}

// refusal says why no policy is asked; nil if one is.
func (h *Handler) refusal(policy token.Ref, asked *question, unread error) *token.Undecided {
	switch {
	case !h.config.Lists(policy):
		return &token.Undecided{
			Reason:  token.ReasonSurfaceNotConfigured,
			Message: "The platform does not let the API server ask TokenPolicy " + policy.String() + ": list it in the webhook's tokenReview.policies.",
		}
	case unread != nil:
		return &token.Undecided{Reason: token.ReasonInternal, Message: "This is no TokenReview that can be answered: " + unread.Error() + "."}
	case len(asked.audiences) == 0:
		return &token.Undecided{
			Reason: token.ReasonAudienceNotAsked,
			Message: "The TokenReview asks for no audience, and an answer without would make the token one of the API server's own: " +
				"set --api-audiences of the API server.",
		}
	}
	return nil
}

// tokenOf is the token, if it is one: it has the form of RFC 6750 section 2.1 and is not
// too long. None is none: the policy's refusal says so.
func tokenOf(raw string) (token.Token, bool) {
	if raw == "" {
		return token.Token{}, true
	}
	if len(raw) > token.MaxLength {
		return token.Token{}, false
	}
	t, _, problem := server.Presented([]string{"Bearer " + raw})
	return t, problem == ""
}

func (h *Handler) write(r *http.Request, call server.Call, reason token.Reason, message string, quiet bool) {
	h.record(r.Context(), server.Refusal{
		Surface: token.SurfaceTokenReview, Call: call, Reason: reason, Message: message, Remote: r.RemoteAddr, Quiet: quiet,
	})
}

// Undecided implements server.Surface. Only who proved to be the API server learns anything.
func (h *Handler) Undecided(w http.ResponseWriter, r *http.Request, u *token.Undecided) {
	if !h.isAPIServer(r) {
		http.Error(w, stranger, http.StatusUnauthorized)
		return
	}
	asked, _ := read(r) // for its version; nothing is left of it after a panic
	answer(w, asked.version, untold(u, w.Header().Get(server.HeaderDecision)))
}

// answer sends a TokenReview.
func answer(w http.ResponseWriter, version string, status *authenticationv1.TokenReviewStatus) {
	server.JSON(w, http.StatusOK, encode(version, status))
}
