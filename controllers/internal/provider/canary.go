// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	opCanaryToken  = "get a token as the canary" //nolint:gosec // the name of a call, for errors and metrics
	opCanaryRevoke = "revoke a token as the canary"
	// canaryPause is how long a canary that could not sign in is not asked again: one that is
	// broken must not cost each client a call.
	canaryPause = 30 * time.Second
)

// Canary is a client of the platform's that can get tokens (RFC 6749 section 4.4), to see what
// the server makes of them. It is safe for concurrent use.
type Canary struct {
	tokens     *Tokens // for its requests: a canary's tokens are never kept
	revocation string

	mu     sync.Mutex
	failed error
	until  time.Time
}

// NewCanary signs in with config.SignIn at the endpoints of config.Metadata, within config.Limits. It calls nobody.
func NewCanary(config Config) (*Canary, error) {
	tokens, err := NewTokens(config, NewLimiter(config.Limits, config.Clock), "")
	if err != nil {
		return nil, err
	}
	return &Canary{tokens: tokens, revocation: config.Metadata.RevocationEndpoint}, nil
}

// ClientID of the canary; empty if the server finds it by its assertion.
func (c *Canary) ClientID() string { return c.tokens.signIn.ClientID }

// CanaryWish is what a token is asked for. Empty members are not sent.
type CanaryWish struct {
	// Scope is one scope, and Resource one of RFC 8707.
	Scope, Resource string
}

// Token gets a token. Its error is an *Error: KindInvalid if the server refuses what is wished for
// (invalid_scope, invalid_target), another kind if it refuses the canary, or does not answer.
func (c *Canary) Token(ctx context.Context, wish CanaryWish) (Secret, error) {
	c.mu.Lock()
	failed := c.failed
	if !c.tokens.now().Before(c.until) {
		failed = nil
	}
	c.mu.Unlock()
	if failed != nil {
		return "", failed
	}
	value, err := c.ask(ctx, wish)
	if kind, _ := KindOf(err); err != nil && kind != KindInvalid && ctx.Err() == nil {
		c.mu.Lock()
		c.failed, c.until = err, c.tokens.now().Add(canaryPause)
		c.mu.Unlock()
	}
	return value, err
}

func (c *Canary) ask(ctx context.Context, wish CanaryWish) (Secret, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if wish.Scope != "" {
		form.Set("scope", wish.Scope)
	}
	if wish.Resource != "" {
		form.Set("resource", wish.Resource)
	}
	a, secrets, err := c.post(ctx, c.tokens.endpoint, form, opCanaryToken)
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusOK {
		e := a.Fault(secrets...)
		switch word := a.Word(); {
		case a.Status == http.StatusBadRequest && (word == "invalid_scope" || word == "invalid_target"):
			e.Kind = KindInvalid
		case a.Status == http.StatusUnauthorized || a.Status == http.StatusBadRequest && (word == "invalid_client" || word == "unauthorized_client"):
			e.Kind, e.Advice = KindCredentials, "Is its Secret right, and may it use the client credentials grant?"
		case a.Status == http.StatusBadRequest:
			e.Kind = KindServer // Keycloak says 400 when its database is gone
		}
		return "", e
	}
	var got struct {
		AccessToken Secret `json:"access_token"`
	}
	if err := json.Unmarshal(a.Body, &got); err != nil || got.AccessToken == "" {
		return "", a.Nonsense()
	}
	return got.AccessToken, nil
}

// Revokes says whether the server's metadata names where tokens are revoked (RFC 7009).
func (c *Canary) Revokes() bool { return c.revocation != "" }

// Revoke revokes a token that the canary got (RFC 7009 section 2.1). Nil means that the server
// said it was done.
func (c *Canary) Revoke(ctx context.Context, value Secret) error {
	a, secrets, err := c.post(ctx, c.revocation, url.Values{"token": {value.Reveal()}}, opCanaryRevoke)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return a.Fault(append(secrets, value)...)
	}
	return nil
}

// post signs a form as the canary, and sends it.
func (c *Canary) post(ctx context.Context, endpoint string, form url.Values, op string) (*Answer, []Secret, error) {
	signed, secrets, err := c.tokens.signed(ctx, form)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, &Error{Kind: KindInvalid, Op: op, Err: errors.New("the endpoint is no URL")}
	}
	formHeader(req, signed)
	a, err := exchange(c.tokens.http, c.tokens.limiter, req, op)
	return a, secrets, err
}
