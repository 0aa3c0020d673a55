// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// The attributes of a client that say how it proves itself.
const (
	useKeys      = "use.jwks.string"
	keys         = "jwks.string"
	useKeysURL   = "use.jwks.url"
	signedBy     = "token.endpoint.auth.signing.alg"
	trustsIssuer = "jwt.credential.issuer"
	trustsSub    = "jwt.credential.sub"
)

// signingAlgorithm is the only one that a client's assertions may be signed by (RFC 7518 section 3.1).
const signingAlgorithm = "ES256"

// authenticator is what Keycloak calls a method.
func authenticator(m provider.Method) string {
	switch m {
	case provider.PrivateKeyJWT:
		return "client-jwt"
	case provider.ServiceAccountJWT:
		return "federated-jwt"
	case provider.ClientSecret:
		return "client-secret"
	default:
		return "client-secret"
	}
}

// credentialAttributes are those of the method; the others' are empty, and so removed.
func (s *Server) credentialAttributes(c provider.Credentials) map[string]string {
	a := map[string]string{useKeys: "", keys: "", useKeysURL: "", signedBy: "", trustsIssuer: "", trustsSub: ""}
	switch c.Current.Method {
	case provider.PrivateKeyJWT:
		a[useKeys], a[signedBy] = "true", signingAlgorithm
		if encoded, err := json.Marshal(provider.KeySet(c.At(s.now()).All())); err == nil { // what is no JSON is not sent, see sendable
			a[keys] = string(encoded)
		}
	case provider.ServiceAccountJWT:
		a[trustsIssuer], a[trustsSub] = s.federated, c.Current.Subject
	case provider.ClientSecret:
	}
	return a
}

// credentialDrifted reports whether the server shows another credential, or one that has expired
// there; shown is false where it hides a secret.
func (s *Server) credentialDrifted(ctx context.Context, found *client, c provider.Credentials) (drifted, shown bool, err error) {
	want := s.credentialAttributes(c)
	switch c.Current.Method {
	case provider.PrivateKeyJWT:
		return found.attribute(useKeys) != want[useKeys] || found.attribute(signedBy) != want[signedBy] ||
			!provider.SameKeys([]byte(found.attribute(keys)), []byte(want[keys])), true, nil
	case provider.ServiceAccountJWT:
		return found.attribute(trustsIssuer) != want[trustsIssuer] || found.attribute(trustsSub) != want[trustsSub], true, nil
	case provider.ClientSecret:
	}
	secret, shown, err := s.secretOf(ctx, found)
	return shown && secret != c.Current.Secret || s.ended(found), shown, err
}

// sendable refuses what the server would store as a credential, though it is none, and what it can't have.
func (s *Server) sendable(op string, c provider.Credentials) error {
	for _, each := range c.At(s.now()).All() {
		switch {
		case each.Method == provider.ClientSecret && each.Secret == mask:
			return &provider.Error{Kind: provider.KindInvalid, Op: op, Err: errors.New("what hides a secret is none to send")}
		case each.Method == provider.ServiceAccountJWT && s.federated == "":
			return &provider.Error{
				Kind: provider.KindUnsupported, Op: op,
				Err:    errors.New("the realm knows no identity provider for the tokens of this cluster's ServiceAccounts"),
				Advice: "Have the realm's administrator make an identity provider of type Kubernetes with the cluster's issuer, and name its alias at the server's object.",
			}
		}
		if err := each.Check(op); err != nil {
			return err
		}
	}
	return nil
}
