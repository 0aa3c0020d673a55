// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// API calls an authorization server's registration endpoints: JSON both ways, with a Bearer token,
// within the limits. A dialect adds where they are, and how refusals are read.
type API struct {
	HTTP    *http.Client
	Limiter *Limiter
	// Tokens signs in; nil where calls carry a token of their own, or none.
	Tokens *Tokens
	// Read, if set, corrects an error that Answer.Fault made, by what the dialect knows.
	Read func(*Answer, *Error)
}

// maxBody bounds an answer: hundreds of client scopes, or a page of clients, and not more.
const maxBody = 32 << 20

// Call is one request.
type Call struct {
	// Op is what is attempted, in words: it stands in errors.
	Op string
	// Method and URL of the request; Query is added to the URL.
	Method, URL string
	Query       url.Values
	// In is the body, sent as JSON; nil for none. A json.RawMessage goes as it is.
	In any
	// Bearer is the call's own token, in place of the operator's.
	Bearer Secret
	// Done are the statuses that mean it was done. Another one of 2xx may be a proxy's page.
	Done []int
	// Secrets are masked in what the server says.
	Secrets []Secret
}

// Answer is what a server said.
type Answer struct {
	// Op is the call's.
	Op     string
	Status int
	Header http.Header
	Body   []byte
	// RetryAfter is how long it asks to wait.
	RetryAfter time.Duration
}

// Do makes the call. The answer is there whenever one came, also with an error. An operator's token that
// the server does not know any more is renewed once.
func (a *API) Do(ctx context.Context, c Call) (*Answer, error) {
	var stale Secret
	for {
		token := c.Bearer
		if token == "" && a.Tokens != nil {
			var err error
			if token, err = a.Tokens.Token(ctx, stale); err != nil {
				return nil, err
			}
		}
		req, err := c.request(ctx, token)
		if err != nil {
			return nil, err
		}
		answer, err := exchange(a.HTTP, a.Limiter, req, c.Op)
		if err != nil {
			return nil, err
		}
		ours := a.Tokens != nil && c.Bearer == ""
		if answer.Status == http.StatusUnauthorized && stale == "" && ours {
			stale = token // signed out behind our back: once more with a new token
			continue
		}
		if ours && answer.Status == http.StatusForbidden {
			a.Tokens.Forget(token) // the right may be given any moment: a new token would show it
		}
		return answer, a.verdict(answer, &c, token)
	}
}

// verdict is nil if the call was done.
func (a *API) verdict(answer *Answer, c *Call, token Secret) error {
	switch {
	case slices.Contains(c.Done, answer.Status):
		return nil
	case answer.Status >= http.StatusOK && answer.Status < http.StatusMultipleChoices:
		return answer.Nonsense() // a proxy's page, say: the work may not be done
	}
	secrets := append(slices.Clone(c.Secrets), token)
	if a.Tokens != nil {
		secrets = append(secrets, a.Tokens.signIn.Secret)
	}
	fault := answer.Fault(secrets...)
	if a.Read != nil {
		a.Read(answer, fault)
	}
	return fault
}

// Decode makes the call and decodes the answer.
func (a *API) Decode(ctx context.Context, c Call, out any) (*Answer, error) {
	answer, err := a.Do(ctx, c)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return answer, answer.Nonsense()
	}
	return answer, nil
}

// Write makes the call behind the caller's fence.
func (a *API) Write(ctx context.Context, caller Caller, c Call) (*Answer, error) {
	if err := caller.Fence(ctx); err != nil {
		return nil, err
	}
	return a.Do(ctx, c)
}

func (c *Call) request(ctx context.Context, token Secret) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.In != nil {
		encoded, err := json.Marshal(c.In)
		if err != nil {
			return nil, &Error{Kind: KindInvalid, Op: c.Op, Err: errors.New("the request can't be encoded")}
		}
		body = bytes.NewReader(encoded)
	}
	address := c.URL
	if len(c.Query) > 0 {
		address += "?" + c.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, address, body)
	if err != nil {
		return nil, &Error{Kind: KindInvalid, Op: c.Op, Err: errors.New("the registration address is no URL")}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	req.Header.Set("Accept", "application/json")
	if c.In != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// exchange sends a request in its turn, and takes the whole answer.
func exchange(client *http.Client, limiter *Limiter, req *http.Request, op string) (*Answer, error) {
	release, err := limiter.Acquire(req.Context(), op)
	if err != nil {
		return nil, err
	}
	defer release()
	resp, err := client.Do(req)
	if err != nil {
		return nil, Unreachable(op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := &Answer{Op: op, Status: resp.StatusCode, Header: resp.Header, RetryAfter: limiter.Obey(resp.StatusCode, resp.Header)}
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody)); err != nil {
		return nil, Unreachable(op, err)
	}
	a.Body = body.Bytes()
	return a, nil
}
