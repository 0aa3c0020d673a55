// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"
)

// Fault is what goes wrong with the calls that match. Its zero value is a call
// that is answered as ever.
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

// Matching matches a method, or any if it is empty, and a part of the path.
func Matching(method, part string) func(Call) bool {
	return func(c Call) bool {
		return (method == "" || c.Method == method) && strings.Contains(c.Path, part)
	}
}

// armed is a fault and how often it matched.
type armed struct {
	Fault

	seen int
}

// Inject arms a fault; the first one that matches a call is the one it suffers.
func (s *Server) Inject(f Fault) (remove func()) {
	a := &armed{Fault: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, a)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(x *armed) bool { return x == a })
	}
}

func (s *Server) faultOf(c Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
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

// suffer answers as the fault has it.
func (s *Server) suffer(w http.ResponseWriter, r *http.Request, c Call, f *Fault, work func() *httptest.ResponseRecorder) {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	answer := httptest.NewRecorder()
	if !f.Undone {
		answer = work()
	}
	if f.Status != 0 {
		answer = httptest.NewRecorder()
		answer.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(f.Body, "<") {
			answer.Header().Set("Content-Type", "text/html")
		}
		for k, v := range f.Header {
			answer.Header().Set(k, v)
		}
		answer.WriteHeader(f.Status)
		_, _ = answer.WriteString(f.Body)
	}
	if !f.Drop {
		c.Status = answer.Code
	}
	s.record(c)
	if f.Drop {
		panic(http.ErrAbortHandler) // closes the connection without a word
	}
	send(w, answer, f.Truncate)
}

func send(w http.ResponseWriter, answer *httptest.ResponseRecorder, truncate bool) {
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	body := answer.Body.Bytes()
	if truncate {
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body)
}
