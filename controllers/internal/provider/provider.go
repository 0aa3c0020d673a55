// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider is the contract between the operator and the authorization servers that
// clients are registered with, and what the dialects share: errors, calls, sign-in, limits,
// metadata. A dialect is a package below this one: it has a Dialect that passes providertest, and a line in
// package all.
package provider

import (
	"context"
	"net/http"
	"time"
)

// Dialect is one kind of authorization server.
type Dialect struct {
	// Name of the dialect, for example keycloak.
	Name string
	// Capabilities are what such servers can do at best. Probe says what a live one can.
	Capabilities Capabilities
	// New opens a session with a server. It calls nobody.
	New func(Config) (Server, error)
}

// Config is what a session needs to know of a server. A dialect takes of it what it needs.
type Config struct {
	// Issuer is the server's exact issuer.
	Issuer string
	// URL is where the server is called; the issuer, or what stands for it in the cluster.
	URL string
	// RegistrationURL is where clients are registered, if the server's object says so; empty
	// for where the dialect finds it.
	RegistrationURL string
	// FederatedIssuer is what the server calls the issuer of the cluster's ServiceAccount
	// tokens (Keycloak: the alias of the identity provider); empty if it knows none.
	FederatedIssuer string
	// Metadata of the server, rebased on URL. Its endpoints and methods are those that the
	// server's object shows; what is in no status may be missing.
	Metadata Metadata
	// SignIn is how the operator proves itself.
	SignIn SignIn
	// HTTPClient must follow no redirect, see NewHTTPClient.
	HTTPClient *http.Client
	// Limits bound what the server is asked.
	Limits Limits
	// Clock is the time.
	Clock func() time.Time
}

// Server is a session with one authorization server. It is safe for concurrent use. Its errors
// are *Error; an error of Caller comes back as it is.
type Server interface {
	Registrar
	Adopter
	AudienceMapper
	Rotator
	Prober
}

// Registrar keeps a client's registration. The process may die after any call in it: every
// method can be called again, and goes on from what it finds.
type Registrar interface {
	// Observe looks the client up, live, and compares it with what is desired. Absence is
	// Observation.Exists false and no error; it is reported only when the server said so, never
	// for 401 or 403 of the operator's sign-in, nor for trouble.
	Observe(ctx context.Context, desired Desired, caller Caller) (Observation, error)

	// Create registers the client. When the answer is lost or says that there is one already, it
	// looks again: a registration that bears our owner mark is success, another one an *Error of
	// kind Conflict. Where a server chooses ids and nobody can look, it is KindAmbiguous.
	Create(ctx context.Context, desired Desired, caller Caller) (Registration, error)

	// Update puts the managed fields right that observed.Drift names, and touches nothing else.
	Update(ctx context.Context, desired Desired, observed Observation, caller Caller) (Registration, error)

	// Delete removes the mapping and the registration if they bear the owner mark. What is gone
	// already is success; what is somebody else's is left alone, and is success too. What was adopted
	// stays, as it was before. Of desired it looks at Identity and Credentials only.
	Delete(ctx context.Context, desired Desired, caller Caller) error
}

// Adopter takes over registrations that people made.
type Adopter interface {
	// Adopt puts the owner mark on a client that exists and bears none, if it can obtain no token; else
	// it is an *Error of kind NotAdoptable, or Conflict if it bears another's mark, and nothing is
	// written. What is needed to give it back, and its secret where it is taken in, is kept before the
	// first write. The same call again goes on from what it finds. Deletion gives back what was adopted.
	Adopt(ctx context.Context, desired Desired, caller Caller) (Registration, error)
}

// AudienceMapper makes new tokens name a client in `aud`.
type AudienceMapper interface {
	// MapAudience does what desired.Audience says, and undoes what it did before and is no longer
	// asked for. Where a server knows no such thing it does nothing.
	MapAudience(ctx context.Context, desired Desired, caller Caller) (AudienceReport, error)
}

// Rotator changes a client's credential.
type Rotator interface {
	// Rotate makes the server accept desired.Credentials.Current; and Previous until
	// PreviousEnds, if it can. Without Previous it ends an overlap. The same call again changes
	// nothing. It is for a client that is registered and ours.
	Rotate(ctx context.Context, desired Desired, caller Caller) (Rotation, error)
}

// Prober looks at a server.
type Prober interface {
	// Probe signs in and finds out the rights and capabilities. It writes nothing.
	Probe(ctx context.Context) (Report, error)
}

// Caller is what a provider asks of whoever calls it.
type Caller interface {
	// Fence is called before each write at the server. Its error stops the write and comes back
	// as it is: somebody else has the client in hand.
	Fence(ctx context.Context) error
	// Keep stores what a server chose, before anything else happens: it can't be read again. Its
	// error ends the call.
	Keep(ctx context.Context, issued Issued) error
	// Prove asks the introspection endpoint whether it accepts the client with a credential of
	// desired. Any error means that nobody could tell.
	Prove(ctx context.Context, credential Credential) (accepted bool, err error)
}

// Issued is what a server chose. Empty members are unchanged.
type Issued struct {
	// ClientID and Secret, where the server chooses them.
	ClientID string
	Secret   Secret
	// SecretExpiresAt is when the server ends the secret; zero for never.
	SecretExpiresAt time.Time
	// State replaces Identity.State.
	State Secret
	// Adopted replaces Identity.Adopted; Secret is then the client's own, which people made.
	Adopted Secret
	// Intent says that State is of what is about to be done, and no answer: it is kept only if nobody
	// else wrote meanwhile.
	Intent bool
}

// Identity is how a registration is found, and known for ours.
type Identity struct {
	// ClientID is the OAuth client id, compared exactly; empty until a server has chosen it.
	ClientID string
	// RegistrationID is the server's own id, empty if it is not known.
	RegistrationID string
	// Owner is our mark at the registration: instance/namespace/name.
	Owner string
	// State is what the provider had kept, for itself.
	State Secret
	// Adopted is what the provider had kept to give back what was adopted; empty if nothing was.
	Adopted Secret
}

// Desired is a registration as it should be.
type Desired struct {
	Identity
	// DisplayName is the name for people; empty means the client id.
	DisplayName string
	// Scopes that the client may look into, or may name, where the server has such a thing.
	Scopes []string
	// Credentials are what the server shall accept.
	Credentials Credentials
	// Audience is how tokens come to name the client.
	Audience Audience
	// Attempt is unique to this registration of this client (RFC 7591: software_id).
	Attempt string
	// Disabled says that the server shall refuse the client, and keep it, where it can
	// (Capabilities.Disable).
	Disabled bool
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

// Audience says how tokens come to name a client in `aud`.
type Audience struct {
	Mode AudienceMode
	// TokenClients are client ids at the same server, where the mapping hangs on them.
	TokenClients []string
	// MaxPerTokenClient is how many audiences may be mapped as Default onto one token client.
	MaxPerTokenClient int
}

// Observation is a registration as it was found.
type Observation struct {
	// Exists is false only when the server said that there is none.
	Exists bool
	// RegistrationID is the server's own id.
	RegistrationID string
	// Owner is the owner mark found, empty if there is none.
	Owner string
	// Drift names the managed fields that differ, never their values; empty when all is well. A
	// credential that the server does not show is no drift.
	Drift []string
	// Overlap is what a rotation of this very client would reach; empty if that can't be seen.
	Overlap Overlap
	// Propagation is how long parts of the server may go on with an older state; 0 for none.
	Propagation time.Duration
	// Unmanaged says that this registration can't be read, changed or deleted by anybody who has no
	// other way in: the server gave none (RFC 7591 without RFC 7592).
	Unmanaged bool
}

// DriftSecret is the name of the credential in Observation.Drift.
const DriftSecret = "secret"

// DriftEnabled is the name of Desired.Disabled in Observation.Drift.
const DriftEnabled = "enabled"

// Registration is what Create and Update return.
type Registration struct {
	// RegistrationID is the server's own id.
	RegistrationID string
	// Propagation is how long parts of the server may not know of it; 0 for none.
	Propagation time.Duration
	// Unmanaged is Observation's.
	Unmanaged bool
}

// AudienceReport is what MapAudience found and did.
type AudienceReport struct {
	// Scope is what a client asks for with scope=, and Resource with resource=, to have the
	// audience in its token; empty where that is no way.
	Scope, Resource string
	// Repaired names what had to be put right, for an Event; empty when all was well.
	Repaired []string
	// Propagation is how long parts of the server may not know of it; 0 for none.
	Propagation time.Duration
}

// Rotation is what a rotation achieved.
type Rotation struct {
	// Rotated says that the server accepts Current. Where servers choose secrets and this one
	// keeps the one it has, whatever is asked, it is false, and that is no error.
	Rotated bool
	// Overlap says how Previous goes on: Expiring ends by itself at PreviousEnds, Dual when it is
	// rotated away, None means that it works no more.
	Overlap Overlap
	// Propagation is how long parts of the server may not know of it; 0 for none.
	Propagation time.Duration
}
