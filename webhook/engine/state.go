// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// State is all that the objects say. It is handed over whole; nobody changes it
// afterwards.
type State struct {
	Policies []PolicyState
	Clients  []ClientState
	Servers  []ServerState
	// TakenAt is when the objects were read.
	TakenAt time.Time
}

// PolicyState is a TokenPolicy.
type PolicyState struct {
	Ref        token.Ref
	UID        string
	Generation int64
	// Compiled is nil if the policy does not compile.
	Compiled *policy.Policy
	// Err is why it does not compile.
	Err error
}

// ClientState is an IntrospectionClient.
type ClientState struct {
	Ref token.Ref
	UID string
	// Server is the UID of its authorization server.
	Server string
	// ClientID is its id at the server.
	ClientID string
	// CallerID is what its workloads call themselves at our endpoint, where that is not the client id.
	CallerID string
	// Verified says that an introspection with its credentials succeeded.
	Verified bool
	// Credentials are those that may work at the server, tried in this order; at most two are tried.
	Credentials []introspect.Credential
	// FacadeSecrets are those that its workloads may show.
	FacadeSecrets []FacadeSecret
}

// FacadeSecret is a secret of a workload, of which only the hash is known.
type FacadeSecret struct {
	// SHA256 of the secret.
	SHA256 [32]byte
	// NotAfter is when it ends; zero for never.
	NotAfter time.Time
}

// ServerState is a ClusterAuthorizationServer.
type ServerState struct {
	UID, Name string
	// Issuer is the exact `iss` of its tokens.
	Issuer string
	// IntrospectionEndpoint is where it is asked.
	IntrospectionEndpoint string
	// JWKSURI is where its keys are (RFC 7517); empty if it publishes none.
	JWKSURI string
	// Algorithms and Types are the `alg` and `typ` that its JWTs may have; defaults are jwt's.
	Algorithms, Types []string
	// HostHeader is sent as Host; empty for the endpoint's.
	HostHeader string
	// CAPEM verifies it; empty for the system's authorities.
	CAPEM []byte
	// Timeout of a call; default 2s.
	Timeout time.Duration
	// MaxInFlight is how many calls may be under way; default 128.
	MaxInFlight int
	// Namespaces are those whose clients may ask it.
	Namespaces map[string]struct{}
}
