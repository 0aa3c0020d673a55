// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// maxBody bounds an answer: the list of 10,000 client scopes has 8 MiB.
const maxBody = 32 << 20

// call is one call of the Admin API.
type call struct {
	// op is what is attempted, in words: it stands in errors.
	op     string
	method string
	// path follows the realm's; its segments are escaped.
	path  string
	query url.Values
	// in is the body, sent as JSON.
	in any
	// secrets are masked in what the server says.
	secrets []provider.Secret
}

// answer is what came back, whatever it says.
type answer struct {
	op         string
	status     int
	location   string
	body       []byte
	retryAfter time.Duration
}

// done is how the Admin API says that the work is done.
func done(method string) int {
	switch method {
	case http.MethodGet:
		return http.StatusOK
	case http.MethodPost:
		return http.StatusCreated
	default:
		return http.StatusNoContent
	}
}

// do calls the Admin API, signed in. Only the one answer that says so is no
// error; the answer comes back beside the error if there was one.
func (s *Server) do(ctx context.Context, c call) (*answer, error) {
	var stale provider.Secret
	for {
		token, err := s.session.token(ctx, stale)
		if err != nil {
			return nil, err
		}
		req, err := s.request(ctx, c, token)
		if err != nil {
			return nil, err
		}
		a, err := exchange(s.http, s.limiter, req, c.op)
		if err != nil {
			return nil, err
		}
		switch {
		case a.status == done(c.method):
			return a, nil
		case a.status >= http.StatusOK && a.status < http.StatusMultipleChoices:
			return a, a.nonsense() // a proxy's page, say: the work may not be done
		case a.status == http.StatusUnauthorized && stale == "":
			stale = token // signed out behind our back: once more with a new token
			continue
		case a.status == http.StatusForbidden:
			s.session.forget(token)
		}
		return a, a.fault(append(c.secrets, token, s.session.secret)...)
	}
}

// read is do for an answer with a JSON body.
func (s *Server) read(ctx context.Context, c call, out any) (*answer, error) {
	a, err := s.do(ctx, c)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return a, a.nonsense()
	}
	return a, nil
}

// write is do behind the fence. A fence's error is returned as it is.
func (s *Server) write(ctx context.Context, fence provider.Fence, c call) (*answer, error) {
	if err := fence(ctx); err != nil {
		return nil, err
	}
	return s.do(ctx, c)
}

func (s *Server) request(ctx context.Context, c call, token provider.Secret) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.in != nil {
		encoded, err := json.Marshal(c.in)
		if err != nil {
			return nil, &provider.Error{Kind: provider.KindInvalid, Op: c.op, Err: errors.New("the request can't be encoded")}
		}
		body = bytes.NewReader(encoded)
	}
	address := s.admin + c.path
	if len(c.query) > 0 {
		address += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, address, body)
	if err != nil {
		return nil, &provider.Error{Kind: provider.KindInvalid, Op: c.op, Err: errors.New("the Admin API's address is no URL")}
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/json")
	if c.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// exchange sends a request in its turn and reads the answer.
func exchange(client *http.Client, limiter *provider.Limiter, req *http.Request, op string) (*answer, error) {
	release, err := limiter.Acquire(req.Context(), op)
	if err != nil {
		return nil, err
	}
	defer release()
	resp, err := client.Do(req)
	if err != nil {
		return nil, provider.Unreachable(op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := &answer{op: op, status: resp.StatusCode, location: resp.Header.Get("Location"), retryAfter: limiter.Obey(resp.StatusCode, resp.Header)}
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody)); err != nil {
		return nil, provider.Unreachable(op, err)
	}
	a.body = body.Bytes()
	return a, nil
}

// id is the last segment of Location.
func (a *answer) id() string {
	return a.location[strings.LastIndexByte(a.location, '/')+1:]
}

// madeID is id, also of no answer at all.
func (a *answer) madeID() string {
	if a == nil {
		return ""
	}
	return a.id()
}
