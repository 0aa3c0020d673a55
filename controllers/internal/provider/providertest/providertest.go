// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package providertest is the conformance suite that every provider passes, on
// a server of its own and on fakes of it.
package providertest

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Harness is a server, a session with it and what people do there past the
// operator. The functions fail the test if they can't do what they are for.
type Harness struct {
	// Server is the session under test, with the rights it needs.
	Server provider.Server
	// TokenClients are two clients that can get tokens.
	TokenClients [2]string
	// Token gets an access token by a token client, asking for scope.
	Token func(t *testing.T, tokenClient, scope string) string
	// Introspect asks about a token with a client's credentials: whether they were accepted, and
	// whether the token is active.
	Introspect func(t *testing.T, clientID string, secret provider.Secret, token string) (accepted, active bool)
	// Register makes a registration that bears no mark.
	Register func(t *testing.T, clientID string)
	// Disable disables a registration by hand.
	Disable func(t *testing.T, clientID string)
	// Remove deletes a registration by hand.
	Remove func(t *testing.T, clientID string)
}

// Allow is a fence that lets everything through.
func Allow(context.Context) error { return nil }

// Owner is the mark that the suite's registrations bear.
const Owner = "suite/shop/orders"

// Desired is a registration without a mapping.
func Desired(clientID string) provider.Desired {
	return provider.Desired{
		Identity:    provider.Identity{ClientID: clientID, Owner: Owner},
		DisplayName: "Orders API", Secret: provider.Secret("secret-of-" + clientID),
		Audience: provider.Audience{Mode: provider.AudienceUnmanaged},
	}
}

type row struct {
	reason string
	test   func(t *testing.T, h Harness, clientID string)
}

// Run runs the suite. It leaves nothing at the server but what it found.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, r := range rows() {
		t.Run(name, func(t *testing.T) {
			t.Log(r.reason)
			clientID := "conformance." + name
			t.Cleanup(func() { remove(t, h, Desired(clientID)) })
			r.test(t, h, clientID)
		})
	}
}

func rows() map[string]row {
	all := registrationRows()
	maps.Copy(all, audienceRows())
	return all
}

func create(t *testing.T, h Harness, d provider.Desired) provider.Registration {
	t.Helper()
	got, err := h.Server.Create(t.Context(), d, Allow)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if got.RegistrationID == "" {
		t.Fatal("Create returned no registration id")
	}
	return got
}

func observe(t *testing.T, h Harness, d provider.Desired) provider.Observation {
	t.Helper()
	got, err := h.Server.Observe(t.Context(), d)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return got
}

func wantKind(t *testing.T, err error, want provider.Kind) {
	t.Helper()
	_ = errorOf(t, err, want)
}

func errorOf(t *testing.T, err error, want provider.Kind) *provider.Error {
	t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != want {
		t.Fatalf("error %v, want one of kind %d", err, want)
	}
	return e
}
