// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// NewValue makes a secret of 256 random bits, in characters that need no
// encoding in a form, a header, an environment or a URL.
func NewValue(now time.Time) Value {
	return Value{Secret: provider.Secret(random(secretBytes)), IssuedAt: now.UTC().Truncate(time.Second)}
}

// IsOfOurs says that a secret has the shape of those that NewValue makes: a tenant
// may have put another, weaker one where it is read back from.
func IsOfOurs(s provider.Secret) bool {
	b, err := base64.RawURLEncoding.DecodeString(s.Reveal())
	return err == nil && len(b) == secretBytes
}

// secretBytes are the random bytes of a secret.
const secretBytes = 32

// New makes a value for a method. A secret that the server chooses is not there yet.
// object is what it is for.
func New(method provider.Method, chosenByServer bool, object Object, now time.Time) (Value, error) {
	at := now.UTC().Truncate(time.Second)
	switch {
	case method == provider.PrivateKeyJWT:
		return newKey(at)
	case method == provider.ServiceAccountJWT:
		return Value{ServiceAccount: ServiceAccountName(object), IssuedAt: at}, nil
	case chosenByServer:
		return Value{IssuedAt: at}, nil
	default:
		return NewValue(now), nil
	}
}

// NewFence makes a value that no other fence has.
func NewFence() string { return random(12) }

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: without randomness it ends the process
	return base64.RawURLEncoding.EncodeToString(b)
}
