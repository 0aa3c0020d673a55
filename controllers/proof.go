// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

// proofOf makes what an introspection signs in with: for the verification here, and in
// the webhook for every question. issuer is the audience of assertions, and namespace
// where the clients' ServiceAccounts are.
func proofOf(c credential.ServerCredential, issuer, namespace string, tokens *mint) (introspect.Credential, error) {
	proof := introspect.Credential{ClientID: c.ClientID}
	switch {
	case c.PrivateKey != "":
		key, err := introspect.ParseKey([]byte(c.PrivateKey.Reveal()), c.KeyID)
		if err != nil {
			return introspect.Credential{}, fmt.Errorf("reading a client's key: %w", err)
		}
		proof.Key = key
	case c.ServiceAccount != "":
		proof.Assertion = &introspect.Assertion{ID: c.ServiceAccount, Source: func(ctx context.Context) (introspect.Secret, error) {
			token, err := tokens.token(ctx, namespace, c.ServiceAccount, issuer)
			return introspect.Secret(token.Reveal()), err
		}}
	default:
		proof.Secret = introspect.Secret(c.Secret.Reveal())
	}
	return proof, nil
}

// assertion signs in as the operator's own client, with its key.
func (s *sessions) assertion(v credential.Value, issuer string) (func(context.Context) (provider.Secret, error), error) {
	key, err := introspect.ParseKey([]byte(v.PrivateKey.Reveal()), v.KeyID)
	if err != nil {
		return nil, err
	}
	return func(context.Context) (provider.Secret, error) {
		signed, err := key.Assertion(v.ClientID, issuer, s.clock.Now())
		return provider.Secret(signed.Reveal()), err
	}, nil
}
