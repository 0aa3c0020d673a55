// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fault lets the calls of a server go wrong on cue, and remembers them. A server at the
// level of its protocols embeds a Handler around its own routes.
package fault

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is what goes wrong with the calls that match. Its zero value is a call that is answered as
// ever.
type Fault struct {
	// Match says which calls; nil means all.
	Match func(Call) bool
	// After lets so many of them pass first; Times is how many suffer, 0 means all.
	After, Times int
	// Delay comes before all else; it ends when the caller goes away.
	Delay time.Duration
	// Undone leaves the work undone: what the caller asked for does not happen.
	Undone bool
	// Drop gives no answer: the connection is closed.
	Drop bool
	// Truncate cuts the answer in half.
	Truncate bool
	// Status, if set, is answered in place of what the work came to, with Body and Header.
	Status int
	Header map[string]string
	Body   string
}

// HTML is a body as proxies give.
const HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"

// Call is one request and how it was answered: Status is 0 if it was not.
type Call struct {
	Method string
	// Path is decoded; a slash within a segment looks like any other.
	Path   string
	Query  url.Values
	Header http.Header
	Host   string
	Body   string
	Status int
}

// String is method and path.
func (c Call) String() string { return c.Method + " " + c.Path }

// Matching matches a method, or any if it is empty, and a part of the path.
func Matching(method, part string) func(Call) bool {
	return func(c Call) bool {
		return (method == "" || c.Method == method) && strings.Contains(c.Path, part)
	}
}

// Handler answers as another one does, through the faults that match. It is safe for concurrent use.
type Handler struct {
	next http.Handler

	mu     sync.Mutex
	faults []*armed
	calls  []Call
	onCall func(Call)
	forget bool
}

// armed is a fault and how often it matched.
type armed struct {
	Fault

	seen int
}

// Wrap makes a Handler around next, which sees whole requests of at most 8 MiB.
func Wrap(next http.Handler) *Handler { return &Handler{next: next} }

// Inject arms a fault; the first one that matches a call is the one it suffers.
func (h *Handler) Inject(f Fault) (remove func()) {
	a := &armed{Fault: f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, a)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.faults = slices.DeleteFunc(h.faults, func(x *armed) bool { return x == a })
	}
}

// Calls are those that were answered, or not, so far.
func (h *Handler) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// OnCall has f called when a call was worked on, and before its answer leaves.
func (h *Handler) OnCall(f func(Call)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onCall = f
}

// Forget keeps no calls from now on, nor those so far: hundreds of thousands are a lot of memory.
func (h *Handler) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget, h.calls = true, nil
}

const maxBody = 8 << 20

// ServeHTTP answers, through the faults that match.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(r.Body, maxBody)); err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	c := Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(), Host: r.Host, Body: body.String()}
	f := h.faultOf(c)
	if f == nil {
		f = &Fault{}
	}
	f.wait(r)
	answer := f.answer()
	if !f.Undone {
		worked := httptest.NewRecorder()
		h.next.ServeHTTP(worked, r)
		if answer == nil {
			answer = worked
		}
	}
	if answer == nil {
		answer = httptest.NewRecorder()
	}
	if !f.Drop {
		c.Status = answer.Code
	}
	h.record(c)
	if f.Drop {
		panic(http.ErrAbortHandler) // closes the connection without a word
	}
	send(w, answer, f.Truncate)
}

func (h *Handler) faultOf(c Call) *Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.Match != nil && !f.Match(c) {
			continue
		}
		f.seen++
		if f.seen > f.After && (f.Times == 0 || f.seen <= f.After+f.Times) {
			return &f.Fault
		}
	}
	return nil
}

func (h *Handler) record(c Call) {
	h.mu.Lock()
	if !h.forget {
		h.calls = append(h.calls, c)
	}
	observer := h.onCall
	h.mu.Unlock()
	if observer != nil {
		observer(c)
	}
}

func (f *Fault) wait(r *http.Request) {
	if f.Delay <= 0 {
		return
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// answer is the one in place of the work's, nil for none.
func (f *Fault) answer() *httptest.ResponseRecorder {
	if f.Status == 0 {
		return nil
	}
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(f.Body, "<") {
		answer.Header().Set("Content-Type", "text/html")
	}
	for name, value := range f.Header {
		answer.Header().Set(name, value)
	}
	answer.WriteHeader(f.Status)
	_, _ = answer.WriteString(f.Body)
	return answer
}

func send(w http.ResponseWriter, answer *httptest.ResponseRecorder, truncate bool) {
	maps.Copy(w.Header(), answer.Header())
	body := answer.Body.Bytes()
	if truncate {
		body = body[:len(body)/2]
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}
