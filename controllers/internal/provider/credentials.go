// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"log/slog"
	"time"
)

// Secret is a value that no log, error or status may show.
type Secret string

// String hides the value.
func (Secret) String() string { return "[secret]" }

// GoString hides the value.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the value.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalJSON hides the value. Whoever must send it calls Reveal.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

// Method is how a client proves itself at the server.
type Method string

const (
	// ClientSecret is a shared secret (RFC 6749 section 2.3.1).
	ClientSecret Method = "ClientSecret"
	// PrivateKeyJWT is an assertion signed by the client's key (RFC 7523 section 2.2).
	PrivateKeyJWT Method = "PrivateKeyJWT"
	// ServiceAccountJWT is a Kubernetes ServiceAccount's token as the assertion.
	ServiceAccountJWT Method = "ServiceAccountJWT"
)

// Credential is one thing that a client proves itself with, as the server knows it.
type Credential struct {
	Method Method
	// ID tells the client's credentials apart: it is made of the value, so that another value
	// never has it. At most 64 characters; the kid of a key.
	ID string
	// Secret of ClientSecret; empty where the server is to choose one.
	Secret Secret
	// PublicKey of PrivateKeyJWT is a JWK with kid, alg and use (RFC 7517).
	PublicKey json.RawMessage
	// Subject of ServiceAccountJWT: system:serviceaccount:<namespace>:<name>.
	Subject string
	// IssuedAt is when it was made.
	IssuedAt time.Time
}

// Credentials are those that the server shall accept.
type Credentials struct {
	Current Credential
	// Previous goes on beside Current until PreviousEnds; nil for none. It has the same method.
	Previous *Credential
	// PreviousEnds is a hard end; zero while there is none yet.
	PreviousEnds time.Time
}

// All are the current one and the previous one, if there is one.
func (c Credentials) All() []Credential {
	if c.Previous == nil {
		return []Credential{c.Current}
	}
	return []Credential{c.Current, *c.Previous}
}
