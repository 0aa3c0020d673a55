// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// HeaderDecision carries a decision's id in each answer.
const HeaderDecision = "Introspection-Decision"

// Call is a request that reached a policy's endpoint. The policy may not exist.
type Call struct {
	// ID of the decision.
	ID string
	// Policy that is asked.
	Policy token.Ref
}

// Surface speaks a protocol.
type Surface interface {
	// Answer answers a call. Its headers hold the decision's id already.
	Answer(w http.ResponseWriter, r *http.Request, call Call)
	// Undecided answers that nobody could tell.
	Undecided(w http.ResponseWriter, u *token.Undecided)
}

type handler struct {
	route    Route
	surface  Surface
	timeout  time.Duration
	clock    func() time.Time
	log      *slog.Logger
	metrics  *surfaceMetrics
	ids      ids
	draining atomic.Bool
}

func (h *handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var (
		start = h.clock()
		w     = &writer{ResponseWriter: rw, draining: &h.draining}
		call  = Call{ID: h.ids.next()}
	)
	prepare(w.Header(), call.ID)
	defer func() {
		if v := recover(); v != nil {
			h.panicked(w, r, call, v)
		}
		h.metrics.count(w.status)
		h.metrics.duration.Observe(h.clock().Sub(start).Seconds())
	}()
	policy, ok := h.route.match(r.RequestURI)
	if !ok {
		http.Error(w, "There is nothing here: the path is /"+h.route.First+"/{namespace}/{policy}.", http.StatusNotFound)
		return
	}
	call.Policy = policy
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	h.surface.Answer(w, r.WithContext(ctx), call)
}

// prepare sets what each answer has.
func prepare(header http.Header, id string) {
	header[HeaderDecision] = []string{id}
	header["Cache-Control"] = []string{"no-store"}
}

// panicked turns a panic into "could not tell": whatever was prepared of an allow must
// not reach the gateway. What is on its way already is cut.
func (h *handler) panicked(w *writer, r *http.Request, call Call, v any) {
	what := fmt.Sprintf("%T", v) // the value may hold a token
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	h.log.LogAttrs(r.Context(), slog.LevelError, "panic",
		slog.String("id", call.ID), slog.String("policy", call.Policy.String()),
		slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	clear(w.Header())
	prepare(w.Header(), call.ID)
	h.surface.Undecided(w, Internal(nil))
}

// Internal is a fault of ours.
func Internal(err error) *token.Undecided {
	return &token.Undecided{Reason: token.ReasonInternal, Message: "A fault of the webhook: its log says more.", Err: err}
}

// OutOfTime is a request that ended, or whose time ended, before its answer: an allow
// that came too late is none (authorino #649).
func OutOfTime(err error) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonServerUnavailable,
		Message: "There was no answer in time: try again.",
		Err:     err,
	}
}

// writer remembers the status, and tells connections to close when draining.
type writer struct {
	http.ResponseWriter

	draining *atomic.Bool
	status   int
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
		if w.draining.Load() {
			w.Header()["Connection"] = []string{"close"} // with HTTP/2 it becomes a GOAWAY
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
