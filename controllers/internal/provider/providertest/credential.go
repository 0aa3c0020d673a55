// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// random is 256 bits in 43 characters.
func random() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// idOf makes a credential's id of its value.
func idOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return "suite-" + hex.EncodeToString(sum[:8])
}

// NewSecret is a credential of method ClientSecret, with a value of its own.
func (h *Harness) NewSecret() provider.Credential { return h.secretOf(random()) }

func (h *Harness) secretOf(value string) provider.Credential {
	return provider.Credential{
		Method: provider.ClientSecret, ID: idOf(value), Secret: provider.Secret(value), IssuedAt: h.Config.Clock(),
	}
}

// keyring keeps the private keys of the suite's clients, by Credential.ID.
type keyring struct {
	mu   sync.Mutex
	keys map[string]*ecdsa.PrivateKey
}

func (r *keyring) put(id string, key *ecdsa.PrivateKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[string]*ecdsa.PrivateKey{}
	}
	r.keys[id] = key
}

func (r *keyring) get(id string) *ecdsa.PrivateKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[id]
}

// NewKey is a credential of method PrivateKeyJWT; the harness keeps the private key to sign with.
func (h *Harness) NewKey(t *testing.T) provider.Credential {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	shape, err := public.MarshalJSON()
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	public.KeyID = idOf(string(shape))
	encoded, err := public.MarshalJSON()
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	h.ring().put(public.KeyID, key)
	return provider.Credential{
		Method: provider.PrivateKeyJWT, ID: public.KeyID, PublicKey: json.RawMessage(encoded), IssuedAt: h.Config.Clock(),
	}
}

func (h *Harness) ring() *keyring {
	if h.keys == nil {
		h.keys = &keyring{}
	}
	return h.keys
}

const assertionLife = time.Minute

// assertion is a client's proof of one use (RFC 7523 section 3), for the issuer as audience.
func (h *Harness) assertion(clientID, keyID string) (string, error) {
	key := h.ring().get(keyID)
	if key == nil {
		return "", fmt.Errorf("the suite has no private key %s", keyID)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: keyID}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
	}
	now := h.Config.Clock()
	claims, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": clientID, "aud": h.Config.Issuer, "jti": random(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("encoding an assertion: %w", err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed.CompactSerialize()
}
