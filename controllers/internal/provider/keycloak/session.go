// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

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

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opSignIn = "sign in"

// session is the operator's access token, shared by all callers.
type session struct {
	endpoint string
	id       string
	secret   provider.Secret
	http     *http.Client
	limiter  *provider.Limiter
	now      func() time.Time

	mu      sync.Mutex
	current accessToken
	flight  *flight
}

type accessToken struct {
	value   provider.Secret
	renewAt time.Time
}

// flight is one sign-in and those who wait for it.
type flight struct {
	done  chan struct{}
	token accessToken
	err   error
}

// token is a good access token, other than stale: one that the server refused.
func (s *session) token(ctx context.Context, stale provider.Secret) (provider.Secret, error) {
	for {
		s.mu.Lock()
		if t := s.current; t.value != "" && t.value != stale && s.now().Before(t.renewAt) {
			s.mu.Unlock()
			return t.value, nil
		}
		f, leader := s.flight, false
		if f == nil {
			f, leader = &flight{done: make(chan struct{})}, true
			s.flight = f
		}
		s.mu.Unlock()
		if leader {
			s.lead(ctx, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", provider.Unreachable(opSignIn, ctx.Err())
		}
		// Whoever led may have been called off; that is not our failure.
		calledOff := errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)
		if leader || f.err == nil || !calledOff || ctx.Err() != nil {
			return f.token.value, f.err
		}
	}
}

// lead signs in for all who wait.
func (s *session) lead(ctx context.Context, f *flight) {
	f.token, f.err = s.signIn(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err == nil {
		s.current = f.token
	}
	s.flight = nil
	close(f.done)
}

// forget drops the token: rights that were granted meanwhile are in the next one.
func (s *session) forget(value provider.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.value == value {
		s.current = accessToken{}
	}
}

// signIn gets a token with the client credentials grant (RFC 6749 section 4.4).
func (s *session) signIn(ctx context.Context) (accessToken, error) {
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(form))
	if err != nil {
		return accessToken{}, &provider.Error{Kind: provider.KindInvalid, Op: opSignIn, Err: errors.New("the token endpoint is no URL")}
	}
	// Form-encoded first (RFC 6749 section 2.3.1): Keycloak answers 400 to a raw percent sign.
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(s.id) + ":" + url.QueryEscape(s.secret.Reveal())))
	req.Header.Set("Authorization", "Basic "+basic)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	asked := s.now()
	a, err := exchange(s.http, s.limiter, req, opSignIn)
	if err != nil {
		return accessToken{}, err
	}
	if a.status != http.StatusOK {
		e := a.fault(s.secret, provider.Secret(basic))
		if a.status == http.StatusBadRequest && a.word() != "invalid_client" {
			e.Kind = provider.KindServer // Keycloak says 400 when its database is gone
		}
		return accessToken{}, e
	}
	var got struct {
		AccessToken provider.Secret `json:"access_token"`
		ExpiresIn   float64         `json:"expires_in"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil || got.AccessToken == "" {
		return accessToken{}, a.nonsense()
	}
	life := time.Duration(min(max(got.ExpiresIn, 0), 86400) * float64(time.Second))
	return accessToken{value: got.AccessToken, renewAt: asked.Add(life * 4 / 5)}, nil
}
