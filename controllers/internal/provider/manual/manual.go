// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manual is for servers where people register the clients themselves, and bring the credentials. Nothing is asked
// of the server, and nothing is changed at it: whether the credentials are good is for the introspection endpoint to say.
package manual

import (
	"context"
	"errors"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Dialect is that of no registration at all.
func Dialect() provider.Dialect {
	return provider.Dialect{Name: "manual", Capabilities: capabilities(), New: New}
}

func capabilities() provider.Capabilities {
	return provider.Capabilities{
		Methods: []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT},
		// Whoever brings the credential knows what the server does with the one before it.
		Overlap:          provider.OverlapNone,
		ClientIDs:        provider.ByUser,
		Read:             provider.Unsupported,
		Update:           provider.Unsupported,
		Delete:           provider.Unsupported,
		Disable:          provider.Unsupported,
		Restore:          provider.Unsupported,
		AudienceModes:    []provider.AudienceMode{provider.AudienceUnmanaged},
		AudienceCheck:    provider.CheckUnknown,
		ScopeCheck:       provider.CheckUnknown,
		OpaqueTokens:     provider.SupportUnknown,
		JWTs:             provider.SupportUnknown,
		OpaqueRevocation: provider.RevocationUnknown,
		JWTRevocation:    provider.RevocationUnknown,
	}
}

// New opens a session that needs nothing of its configuration.
func New(provider.Config) (provider.Server, error) { return server{}, nil }

type server struct{}

// Observe implements provider.Registrar: what somebody brought is there, ours to use, and as it should be.
func (server) Observe(_ context.Context, d provider.Desired, _ provider.Caller) (provider.Observation, error) {
	return provider.Observation{Exists: true, RegistrationID: d.RegistrationID, Owner: d.Owner, Overlap: provider.OverlapNone}, nil
}

// Create implements provider.Registrar. It does nothing.
func (server) Create(_ context.Context, d provider.Desired, _ provider.Caller) (provider.Registration, error) {
	return provider.Registration{RegistrationID: d.RegistrationID}, nil
}

// Update implements provider.Registrar. It does nothing.
func (server) Update(_ context.Context, d provider.Desired, _ provider.Observation, _ provider.Caller) (provider.Registration, error) {
	return provider.Registration{RegistrationID: d.RegistrationID}, nil
}

// Delete implements provider.Registrar. It does nothing: the registration is its maker's.
func (server) Delete(context.Context, provider.Desired, provider.Caller) error { return nil }

// Adopt implements provider.Adopter: what people registered stays theirs.
func (server) Adopt(context.Context, provider.Desired, provider.Caller) (provider.Registration, error) {
	return provider.Registration{}, &provider.Error{
		Kind: provider.KindUnsupported, Op: "adopt client", Err: errors.New("nothing is registered here by the operator, so nothing is taken over"),
		Advice: "Bring the client's credential in spec.existingSecretName.",
	}
}

// MapAudience implements provider.AudienceMapper. It does nothing.
func (server) MapAudience(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error) {
	return provider.AudienceReport{}, nil
}

// Rotate implements provider.Rotator: the credential is whoever's who brings the next one.
func (server) Rotate(context.Context, provider.Desired, provider.Caller) (provider.Rotation, error) {
	return provider.Rotation{Overlap: provider.OverlapNone}, nil
}

// Probe implements provider.Prober. Nobody signs in.
func (server) Probe(context.Context) (provider.Report, error) {
	return provider.Report{Rights: provider.RightsUnknown, Capabilities: capabilities()}, nil
}
