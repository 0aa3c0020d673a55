// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider is the contract between the controllers and the registration
// API of an authorization server. An implementation knows HTTP and its server's
// dialect; it knows nothing of Kubernetes.
package provider

import (
	"context"
	"log/slog"
)

// Registrar registers introspection clients at one authorization server. Every
// method can be called again after any interruption: what was done stays done,
// and nothing is done twice. Errors are *Error.
type Registrar interface {
	// Observe looks the client up, live, by its exact client id (and by its registration id, if
	// that is known), and compares it with what is desired. Absence is Observation.Exists false and
	// no error; it is reported only when the server said so, never for 401, 403 or trouble.
	Observe(ctx context.Context, desired Desired) (Observation, error)

	// Create registers the client. When the answer is lost or says that there is one already, it
	// looks again: a registration that bears our owner mark is success, another one an *Error of
	// kind Conflict.
	Create(ctx context.Context, desired Desired, fence Fence) (Registration, error)

	// Update puts the managed fields right that observed.Drift names, and touches nothing else.
	Update(ctx context.Context, desired Desired, observed Observation, fence Fence) (Registration, error)

	// MapAudience makes new tokens of the token clients name the client in `aud`, as
	// desired.Audience says, and unmaps what it mapped before and is no longer asked for.
	MapAudience(ctx context.Context, desired Desired, fence Fence) (AudienceReport, error)

	// Delete removes the mapping and the registration if they bear the owner mark. What is gone
	// already is success; what is somebody else's is left alone, and is success too.
	Delete(ctx context.Context, identity Identity, fence Fence) error
}

// Server is a Registrar that can say how it stands with its server.
type Server interface {
	Registrar
	// Probe signs in and finds out the rights and capabilities. It writes nothing.
	Probe(ctx context.Context) (Report, error)
}

// Fence is called before each write at the server. An error means that the plan
// is out of date: the write is not made and the error is returned as it is.
type Fence func(ctx context.Context) error

// Secret is a client secret. It never prints.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the secret from structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalJSON hides the secret from a structure that is printed. Requests are
// built with Reveal.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// Reveal is the secret itself, for a request's body or header.
func (s Secret) Reveal() string { return string(s) }

// Identity is how a registration is found again.
type Identity struct {
	// ClientID is the OAuth client id, compared exactly.
	ClientID string
	// RegistrationID is the server's own id, empty if it is not known.
	RegistrationID string
	// Owner is our mark at the registration: instance/namespace/name.
	Owner string
}

// Desired is a registration as it should be.
type Desired struct {
	Identity
	// DisplayName is the name for people; empty means the client id.
	DisplayName string
	// Secret is the client's secret.
	Secret Secret
	// Audience is the mapping onto the token clients.
	Audience Audience
}

// AudienceMode is how an audience is mapped.
type AudienceMode string

const (
	// AudienceDefault maps onto every new token.
	AudienceDefault AudienceMode = "Default"
	// AudienceOnRequest maps onto tokens that ask for it.
	AudienceOnRequest AudienceMode = "OnRequest"
	// AudienceUnmanaged maps nothing, and unmaps nothing.
	AudienceUnmanaged AudienceMode = "Unmanaged"
)

// Audience says which clients' tokens shall name the API.
type Audience struct {
	Mode AudienceMode
	// TokenClients are client ids at the same server.
	TokenClients []string
	// MaxPerTokenClient is how many audiences may be mapped as Default onto one token client.
	MaxPerTokenClient int
}

// Observation is a registration as it is.
type Observation struct {
	// Exists is false only when the server said that there is none.
	Exists bool
	// RegistrationID is the server's own id.
	RegistrationID string
	// Owner is the owner mark found, empty if there is none.
	Owner string
	// Drift names the managed fields that differ, never their values; empty when all is well. A
	// secret that the server does not show is no drift.
	Drift []string
}

// DriftSecret stands in Observation.Drift for the client's secret. Who knows that
// the server refuses the secret, while it does not show it, adds it.
const DriftSecret = "secret"

// Registration is what a write left behind.
type Registration struct {
	// RegistrationID is the server's own id.
	RegistrationID string
}

// AudienceReport is what MapAudience did.
type AudienceReport struct {
	// Scope is the name of the client scope that maps the audience, empty where the server has no
	// such thing or the mode is Unmanaged.
	Scope string
	// Repaired names what had to be put right, for an Event; empty when all was well.
	Repaired []string
}

// Report is how it stands with a server.
type Report struct {
	// Provider is the dialect, for example keycloak.
	Provider string
	// Rights is Manage if the sign-in is known to be allowed to manage clients, else Unknown.
	Rights string
}

const (
	// RightsManage means: the sign-in's token names the right to manage clients.
	RightsManage = "Manage"
	// RightsUnknown means: the token does not say.
	RightsUnknown = "Unknown"
)
