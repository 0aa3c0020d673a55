// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// newKey makes an ES256 key. Its id is the thumbprint (RFC 7638), so that no other
// key has it.
func newKey(at time.Time) (Value, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Value{}, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Value{}, fmt.Errorf("encoding a key: %w", err)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return Value{}, fmt.Errorf("naming a key: %w", err)
	}
	return Value{
		PrivateKey: provider.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		KeyID:      base64.RawURLEncoding.EncodeToString(thumbprint), IssuedAt: at,
	}, nil
}

// ErrKey is all that is said of a private key that can't be used.
var ErrKey = errors.New("the private key is no PEM file with an EC key of curve P-256")

// publicJWK is the public half of a key (RFC 7517), as a server registers it.
func publicJWK(private provider.Secret, id string) (json.RawMessage, error) {
	key, err := parseKey(private)
	if err != nil {
		return nil, err
	}
	jwk := jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
	encoded, err := jwk.MarshalJSON()
	if err != nil {
		return nil, ErrKey
	}
	return encoded, nil
}

// parseKey reads PKCS #8 or SEC 1. Its error tells nothing of what is in it.
func parseKey(private provider.Secret) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(private.Reveal()))
	if block == nil {
		return nil, ErrKey
	}
	var key any
	var err error
	if block.Type == "EC PRIVATE KEY" {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok || ec.Curve != elliptic.P256() {
		return nil, ErrKey
	}
	return ec, nil
}
