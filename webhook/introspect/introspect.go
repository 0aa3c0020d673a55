// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package introspect asks an authorization server about a token (RFC 7662).
//
// An answer is a verdict, or a refusal of our credentials or of the token's form, or nothing:
// "could not tell" never becomes "inactive". Keycloak without its database answers 400.
package introspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	defaultTimeout = 2 * time.Second
	// maxAnswer bounds an answer. A larger one is an error, never truncated.
	maxAnswer = 1 << 20
)

// Options of New.
type Options struct {
	// Endpoint is the URL of the introspection endpoint: https, or http on a loopback address.
	Endpoint string
	// Issuer names the server in errors, and is the audience of assertions. Whether an
	// answer's `iss` is this one is for the policy to judge.
	Issuer string
	// HostHeader is sent as Host, for servers behind another name; empty for the endpoint's own.
	HostHeader string
	// CAPEM are the authorities that the server's certificate is verified with; empty for
	// the system's. Not used with an HTTPClient.
	CAPEM []byte
	// Timeout of a call; default 2s.
	Timeout time.Duration
	// HTTPClient makes the calls; nil for one of its own, with a connection pool that
	// fits. Redirects are not followed in either case.
	HTTPClient *http.Client
	// Clock is the time that a key's assertions say; needed for these only.
	Clock func() time.Time
}

// Client asks one authorization server. It is safe for concurrent use.
type Client struct {
	endpoint, issuer, host string
	timeout                time.Duration
	clock                  func() time.Time
	http                   *http.Client
	// own says that the connections are ours alone.
	own bool
}

// New is a client of the server, or says what is wrong with the options.
func New(opts Options) (*Client, error) {
	if err := checkEndpoint(opts.Endpoint); err != nil {
		return nil, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	c := &Client{endpoint: opts.Endpoint, issuer: opts.Issuer, host: opts.HostHeader, timeout: opts.Timeout, clock: opts.Clock}
	if opts.HTTPClient == nil {
		built, err := NewHTTPClient(opts.CAPEM, opts.Timeout)
		if err != nil {
			return nil, err
		}
		c.http, c.own = built, true
	} else {
		shared := *opts.HTTPClient
		c.http = &shared
	}
	// A redirect would carry the token, and perhaps the credential, to another place.
	c.http.CheckRedirect = stay
	return c, nil
}

// stay follows no redirect.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// CloseIdleConnections closes connections that nobody uses, unless they are those of a
// client that was handed in.
func (c *Client) CloseIdleConnections() {
	if c.own {
		c.http.CloseIdleConnections()
	}
}

// Introspect asks about a token. The facts are the server's verdict, inactive ones
// without any claims. The error is ErrCredentialsRefused, ErrUnsupportedToken, or an
// *Unavailable.
func (c *Client) Introspect(ctx context.Context, as Credential, t token.Token) (*token.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(ctx, as, t)
	if err != nil {
		return nil, &Unavailable{Issuer: c.issuer, Err: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Unavailable{Issuer: c.issuer, Err: transportError(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := read(resp.Body)
	if err != nil && resp.StatusCode != http.StatusUnauthorized {
		return nil, c.unavailable(resp, err)
	}
	return c.verdict(resp, body)
}

func (c *Client) request(ctx context.Context, as Credential, t token.Token) (*http.Request, error) {
	body, err := c.body(ctx, as, t)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("the request can't be made: endpoint or host header is wrong")
	}
	switch {
	case as.Assertion != nil:
	case as.Key != nil:
		// A server may have taken an assertion before the connection broke, and takes each once:
		// what net/http sends again has a new one. All of a key's have the same length.
		req.GetBody = func() (io.ReadCloser, error) {
			again, err := c.body(ctx, as, t)
			return io.NopCloser(strings.NewReader(again)), err
		}
	default:
		req.Header.Set("Authorization", as.basic())
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// Asking twice does no harm, and this empty value, which is not sent, tells net/http
	// so: it asks again if the server closed an idle connection at just this moment.
	req.Header["Idempotency-Key"] = []string{}
	req.Host = c.host
	return req, nil
}

// assertionType is RFC 7523 section 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// body never has a token_type_hint: with a wrong one Keycloak calls a live token inactive.
// With a key's assertion it has the client id, which some servers want (RFC 7521 section
// 4.2 has it optional); with somebody else's token the server finds the client by the subject.
func (c *Client) body(ctx context.Context, as Credential, t token.Token) (string, error) {
	var (
		form      = url.Values{"token": {t.Reveal()}}
		assertion Secret
		err       error
	)
	switch {
	case as.Assertion != nil:
		assertion, err = as.Assertion.now(ctx)
	case as.Key != nil:
		if c.clock == nil {
			return "", errors.New("signing an assertion: there is no clock")
		}
		assertion, err = as.Key.Assertion(as.ClientID, c.issuer, c.clock())
		form.Set("client_id", as.ClientID)
	default:
		return form.Encode(), nil
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion.Reveal())
	return form.Encode(), err
}

// read takes the whole body or none of it.
func read(body io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", transportError(err))
	case n > maxAnswer:
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	return b.Bytes(), nil
}

func (c *Client) verdict(resp *http.Response, body []byte) (*token.Facts, error) {
	switch resp.StatusCode {
	case http.StatusOK:
		facts, err := parse(body)
		if err != nil {
			return nil, c.unavailable(resp, err)
		}
		return facts, nil
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("%w: HTTP 401 from %s", ErrCredentialsRefused, c.issuer)
	case http.StatusBadRequest:
		switch errorCode(body) {
		case "invalid_client":
			return nil, fmt.Errorf("%w: HTTP 400 invalid_client from %s", ErrCredentialsRefused, c.issuer)
		case "unsupported_token_type":
			return nil, fmt.Errorf("%w: HTTP 400 unsupported_token_type from %s", ErrUnsupportedToken, c.issuer)
		}
	}
	return nil, c.unavailable(resp, nil)
}

func (c *Client) unavailable(resp *http.Response, err error) error {
	return &Unavailable{Issuer: c.issuer, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header), Err: err}
}
