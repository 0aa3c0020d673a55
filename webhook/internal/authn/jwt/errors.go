// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import "github.com/introspection-dev/introspection-operator/webhook/token"

// Refused says that the token is no good. It holds no claim and nothing of the token.
type Refused struct { //nolint:errname // an outcome: jwt.Refused says what callers ask
	Reason token.Reason
	// Message is the reason in words, fit for error_description (RFC 6750 section 3).
	Message string
}

// Error is the message.
func (r *Refused) Error() string { return r.Message }

func refuse(reason token.Reason, message string) *Refused {
	return &Refused{Reason: reason, Message: message}
}

// Unavailable says that the issuer's keys can't be had, or are too old: whether a token
// is good, nobody can tell. It is never to be taken for a refusal.
type Unavailable struct { //nolint:errname // an outcome: jwt.Unavailable says what callers ask
	// Issuer whose keys they are.
	Issuer string
	// Err is the cause.
	Err error
}

// Error names the issuer and the cause.
func (u *Unavailable) Error() string {
	return "fetching the signing keys of " + u.Issuer + ": " + u.Err.Error()
}

// Unwrap is the cause.
func (u *Unavailable) Unwrap() error { return u.Err }
