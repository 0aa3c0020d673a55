// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// upstream is a server in a synctest bubble.
type upstream struct {
	mu    sync.Mutex
	asked []string
	takes time.Duration
	say   func(token.Token) (*token.Facts, error)
}

// newUpstream calls every token active.
func newUpstream() *upstream {
	return &upstream{say: func(token.Token) (*token.Facts, error) { return facts(), nil }}
}

// says sets what it says from now on.
func (u *upstream) says(f *token.Facts, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.say = func(token.Token) (*token.Facts, error) {
		if f == nil {
			return nil, err
		}
		return again(f), nil
	}
}

// up calls every token active but those of bad.
func (u *upstream) up(bad ...token.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.say = func(t token.Token) (*token.Facts, error) {
		if slices.Contains(bad, t) {
			return token.Inactive(), nil
		}
		return facts(), nil
	}
}

// again are the same facts, of another answer.
func again(f *token.Facts) *token.Facts {
	return &token.Facts{
		Active: f.Active, Issuer: f.Issuer, Subject: f.Subject, ClientID: f.ClientID, TokenType: f.TokenType, Audience: f.Audience,
		Scope: f.Scope, ExpiresAt: f.ExpiresAt, IssuedAt: f.IssuedAt, Bound: f.Bound, JKT: f.JKT, X5T: f.X5T, Claims: f.Claims, Size: f.Size,
	}
}

func (u *upstream) ask(ctx context.Context, _ introspect.Credential, t token.Token) (*token.Facts, error) {
	u.mu.Lock()
	u.asked = append(u.asked, t.Reveal())
	say, takes := u.say, u.takes
	u.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, &introspect.Unavailable{Issuer: issuer, Err: ctx.Err()}
		}
	}
	return say(t)
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asked)
}

// What a server that is not well answers.
var (
	errUnavailable = &introspect.Unavailable{Issuer: issuer, Status: http.StatusServiceUnavailable}
	errTimeout     = &introspect.Unavailable{Issuer: issuer, Err: context.DeadlineExceeded}
	errHTML        = &introspect.Unavailable{Issuer: issuer, Status: http.StatusOK, Err: errors.New("the answer is not JSON")}
	errBadRequest  = &introspect.Unavailable{Issuer: issuer, Status: http.StatusBadRequest}
	errThrottled   = &introspect.Unavailable{Issuer: issuer, Status: http.StatusTooManyRequests}
)

// numbered is a token of its own.
func numbered(n int) token.Token { return unsigned(map[string]any{"iss": issuer, "jti": n}) }

// bubble is an engine over an upstream, in a synctest bubble, and its metrics.
func bubble(t *testing.T, u *upstream, change func(*Options, *State), policies ...PolicyState) (*Engine, *prometheus.Registry) {
	t.Helper()
	dial, state := scripted(u.ask, policies...)
	registry := prometheus.NewRegistry()
	opts := Options{Clock: time.Now, Dial: dial, Registerer: registry}
	if change != nil {
		change(&opts, &state)
	}
	return newEngine(t, opts, state), registry
}

// gauge is the value of a gauge of a server.
func gauge(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "introspection_webhook_"+name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// wantAsked compares how often an upstream was asked.
func wantAsked(t *testing.T, reason string, u *upstream, n int) {
	t.Helper()
	if got := u.count(); got != n {
		t.Errorf("%s: the server was asked %d times, want %d", reason, got, n)
	}
}
