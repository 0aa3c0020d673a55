// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// SignIn is how the operator proves itself where clients are registered: by an access token of its
// own client, by a token that it was given, or not at all.
type SignIn struct {
	// ClientID of the operator's client; empty with a ServiceAccount's token, which says it itself.
	ClientID string
	// Secret of the operator's client, if it has one.
	Secret Secret
	// Assertion makes a client assertion (RFC 7523 section 2.2), if that is how it signs in.
	Assertion func(ctx context.Context) (Secret, error)
	// InitialAccessToken is a token for the registration endpoint (RFC 7591 section 3.1), in place of a client.
	InitialAccessToken Secret
	// Advice is what to do when it is refused, as a sentence; empty for what is commonly wrong.
	Advice string
}

// IsClient says that the operator signs in with a client of its own.
func (s SignIn) IsClient() bool { return s.Secret != "" || s.Assertion != nil }

// Tokens hands out the access tokens of the operator's client.
type Tokens struct {
	endpoint string
	scope    string
	signIn   SignIn
	http     *http.Client
	limiter  *Limiter
	now      func() time.Time

	mu      sync.Mutex
	current accessToken
	flight  *signingIn
}

const opSignIn = "sign in"

// NewTokens signs in with config.SignIn at the token endpoint by the client credentials grant (RFC 6749
// section 4.4) when a token is asked for, with a scope if one is given.
func NewTokens(config Config, limiter *Limiter, scope string) (*Tokens, error) {
	if !config.SignIn.IsClient() {
		return nil, errors.New("the operator's own client id and secret are needed")
	}
	if config.SignIn.Assertion == nil && config.SignIn.ClientID == "" {
		return nil, errors.New("the operator's own client id is needed")
	}
	if u, err := url.Parse(config.Metadata.TokenEndpoint); err != nil || u.Host == "" {
		return nil, errors.New("the server's metadata names no token endpoint")
	}
	return &Tokens{
		endpoint: config.Metadata.TokenEndpoint, scope: scope, signIn: config.SignIn,
		http: config.HTTPClient, limiter: limiter, now: config.Clock,
	}, nil
}

// accessToken renews itself at 80 % of its life.
type accessToken struct {
	value   Secret
	renewAt time.Time
}

// signingIn is a sign-in on its way.
type signingIn struct {
	done  chan struct{}
	token accessToken
	err   error
}

// Token is a token that is not stale. Those who need one at the same time share one sign-in.
func (t *Tokens) Token(ctx context.Context, stale Secret) (Secret, error) {
	for {
		t.mu.Lock()
		if c := t.current; c.value != "" && c.value != stale && t.now().Before(c.renewAt) {
			t.mu.Unlock()
			return c.value, nil
		}
		f, leader := t.flight, false
		if f == nil {
			f, leader = &signingIn{done: make(chan struct{})}, true
			t.flight = f
		}
		t.mu.Unlock()
		if leader {
			t.lead(ctx, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", Unreachable(opSignIn, ctx.Err())
		}
		// Whoever led may have been called off; that is not our failure.
		calledOff := errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)
		if leader || f.err == nil || !calledOff || ctx.Err() != nil {
			return f.token.value, f.err
		}
	}
}

func (t *Tokens) lead(ctx context.Context, f *signingIn) {
	f.token, f.err = t.ask(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.err == nil {
		t.current = f.token
	}
	t.flight = nil
	close(f.done)
}

// Forget drops a token: it lacks a right, say, that a new one may have. Empty drops whatever there is.
func (t *Tokens) Forget(value Secret) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value == "" || t.current.value == value {
		t.current = accessToken{}
	}
}

// ask signs in.
func (t *Tokens) ask(ctx context.Context) (accessToken, error) {
	req, secrets, err := t.request(ctx)
	if err != nil {
		return accessToken{}, err
	}
	asked := t.now()
	a, err := exchange(t.http, t.limiter, req, opSignIn)
	if err != nil {
		return accessToken{}, err
	}
	if a.Status != http.StatusOK {
		e := a.Fault(secrets...)
		switch word := a.Word(); {
		case a.Status == http.StatusBadRequest && word == "invalid_client":
			e.Kind = KindCredentials
		case a.Status == http.StatusBadRequest && (word == "invalid_scope" || word == "unauthorized_client" && t.scope != ""):
			e.Kind = KindForbidden
		case a.Status == http.StatusBadRequest:
			e.Kind = KindServer // Keycloak says 400 when its database is gone
		}
		if e.Kind == KindCredentials {
			e.Advice = t.signIn.Advice
		}
		return accessToken{}, e
	}
	var got struct {
		AccessToken Secret  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &got); err != nil || got.AccessToken == "" {
		return accessToken{}, a.Nonsense()
	}
	life := time.Duration(min(max(got.ExpiresIn, 0), 86400) * float64(time.Second))
	return accessToken{value: got.AccessToken, renewAt: asked.Add(life * 4 / 5)}, nil
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// request also returns what must not be repeated from the answer.
func (t *Tokens) request(ctx context.Context) (*http.Request, []Secret, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if t.scope != "" {
		form.Set("scope", t.scope)
	}
	basic, secrets, err := t.signed(ctx, form)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, &Error{Kind: KindInvalid, Op: opSignIn, Err: errors.New("the token endpoint is no URL")}
	}
	formHeader(req, basic)
	return req, secrets, nil
}

// signed puts the client's proof into a form, or returns it for the header; and what must not be
// repeated from the answer.
func (t *Tokens) signed(ctx context.Context, form url.Values) (basic Secret, secrets []Secret, err error) {
	secrets = []Secret{t.signIn.Secret}
	if t.signIn.Assertion == nil {
		// Form-encoded first (RFC 6749 section 2.3.1): Keycloak answers 400 to a raw percent sign.
		pair := url.QueryEscape(t.signIn.ClientID) + ":" + url.QueryEscape(t.signIn.Secret.Reveal())
		basic = Secret(base64.StdEncoding.EncodeToString([]byte(pair)))
		return basic, append(secrets, basic), nil
	}
	assertion, err := t.signIn.Assertion(ctx)
	if err != nil {
		return "", nil, &Error{Kind: KindServer, Op: "make the assertion to sign in with", Err: err}
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion.Reveal())
	if t.signIn.ClientID != "" {
		form.Set("client_id", t.signIn.ClientID)
	}
	return "", append(secrets, assertion), nil
}

func formHeader(req *http.Request, basic Secret) {
	if basic != "" {
		req.Header.Set("Authorization", "Basic "+basic.Reveal())
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
}
