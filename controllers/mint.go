// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// mintLife is how long a ServiceAccount's token is asked for. It is renewed at half of
// it, so that the API server may be away for as long.
const (
	mintLife  = time.Hour
	mintLimit = 10 * time.Second
	// mintPause is when a renewal that failed is tried again, and mintMargin how long a token must
	// live still to be given out.
	mintPause  = 10 * time.Second
	mintMargin = 5 * time.Second
)

// mint makes tokens of ServiceAccounts (TokenRequest), and keeps each for half its life.
type mint struct {
	subresource client.SubResourceClientConstructor
	clock       clock.PassiveClock
	flights     singleflight.Group

	mu     sync.Mutex
	tokens map[string]minted
}

type minted struct {
	token             provider.Secret
	renewAt, expireAt time.Time
}

func newMint(c client.SubResourceClientConstructor, now clock.PassiveClock) *mint {
	return &mint{subresource: c, clock: now, tokens: map[string]minted{}}
}

// token is one of a ServiceAccount, for exactly one audience. From half its life on it is
// renewed behind the caller's back: the API server may be away, or slow, for the other half.
func (m *mint) token(ctx context.Context, namespace, name, audience string) (provider.Secret, error) {
	key := namespace + "/" + name + " " + audience
	now := m.clock.Now()
	have := m.have(key)
	if now.Before(have.renewAt) {
		return have.token, nil
	}
	// Detached: whoever asked first may go away before the others do.
	made := m.flights.DoChan(key, func() (any, error) {
		if now.Before(m.have(key).renewAt) {
			return nil, nil // made since we looked
		}
		return nil, m.make(context.WithoutCancel(ctx), key, namespace, name, audience)
	})
	if now.Before(have.expireAt.Add(-mintMargin)) {
		return have.token, nil
	}
	var err error
	select {
	case result := <-made:
		err = result.Err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("asking for a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return m.have(key).token, nil
}

func (m *mint) have(key string) minted {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[key]
}

// later puts off the renewal of a token that could not be renewed, for as long as it lives.
func (m *mint) later(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, ok := m.tokens[key]; ok {
		have.renewAt = m.clock.Now().Add(mintPause)
		if have.renewAt.After(have.expireAt.Add(-mintMargin)) {
			have.renewAt = have.expireAt.Add(-mintMargin)
		}
		m.tokens[key] = have
	}
}

func (m *mint) make(ctx context.Context, key, namespace, name, audience string) error {
	ctx, cancel := context.WithTimeout(ctx, mintLimit)
	defer cancel()
	asked := m.clock.Now()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: ptr.To(int64(mintLife / time.Second)),
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := m.subresource.SubResource("token").Create(ctx, account, request); err != nil {
		m.later(key)
		return err
	}
	expires := request.Status.ExpirationTimestamp.Time
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, old := range m.tokens { // of ServiceAccounts that nobody asks about any more
		if !asked.Before(old.expireAt) {
			delete(m.tokens, k)
		}
	}
	m.tokens[key] = minted{provider.Secret(request.Status.Token), asked.Add(expires.Sub(asked) / 2), expires}
	return nil
}
