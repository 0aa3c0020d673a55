// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Path is the first segment.
const Path = "introspect"

const (
	// maxBody bounds a request: a form-encoded token of token.MaxLength triples at most.
	maxBody = 64 << 10
	// formType is the media type that RFC 7662 section 2.1 demands.
	formType = "application/x-www-form-urlencoded"
)

// DecideFunc decides; its error is a *token.Undecided.
type DecideFunc func(ctx context.Context, req token.Request) (token.Decision, error)

// AuthenticateFunc finds the IntrospectionClient that shows an id and a secret at a
// policy's endpoint.
type AuthenticateFunc func(ctx context.Context, policy token.Ref, clientID, secret string) (token.Ref, bool)

// Options of New.
type Options struct {
	Decide       DecideFunc
	Authenticate AuthenticateFunc
	// ServiceAccount verifies callers' ServiceAccount tokens; nil if nobody can. An error
	// that is a *token.Undecided says that nobody could tell.
	ServiceAccount server.ServiceAccountFunc
	// Ready says that the objects were read. Before, nobody's credentials are known, and a 401
	// would say that they are wrong.
	Ready func() bool
	// URL is the origin that callers know this surface by, such as
	// https://webhook.introspection.svc: the audience of a ServiceAccount token is URL
	// and the path of the policy.
	URL    string
	Record server.RecordFunc
	Clock  func() time.Time
}

// Handler is the facade.
type Handler struct {
	decide       DecideFunc
	authenticate AuthenticateFunc
	account      server.ServiceAccountFunc
	ready        func() bool
	url          string
	record       server.RecordFunc
	failures     *throttle
}

var _ server.Surface = (*Handler)(nil)

// New is the facade.
func New(opts Options) *Handler {
	return &Handler{
		decide: opts.Decide, authenticate: opts.Authenticate, account: opts.ServiceAccount, ready: opts.Ready, url: opts.URL, record: opts.Record,
		failures: newThrottle(opts.Clock),
	}
}

// Answer implements server.Surface.
func (h *Handler) Answer(w http.ResponseWriter, r *http.Request, call server.Call) {
	f, problem := read(w, r)
	if problem != nil {
		problem.quiet = !h.failures.allow(r.RemoteAddr, "") // it may be whoever's
		h.refuse(w, r, call, problem)
		return
	}
	who, problem, undecided := h.caller(r, &f, call.Policy)
	switch {
	case undecided != nil:
		h.record(r.Context(), server.Refusal{
			Surface: token.SurfaceIntrospection, Call: call, Reason: undecided.Reason, Message: undecided.Message, Remote: r.RemoteAddr,
		})
		h.Undecided(w, r, undecided)
		return
	case problem != nil:
		h.refuse(w, r, call, problem)
		return
	}
	raw, problem := f.token()
	if problem != nil {
		h.refuse(w, r, call, problem)
		return
	}
	d, err := h.decide(r.Context(), token.Request{
		ID: call.ID, Surface: token.SurfaceIntrospection, Policy: call.Policy, Token: token.New(raw),
		Client: who.client, ServiceAccount: who.account,
	})
	if err == nil && d.Verdict == token.Allow && r.Context().Err() != nil {
		err = server.OutOfTime(r.Context().Err())
	}
	switch {
	case err != nil:
		h.untold(w, r, err, who)
	case d.Verdict == token.Allow:
		server.JSON(w, http.StatusOK, d.Body)
	default:
		server.JSON(w, http.StatusOK, []byte(inactive))
	}
}

// untold answers an error of the engine, which has its own line in the log. A caller that
// is nothing to the policy is a stranger, whether the policy exists or not.
func (h *Handler) untold(w http.ResponseWriter, r *http.Request, err error, who proved) {
	u := server.AsUndecided(err)
	if u.Reason == token.ReasonCallerUnknown {
		write(w, who.stranger())
		return
	}
	h.Undecided(w, r, u)
}

// read reads a request that may be whoever's: only what makes it unreadable is judged.
func read(w http.ResponseWriter, r *http.Request) (form, *problem) {
	if r.Method != http.MethodPost {
		return form{}, &problem{status: http.StatusMethodNotAllowed, code: invalidRequest, message: "Introspection is a POST (RFC 7662 section 2.1)."}
	}
	if server.InQuery(r.URL.RawQuery, paramToken, paramClientID, paramClientSecret, "access_token") {
		return form{}, malformed("A token or credential stands in the URL, where logs keep it. Send it in the body, and revoke this one.")
	}
	if !isForm(r.Header) {
		return form{}, malformed("The body is to be " + formType + ", not compressed (RFC 7662 section 2.1).")
	}
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		body.Grow(int(n) + bytes.MinRead) // once, and not by doubling
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return form{}, &problem{status: http.StatusRequestEntityTooLarge, code: invalidRequest, message: "The body is larger than 64 KiB."}
		}
		return form{}, malformed("The body did not arrive whole.")
	}
	f, err := parseForm(body.String())
	if err != nil {
		return form{}, malformed("The body is not form-encoded.")
	}
	return f, nil
}

// isForm says whether the body is a form in plain bytes. Clients send the type with and
// without a charset.
func isForm(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	if types[0] == formType {
		return true
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err == nil && media == formType
}
