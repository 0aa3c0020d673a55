// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

const redacted = "[secret]"

// Secret is a client secret. It never prints, whatever the verb: the only way to its
// value is Reveal.
type Secret string

// Reveal is the secret, for an Authorization header or a hash.
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

// Credential is what we sign in with at the introspection endpoint. It is comparable.
type Credential struct {
	ClientID string
	Secret   Secret
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
