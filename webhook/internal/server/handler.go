// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

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
	// Answer answers a call. The answer's headers hold the decision's id already; the
	// request's context has a deadline.
	Answer(w http.ResponseWriter, r *http.Request, call Call)
	// Undecided answers that nobody could tell: also before Answer, about a caller that
	// proved nothing yet, and after it panicked. The body may have been read.
	Undecided(w http.ResponseWriter, r *http.Request, u *token.Undecided)
}

// Requests that reach no policy get so many lines in the log; they are counted all the same.
const (
	lineRate  = 1 // a second
	lineBurst = 20
)

type handler struct {
	name     token.Surface
	route    Route
	surface  Surface
	timeout  time.Duration
	most     int64
	underWay atomic.Int64
	clock    func() time.Time
	log      *slog.Logger
	record   RecordFunc
	lines    *rate.Limiter
	tracer   trace.Tracer
	metrics  *SurfaceMetrics
	ids      IDs
	draining atomic.Bool
}

// exchange is a request and its answer: one piece of memory for all that each needs.
type exchange struct {
	writer
	deadline

	call   Call
	start  time.Time
	values [2]string
}

func (h *handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	x := &exchange{start: h.clock(), call: Call{ID: h.ids.Next()}}
	x.writer = writer{ResponseWriter: rw, draining: &h.draining}
	x.prepare()
	defer h.finish(x, r)
	var ok bool
	if x.call.Policy, ok = h.route.match(r.RequestURI); !ok {
		h.notFound(x, r)
		return
	}
	defer h.underWay.Add(-1)
	if h.underWay.Add(1) > h.most {
		h.overloaded(x, r)
		return
	}
	ctx := r.Context() //nolint:contextcheck // the deadline is a context of ours, around this one
	if h.tracer != nil {
		traced, span := h.traced(r, &x.call)
		defer func() { EndSpan(span, x.status) }()
		ctx = traced
	}
	x.deadline = deadline{Context: ctx, clock: h.clock, end: x.start.Add(h.timeout)}
	h.surface.Answer(&x.writer, r.WithContext(&x.deadline), x.call)
	if x.status == 0 { // net/http makes a 200 of silence, which is an allow
		h.log.LogAttrs(r.Context(), slog.LevelError, "no answer", slog.String("id", x.call.ID), slog.String("policy", x.call.Policy.String()))
		h.retract(x, r)
	}
}

// retract answers that nobody could tell, whatever was prepared of another answer.
func (h *handler) retract(x *exchange, r *http.Request) {
	clear(x.Header())
	x.prepare()
	h.surface.Undecided(&x.writer, r, Internal(nil))
}

// finish records an answer. A panic has none yet.
func (h *handler) finish(x *exchange, r *http.Request) {
	x.release()
	if v := recover(); v != nil {
		h.panicked(x, r, v)
	}
	h.metrics.Count(x.status)
	h.metrics.Observe(h.clock().Sub(x.start))
}

// prepare sets what each answer has.
func (x *exchange) prepare() {
	header := x.Header()
	x.values = [...]string{x.call.ID, "no-store"}
	header[HeaderDecision], header["Cache-Control"] = x.values[:1:1], x.values[1:]
}

func (h *handler) notFound(x *exchange, r *http.Request) {
	message := "There is nothing here: the path is /" + h.route.First + "/{namespace}/{policy}."
	h.refused(x, r, token.ReasonInvalidRequest, message)
	http.Error(&x.writer, message, http.StatusNotFound)
}

// overloaded answers at once: a queue would make everybody late.
func (h *handler) overloaded(x *exchange, r *http.Request) {
	u := Overloaded()
	h.refused(x, r, u.Reason, u.Message)
	h.surface.Undecided(&x.writer, r, u)
}

// refused records what may be whoever's, and many: few get a line.
func (h *handler) refused(x *exchange, r *http.Request, reason token.Reason, message string) {
	if h.record == nil {
		return
	}
	h.record(r.Context(), Refusal{
		Surface: h.name, Call: x.call, Reason: reason, Message: message, Remote: r.RemoteAddr, Quiet: !h.lines.AllowN(h.clock(), 1),
	})
}

// panicked turns a panic into "could not tell": whatever was prepared of an allow must
// not reach the gateway. What is on its way already is cut.
func (h *handler) panicked(x *exchange, r *http.Request, v any) {
	LogPanic(r.Context(), h.log, &x.call, v)
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h.retract(x, r)
}

// LogPanic writes down what recover returned, but not the value: it may hold a token.
func LogPanic(ctx context.Context, log *slog.Logger, call *Call, v any) {
	what := fmt.Sprintf("%T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	log.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("id", call.ID), slog.String("policy", call.Policy.String()),
		slog.String("panic", what), slog.String("stack", string(debug.Stack())))
}

// Internal is a fault of ours.
func Internal(err error) *token.Undecided {
	return &token.Undecided{Reason: token.ReasonInternal, Message: "A fault of the webhook: its log says more.", Err: err}
}

// AsUndecided is an error of the engine, whose only ones are *token.Undecided; any other is
// a fault of ours.
func AsUndecided(err error) *token.Undecided {
	if u, ok := errors.AsType[*token.Undecided](err); ok {
		return u
	}
	return Internal(err)
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

// Overloaded is a request that came while too many were under way.
func Overloaded() *token.Undecided {
	return &token.Undecided{Reason: token.ReasonOverloaded, Message: "Too many requests are under way: try again."}
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
