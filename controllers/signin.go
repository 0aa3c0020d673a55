// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// controllerServiceAccount is the operator's own, in its namespace.
const controllerServiceAccount = "controller"

// keyToken is the key of an initial access token.
const keyToken = "token"

// signedIn is how the operator signs in at a server, and whether that changed.
type signedIn struct {
	provider.SignIn

	fingerprint string
}

// signIn reads how the operator signs in at a server.
func (s *sessions) signIn(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer) (signedIn, error) {
	c := server.Spec.Credentials
	switch {
	case c == nil:
		return signedIn{}, nil // Manual, or a server where anybody may register
	case c.ServiceAccountToken == v1alpha1.ServiceAccountTokenEnabled:
		return s.ownServiceAccount(server), nil
	case c.InitialAccessToken != nil:
		return s.initialAccessToken(ctx, c.InitialAccessToken.SecretName)
	case c.ClientCredentials != nil:
		return s.clientCredentials(ctx, server.Spec.Issuer, c.ClientCredentials.SecretName)
	default:
		return signedIn{}, nil
	}
}

// ownServiceAccount signs in by the token of the operator's own ServiceAccount.
func (s *sessions) ownServiceAccount(server *v1alpha1.ClusterAuthorizationServer) signedIn {
	alias := server.Spec.Keycloak.ServiceAccountIssuer // the schema asks for both
	return signedIn{provider.SignIn{
		Assertion: func(ctx context.Context) (provider.Secret, error) {
			return s.mint.token(ctx, s.namespace, controllerServiceAccount, server.Spec.Issuer)
		},
		Advice: fmt.Sprintf("The realm needs a client of type Signed JWT - Federated with issuer %s and subject system:serviceaccount:%s:%s, and an identity provider %s of type Kubernetes that can fetch this cluster's keys.",
			alias, s.namespace, controllerServiceAccount, alias),
	}, "serviceaccount"}
}

func (s *sessions) initialAccessToken(ctx context.Context, name string) (signedIn, error) {
	data, err := s.data(ctx, "Secret", name)
	if err != nil {
		return signedIn{}, err
	}
	token := strings.TrimSpace(string(data[keyToken]))
	if token == "" {
		return signedIn{}, userMustAct(v1alpha1.ReasonSecretNotFound, "Secret %s/%s has no key %s, the initial access token of the server (RFC 7591 section 3.1).", s.namespace, name, keyToken)
	}
	return signedIn{provider.SignIn{InitialAccessToken: provider.Secret(token)}, fingerprintOf(token)}, nil
}

func (s *sessions) clientCredentials(ctx context.Context, issuer, name string) (signedIn, error) {
	data, err := s.data(ctx, "Secret", name)
	if err != nil {
		return signedIn{}, err
	}
	value, err := credential.Brought(data)
	if errors.Is(err, credential.ErrNotACredential) {
		return signedIn{}, userMustAct(v1alpha1.ReasonSecretNotFound,
			"Secret %s/%s can't be used to sign in: %v. It needs client_id and client_secret of the client that the operator signs in with, or client_id, private_key.pem and key_id.", s.namespace, name, err)
	}
	if err != nil {
		return signedIn{}, err
	}
	in := provider.SignIn{ClientID: value.ClientID, Secret: value.Secret}
	if value.PrivateKey != "" {
		in.Advice = fmt.Sprintf("The client %s must be registered with the public half of the key in Secret %s/%s, under its key_id.", value.ClientID, s.namespace, name)
		if in.Assertion, err = s.assertion(value, issuer); err != nil {
			return signedIn{}, userMustAct(v1alpha1.ReasonSecretNotFound, "Secret %s/%s can't be used to sign in: %v.", s.namespace, name, err)
		}
	}
	return signedIn{in, fingerprintOf(value.ClientID, value.Secret.Reveal(), value.PrivateKey.Reveal(), value.KeyID)}, nil
}

// fingerprintOf tells sign-ins apart.
func fingerprintOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
