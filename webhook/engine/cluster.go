// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// ClusterKeysFunc gives the issuer of the cluster's ServiceAccount tokens, and its JWKS.
type ClusterKeysFunc func(ctx context.Context) (issuer string, jwks []byte, err error)

const (
	// clusterKeysMaxAge bounds for how long the API server may be away before no
	// ServiceAccount is known any more.
	clusterKeysMaxAge = 24 * time.Hour
	clusterTimeout    = 5 * time.Second
)

// cluster verifies ServiceAccounts' tokens with the cluster's keys, without asking the API
// server: a token of a ServiceAccount that was deleted is good until its exp.
type cluster struct {
	keys  ClusterKeysFunc
	clock func() time.Time

	mu       sync.Mutex
	verifier *jwt.Verifier
	tried    time.Time
}

// ServiceAccount is whose token it is, if the token is meant for exactly that audience. The
// error is a *token.Undecided where nobody can tell, else the token is no good.
func (e *Engine) ServiceAccount(ctx context.Context, t token.Token, audience string) (token.Ref, error) {
	scope := cache.Scope(cache.HashOf("ServiceAccount", audience))
	key := e.keyer.Key(&scope, t)
	if account, ok := e.accounts.get(key); ok {
		return account, nil
	}
	v, err := e.cluster.verify(ctx)
	if err != nil {
		return token.Ref{}, clusterUnknown(err)
	}
	account, until, err := v.ServiceAccount(ctx, t, audience)
	if unavailable, ok := errors.AsType[*jwt.Unavailable](err); ok {
		return token.Ref{}, clusterUnknown(unavailable)
	}
	if err == nil {
		e.accounts.put(key, account, until)
	}
	return account, err
}

func clusterUnknown(err error) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonKeysUnavailable,
		Message: "The cluster's keys for ServiceAccount tokens can't be had: try again.",
		Err:     err,
	}
}

var errNoClusterKeys = errors.New("the API server has not told its keys")

// verify is the verifier of the cluster's issuer, which is learned once.
func (c *cluster) verify(ctx context.Context) (*jwt.Verifier, error) {
	if c.keys == nil {
		return nil, errNoClusterKeys
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.verifier != nil {
		return c.verifier, nil
	}
	if now := c.clock(); !c.tried.IsZero() && now.Sub(c.tried) < time.Second {
		return nil, errNoClusterKeys // strangers' tokens ask nobody more often
	}
	c.tried = c.clock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clusterTimeout)
	defer cancel()
	issuer, _, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	verifier, err := jwt.New(jwt.Options{
		Issuer: issuer, Keys: c.fetch, Types: []string{"", "JWT"}, MaxAge: clusterKeysMaxAge, Clock: c.clock,
	})
	if err != nil {
		return nil, err
	}
	c.verifier = verifier
	return verifier, nil
}

// warm fetches the keys, if nobody has yet. What goes wrong, whoever needs them is told.
func (c *cluster) warm(ctx context.Context) {
	if c.keys == nil {
		return
	}
	if v, err := c.verify(ctx); err == nil {
		_ = v.Warm(ctx)
	}
}

func (c *cluster) fetch(ctx context.Context) ([]byte, error) {
	_, jwks, err := c.keys(ctx)
	return jwks, err
}
