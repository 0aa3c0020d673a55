// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package providertest is the conformance suite that every dialect passes, on a server of its own
// and on those that stand for it.
package providertest

import (
	"context"
	"net/http"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Harness is a server to run the suite on. All but Hand is data, so that any server can be had from
// the environment. The suite makes clients whose ids begin with ClientIDPrefix, and removes them.
type Harness struct {
	// Dialect under test.
	Dialect provider.Dialect
	// Config of a session that has the rights it needs. The suite opens sessions of it, with the
	// transport of its HTTPClient wrapped.
	Config provider.Config
	// Powerless signs in, and lacks the right to register; nil where there is none.
	Powerless *provider.SignIn
	// TokenClients can get tokens by the client credentials grant: one, or two where the audience
	// hangs on them.
	TokenClients []TokenClient
	// Scopes that may be registered; the token clients may ask for each of them. Empty where scopes
	// decide nothing.
	Scopes []string
	// ClientIDPrefix of the clients that the suite makes.
	ClientIDPrefix string
	// ServiceAccount proves ServiceAccountJWT; nil where there is no cluster.
	ServiceAccount *ServiceAccount
	// Hand is what people do at the server past the operator, where the suite can have it done.
	Hand Hand
	// Slow says that each call takes its time, as at a real server: fewer kinds of trouble are tried.
	Slow bool

	keys *keyring
}

// TokenClient is a client that can get tokens.
type TokenClient struct {
	ID     string
	Secret provider.Secret
}

// ServiceAccount is a Kubernetes ServiceAccount whose issuer the server trusts.
type ServiceAccount struct {
	// Subject is system:serviceaccount:<namespace>:<name>.
	Subject string
	// Token makes a token of it for an audience.
	Token func(t *testing.T, audience string) provider.Secret
}

// Hand is what people do by hand. A nil member can't be done there. They fail the test if they
// can't do what they are for.
type Hand struct {
	// Register makes a registration that bears no mark.
	Register func(t *testing.T, clientID string)
	// Idle makes a registration that bears no mark and can obtain no token.
	Idle func(t *testing.T, clientID string)
	// Disable makes a registration useless without deleting it: Observe sees drift.
	Disable func(t *testing.T, clientID string)
	// Remove deletes a registration.
	Remove func(t *testing.T, clientID string)
	// Registrations counts those with this client id, or all that the server has where it chooses ids
	// and clientID is empty.
	Registrations func(t *testing.T, clientID string) int
	// Revoke revokes a token as the client that got it.
	Revoke func(t *testing.T, by TokenClient, token string)
}

// Owner is the mark that the suite's registrations bear.
const Owner = "suite/shop/orders"

// Allow is a Caller that lets every write through, keeps nothing, and can't prove anything: for tests of
// a dialect that need none of it.
var Allow provider.Caller = allow{} //nolint:gochecknoglobals // it has no state

type allow struct{}

func (allow) Fence(context.Context) error                 { return nil }
func (allow) Keep(context.Context, provider.Issued) error { return nil }
func (allow) Prove(context.Context, provider.Credential) (bool, error) {
	return false, &provider.Error{Kind: provider.KindUnreachable, Op: "prove a credential"}
}

// Wrap is what a test does to the calls of a session.
type Wrap func(http.RoundTripper) http.RoundTripper

// Open opens a session with the harness's server, its transport wrapped; nil wraps nothing.
func (h *Harness) Open(t *testing.T, wrap Wrap) provider.Server {
	t.Helper()
	return h.OpenAs(t, h.Config.SignIn, wrap)
}

// OpenAs is Open with another sign-in.
func (h *Harness) OpenAs(t *testing.T, signIn provider.SignIn, wrap Wrap) provider.Server {
	t.Helper()
	config := h.Config
	config.SignIn = signIn
	client := *config.HTTPClient
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	if wrap != nil {
		client.Transport = wrap(client.Transport)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // as Config demands
	config.HTTPClient = &client
	s, err := h.Dialect.New(config)
	if err != nil {
		t.Fatalf("opening a session: %v", err)
	}
	return s
}
