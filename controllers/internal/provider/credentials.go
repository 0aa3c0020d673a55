// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// Secrets are what no word of the server may repeat.
func (c Credentials) Secrets() []Secret {
	var all []Secret
	for _, each := range c.All() {
		if each.Secret != "" {
			all = append(all, each.Secret)
		}
	}
	return all
}

// At are those that are to work at a time: without a previous one whose end has come. Servers keep an
// end in whole seconds, so that is how it is compared.
func (c Credentials) At(now time.Time) Credentials {
	if c.Previous != nil && !c.PreviousEnds.IsZero() && c.PreviousEnds.Unix() <= now.Unix() {
		c.Previous, c.PreviousEnds = nil, time.Time{}
	}
	return c
}

// Check is an *Error if there is nothing to send, or what must not be sent: servers store an empty secret
// as they are told, and a private key is nobody's but the client's. It asks for a secret also where a
// server is to choose one.
func (c Credential) Check(op string) error {
	invalid := func(why string) error { return &Error{Kind: KindInvalid, Op: op, Err: errors.New(why)} }
	switch c.Method {
	case ClientSecret:
		if c.Secret == "" {
			return invalid("there is no secret to send")
		}
	case PrivateKeyJWT:
		var members map[string]json.RawMessage
		if err := json.Unmarshal(c.PublicKey, &members); err != nil || len(members["kty"]) == 0 {
			return invalid("there is no public key to send")
		}
		if slices.ContainsFunc(privateMembers(), func(name string) bool { return len(members[name]) > 0 }) {
			return invalid("a private key is not sent")
		}
	case ServiceAccountJWT:
		if c.Subject == "" {
			return invalid("there is no ServiceAccount to trust")
		}
	default:
		return &Error{Kind: KindUnsupported, Op: op, Err: fmt.Errorf("no client can prove itself by %q", c.Method)}
	}
	return nil
}
