// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

const redacted = "[secret]"

// Secret is a client secret, or an assertion. It never prints, whatever the verb: the only
// way to its value is Reveal.
type Secret string

// Reveal is the secret, for a request or a hash.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (Secret) String() string { return redacted }

// Format hides the secret from every verb: fmt prints a string's value for a verb that
// it does not know.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the secret from structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the secret from JSON.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Credential is what we sign in with at the introspection endpoint: exactly one of Secret,
// Key and Assertion is set. Whether two are the same their Fingerprints say.
type Credential struct {
	// ClientID is the OAuth client id. A server that takes an Assertion goes by its subject.
	ClientID string
	// Secret is sent by HTTP Basic (RFC 6749 section 2.3.1).
	Secret Secret
	// Key signs an assertion for each call (private_key_jwt, RFC 7523 section 2.2).
	Key *Key
	// Assertion is a token of somebody whom the server trusts in our place (RFC 7523 section
	// 2.2): a Kubernetes ServiceAccount's.
	Assertion *Assertion
}

// Assertion is a token that is good for many calls.
type Assertion struct {
	// ID says whose it is: another subject's has another one.
	ID string
	// Source has the token.
	Source AssertionSource
}

// AssertionSource is the token that is good now. It may block, and ends with ctx. Its error
// says that nobody could tell; it holds no part of a token.
type AssertionSource func(ctx context.Context) (Secret, error)

// now does not wrap the source's error: whatever that wraps is no word of the server we ask.
func (a *Assertion) now(ctx context.Context) (Secret, error) {
	assertion, err := a.Source(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("getting the token to sign in with: %w", ctx.Err())
	case err != nil:
		return "", errors.New("getting the token to sign in with: " + err.Error())
	case assertion == "":
		return "", errors.New("getting the token to sign in with: there is none")
	}
	return assertion, nil
}

// Fingerprint tells credentials apart by their content. It is not for logs: a weak secret
// could be guessed from it.
func (c Credential) Fingerprint() [sha256.Size]byte {
	parts := []string{"secret", c.ClientID, c.Secret.Reveal()}
	switch {
	case c.Assertion != nil:
		parts = []string{"assertion", c.ClientID, c.Assertion.ID}
	case c.Key != nil:
		parts = []string{"key", c.ClientID, c.Key.id, string(c.Key.public)}
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q", parts)) // quoted: no two lists run into one
}

// String is the client id.
func (c Credential) String() string { return c.ClientID + ":" + redacted }

// Format is the client id, whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue is the client id.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is the client id.
func (c Credential) MarshalJSON() ([]byte, error) {
	return json.Marshal(c.String())
}

// basic is the Authorization header: both parts are form-encoded first (RFC 6749
// section 2.3.1). Keycloak answers 400 to a raw percent sign.
func (c Credential) basic() string {
	pair := url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.Secret.Reveal())
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}
