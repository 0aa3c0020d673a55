// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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
		set := jwks{}
		for _, k := range s.standing(c).All() {
			set.Keys = append(set.Keys, k.PublicKey)
		}
		a[useKeys], a[signedBy] = "true", signingAlgorithm
		if encoded, err := json.Marshal(set); err == nil { // what is no JSON is not sent, see sendable
			a[keys] = string(encoded)
		}
	case provider.ServiceAccountJWT:
		a[trustsIssuer], a[trustsSub] = s.federated, c.Current.Subject
	case provider.ClientSecret:
	}
	return a
}

// standing are the credentials that are to work now: without a previous one whose end has come.
func (s *Server) standing(c provider.Credentials) provider.Credentials {
	if c.Previous != nil && !c.PreviousEnds.IsZero() && c.PreviousEnds.Unix() <= s.now().Unix() {
		c.Previous = nil
	}
	return c
}

// credentialDrifted reports whether the server shows another credential, or one that has expired
// there; shown is false where it hides a secret.
func (s *Server) credentialDrifted(ctx context.Context, found *client, c provider.Credentials) (drifted, shown bool, err error) {
	want := s.credentialAttributes(c)
	switch c.Current.Method {
	case provider.PrivateKeyJWT:
		return found.attribute(useKeys) != want[useKeys] || found.attribute(signedBy) != want[signedBy] ||
			!sameKeys(found.attribute(keys), want[keys]), true, nil
	case provider.ServiceAccountJWT:
		return found.attribute(trustsIssuer) != want[trustsIssuer] || found.attribute(trustsSub) != want[trustsSub], true, nil
	case provider.ClientSecret:
	}
	secret, shown, err := s.secretOf(ctx, found)
	return shown && secret != c.Current.Secret || s.ended(found), shown, err
}

// sameKeys compares sets of keys by the members of each, whatever their order and layout.
func sameKeys(a, b string) bool {
	x, errX := normalKeys(a)
	y, errY := normalKeys(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}

func normalKeys(set string) ([]string, error) {
	var found jwks
	if err := json.Unmarshal([]byte(set), &found); err != nil {
		return nil, fmt.Errorf("reading a set of keys: %w", err)
	}
	var normal []string
	for _, k := range found.Keys {
		var members map[string]any
		if err := json.Unmarshal(k, &members); err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		sorted, err := json.Marshal(members) // maps are written by the order of their keys
		if err != nil {
			return nil, fmt.Errorf("writing a key: %w", err)
		}
		normal = append(normal, string(sorted))
	}
	slices.Sort(normal)
	return normal, nil
}

// sendable refuses what the server would store as a credential, though it is none, and what it can't have.
func (s *Server) sendable(op string, c provider.Credentials) error {
	for _, each := range s.standing(c).All() {
		if err := s.isSendable(op, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) isSendable(op string, c provider.Credential) error {
	invalid := func(why string) error {
		return &provider.Error{Kind: provider.KindInvalid, Op: op, Err: errors.New(why)}
	}
	switch c.Method {
	case provider.ClientSecret:
		if c.Secret == "" || c.Secret == mask {
			return invalid("there is no secret to send")
		}
	case provider.PrivateKeyJWT:
		var key struct {
			Type    string          `json:"kty"`
			Private json.RawMessage `json:"d"`
			Shared  json.RawMessage `json:"k"`
		}
		if err := json.NewDecoder(bytes.NewReader(c.PublicKey)).Decode(&key); err != nil || key.Type == "" {
			return invalid("there is no public key to send")
		}
		if len(key.Private) > 0 || len(key.Shared) > 0 {
			return invalid("a private key is not sent")
		}
	case provider.ServiceAccountJWT:
		if s.federated == "" {
			return &provider.Error{
				Kind: provider.KindUnsupported, Op: op,
				Err:    errors.New("the realm knows no identity provider for the tokens of this cluster's ServiceAccounts"),
				Advice: "Have the realm's administrator make an identity provider of type Kubernetes with the cluster's issuer, and name its alias at the server's object.",
			}
		}
		if c.Subject == "" {
			return invalid("there is no ServiceAccount to trust")
		}
	default:
		return &provider.Error{Kind: provider.KindUnsupported, Op: op, Err: fmt.Errorf("no client of Keycloak can prove itself by %q", c.Method)}
	}
	return nil
}
