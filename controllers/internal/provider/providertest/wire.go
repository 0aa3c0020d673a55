// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// wire sees what reaches the server, and what it says.
type wire struct {
	suite *suite
	next  http.RoundTripper

	mu sync.Mutex
	// order is each write, by its method and path, and "fence" for each fence.
	order []string
	calls int
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.calls++
	if w.suite.isWrite(req) {
		w.order = append(w.order, req.Method+" "+req.URL.Path)
	}
	w.mu.Unlock()
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		w.suite.hush.exchange(req, sent, nil)
		return nil, err
	}
	answer, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	w.suite.hush.exchange(req, sent, answer)
	w.suite.estate.exchange(req, resp.StatusCode, answer)
	return resp, nil
}

// fenced notes a fence.
func (w *wire) fenced() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.order = append(w.order, "fence")
}

// writes are those that reached the server.
func (w *wire) writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var writes []string
	for _, o := range w.order {
		if o != "fence" {
			writes = append(writes, o)
		}
	}
	return writes
}

func (w *wire) unfenced() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range w.order {
		if o != "fence" && (i == 0 || w.order[i-1] != "fence") {
			return o
		}
	}
	return ""
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// isWrite says that a request may change something; signing in and introspection do not.
func (s *suite) isWrite(req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return false
	}
	m := s.h.Config.Metadata
	return !sameEndpoint(req.URL, m.TokenEndpoint) && !sameEndpoint(req.URL, m.IntrospectionEndpoint)
}

func sameEndpoint(u *url.URL, endpoint string) bool {
	e, err := url.Parse(endpoint)
	return err == nil && e.Host == u.Host && e.Path == u.Path
}

// takeBody reads a request's body, and puts it back.
func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	var body bytes.Buffer
	_, err := body.ReadFrom(io.LimitReader(req.Body, maxAnswer))
	if closing := req.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a request: %w", err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	return body.Bytes(), nil
}

// readBody reads an answer's body, and puts it back.
func readBody(resp *http.Response) ([]byte, error) {
	var body bytes.Buffer
	_, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer))
	if closing := resp.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
	return body.Bytes(), nil
}
