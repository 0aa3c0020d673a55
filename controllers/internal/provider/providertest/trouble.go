// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// trouble is what can befall a call.
type trouble struct {
	// done says that the server does the work all the same.
	done bool
	// certain says that the provider can know that nothing was done, unsent that nothing was even sent.
	certain, unsent bool
	// err is what happens in place of an answer.
	err error
	// status and body are an answer in place of the server's; 0 for the server's own.
	status int
	body   string
	header map[string]string
	// cut cuts the server's answer in half; gossip repeats the request in the answer.
	cut, gossip bool
}

const (
	page         = "<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h1>Sign in</h1></body></html>"
	unknownError = `{"error":"unknown_error","error_description":"For more on this error consult the server log."}`
	askedToWait  = 2 * time.Minute
)

func troubles() map[string]trouble {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	wait := map[string]string{"Retry-After": "120"}
	return map[string]trouble{
		"answer lost":         {done: true, err: reset},
		"call lost":           {err: reset},
		"connection refused":  {err: refused, certain: true, unsent: true},
		"500":                 {status: 500, body: unknownError},
		"500 after work":      {done: true, status: 500, body: unknownError},
		"502 HTML":            {status: 502, body: page},
		"502 HTML after work": {done: true, status: 502, body: page},
		"200 HTML":            {status: 200, body: page},
		"200 HTML after work": {done: true, status: 200, body: page},
		"401 HTML":            {status: 401, body: page},
		"403 HTML":            {status: 403, body: page},
		"404 HTML":            {status: 404, body: page},
		"404 of a gateway":    {status: 404, body: `{"message":"no Route matched with those values"}`},
		"302":                 {status: 302, body: page, header: map[string]string{"Location": "/login"}},
		"400":                 {status: 400, body: `{"error":"invalid_request","error_description":"no"}`, certain: true},
		"401":                 {status: 401, body: `{"error":"invalid_token"}`, certain: true},
		"403":                 {status: 403, body: `{"error":"access_denied"}`, certain: true},
		"409":                 {status: 409, body: `{"error":"conflict","error_description":"a parallel change"}`},
		"429":                 {status: 429, body: `{"error":"too_many_requests"}`, header: wait, certain: true},
		"503":                 {status: 503, body: `{"error":"temporarily_unavailable"}`, header: wait},
		"cut off":             {done: true, cut: true},
		"400 gossip":          {status: 400, gossip: true, certain: true},
		"500 gossip":          {status: 500, gossip: true},
	}
}

// troubles are those that are tried here: all, or those that find most where each call takes its time.
func (s *suite) troubles() map[string]trouble {
	all := troubles()
	if s.h.Slow {
		few := []string{"answer lost", "500 gossip"}
		maps.DeleteFunc(all, func(name string, _ trouble) bool { return !slices.Contains(few, name) })
	}
	return all
}

// every call suffers.
const every = -1

// troubled lets a trouble befall the nth call of a session, from 0, or every one.
type troubled struct {
	suite   *suite
	nth     int
	trouble trouble
	// instead, if set, answers the call in place of the trouble.
	instead func(*http.Request, http.RoundTripper) (*http.Response, error)

	mu    sync.Mutex
	calls int
	// hit says that it happened, wrote that it was to a write, renewed that the server's own answer to it, which
	// the provider did not get, replaced a registration access token.
	hit, wrote, renewed bool
}

// around wraps a transport.
func (x *troubled) around(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		x.mu.Lock()
		now := x.nth == every || x.calls == x.nth
		x.calls++
		if now {
			x.hit, x.wrote = true, x.suite.isWrite(req)
		}
		x.mu.Unlock()
		if !now {
			return next.RoundTrip(req)
		}
		before := x.suite.estate.renewals()
		defer func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.renewed = x.renewed || x.suite.estate.renewals() > before
		}()
		if x.instead != nil {
			return x.instead(req, next)
		}
		return x.trouble.befall(req, next)
	})
}

func (f trouble) befall(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	sent, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	var resp *http.Response
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil && !f.unsent && !f.done {
		trace.GotConn(httptrace.GotConnInfo{}) // as far as the provider can know, it was sent
	}
	if f.done {
		if resp, err = next.RoundTrip(req); err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
	}
	switch {
	case f.err != nil:
		return nil, f.err
	case f.cut:
		whole, err := readBody(resp)
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(whole[:len(whole)/2]))
		resp.ContentLength = int64(len(whole) / 2)
		resp.Header.Del("Content-Length")
		return resp, nil
	case f.gossip:
		said, err := json.Marshal(map[string]string{
			"error": "invalid_request", "error_description": "not understood: " + req.Header.Get("Authorization") + " " + string(sent),
		})
		if err != nil {
			return nil, err
		}
		f.body = string(said)
	}
	return f.answer(req), nil
}

func (f trouble) answer(req *http.Request) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	if f.body == page {
		header.Set("Content-Type", "text/html; charset=utf-8")
	}
	for name, value := range f.header {
		header.Set(name, value)
	}
	return &http.Response{
		Status: http.StatusText(f.status), StatusCode: f.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewBufferString(f.body)), ContentLength: int64(len(f.body)), Request: req,
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// errHand is what a caller says no with.
var errHand = errors.New("somebody else has it in hand")

// ends says how a fault may end for good: where the server chooses ids and nobody can look.
func ends(err error) (provider.Kind, bool) {
	kind, ok := provider.KindOf(err)
	return kind, ok && (kind == provider.KindAmbiguous || kind == provider.KindAccessLost)
}
