// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Value is one credential, with what is secret of it. It is one of a secret, a
// private key and a ServiceAccount.
type Value struct {
	// Secret is a shared one; empty, with nothing else set, while the server has
	// yet to choose it.
	Secret provider.Secret
	// PrivateKey is a PEM file with an EC key, and KeyID the name that the server knows it by.
	PrivateKey provider.Secret
	KeyID      string
	// ServiceAccount is the name of one in the webhook's namespace.
	ServiceAccount string
	// ClientID goes with it, where it is not the record's: a credential that a user brought.
	ClientID string
	// Version is the brought Secret's resourceVersion: which of several it is. Its fingerprint would
	// give a weak secret away.
	Version string
	// TakenIn says that people made it, of a client that was adopted: it may be as weak as one that was brought.
	TakenIn  bool
	IssuedAt time.Time
	// ExpiresAt is when the server ends it; zero for never.
	ExpiresAt time.Time
}

// Method is how it is used.
func (v Value) Method() provider.Method {
	switch {
	case v.PrivateKey != "":
		return provider.PrivateKeyJWT
	case v.ServiceAccount != "":
		return provider.ServiceAccountJWT
	default:
		return provider.ClientSecret
	}
}

// Known says that there is something to prove it by.
func (v Value) Known() bool { return v.Secret != "" || v.PrivateKey != "" || v.ServiceAccount != "" }

// ID tells values apart without giving them away; empty while there is none.
func (v Value) ID() string {
	switch {
	case v.PrivateKey != "":
		return v.KeyID
	case v.ServiceAccount != "":
		return v.ServiceAccount
	case v.Secret != "":
		return v.Fingerprint()
	default:
		return ""
	}
}

// Fingerprint is the start of the SHA-256 of what is secret: that is random, 256 bits.
func (v Value) Fingerprint() string {
	sum := sha256.Sum256([]byte(cmp.Or(v.Secret.Reveal(), v.PrivateKey.Reveal(), v.ServiceAccount)))
	return hex.EncodeToString(sum[:6])
}

// IsBrought says that a user brought it.
func (v Value) IsBrought() bool { return v.ClientID != "" }

// Same says that two values prove the same client in the same way.
func (v Value) Same(other Value) bool {
	return v.Secret == other.Secret && v.PrivateKey == other.PrivateKey && v.KeyID == other.KeyID &&
		v.ServiceAccount == other.ServiceAccount && v.ClientID == other.ClientID
}

// AtServer is the value as the server knows it. webhookNamespace is where the
// ServiceAccounts are.
func (v Value) AtServer(webhookNamespace string) (provider.Credential, error) {
	c := provider.Credential{Method: v.Method(), ID: v.ID(), Secret: v.Secret, IssuedAt: v.IssuedAt}
	switch {
	case v.PrivateKey != "":
		public, err := publicJWK(v.PrivateKey, v.KeyID)
		if err != nil {
			return provider.Credential{}, err
		}
		c.PublicKey = public
	case v.ServiceAccount != "":
		c.Subject = fmt.Sprintf("system:serviceaccount:%s:%s", webhookNamespace, v.ServiceAccount)
	}
	return c, nil
}

// valueWire is the stored form.
type valueWire struct {
	Secret         string    `json:"secret,omitempty"`
	PrivateKey     string    `json:"privateKey,omitempty"`
	KeyID          string    `json:"keyID,omitempty"`
	ServiceAccount string    `json:"serviceAccount,omitempty"`
	ClientID       string    `json:"clientID,omitempty"`
	Version        string    `json:"version,omitempty"`
	TakenIn        bool      `json:"takenIn,omitempty"`
	IssuedAt       time.Time `json:"issuedAt"`
	ExpiresAt      time.Time `json:"expiresAt,omitzero"`
}

func wireOf(v *Value) *valueWire {
	if v == nil {
		return nil
	}
	return &valueWire{
		Secret: v.Secret.Reveal(), PrivateKey: v.PrivateKey.Reveal(), KeyID: v.KeyID,
		ServiceAccount: v.ServiceAccount, ClientID: v.ClientID, Version: v.Version, TakenIn: v.TakenIn, IssuedAt: v.IssuedAt, ExpiresAt: v.ExpiresAt,
	}
}

func (w *valueWire) value() *Value {
	if w == nil {
		return nil
	}
	return &Value{
		Secret: provider.Secret(w.Secret), PrivateKey: provider.Secret(w.PrivateKey), KeyID: w.KeyID,
		ServiceAccount: w.ServiceAccount, ClientID: w.ClientID, Version: w.Version, TakenIn: w.TakenIn, IssuedAt: w.IssuedAt, ExpiresAt: w.ExpiresAt,
	}
}
