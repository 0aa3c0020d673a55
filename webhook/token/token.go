// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token is the vocabulary of the data plane: a token, a request about
// it, the facts an authorization server knows about it, and the decision.
package token

import (
	"log/slog"
	"time"
)

// MaxLength is the length, in bytes, above which a token is refused unread.
const MaxLength = 16 << 10

// Token is a bearer token. It never prints: the only way to its value is Reveal.
type Token struct{ value string }

// New wraps a raw token.
func New(raw string) Token { return Token{value: raw} }

// Reveal is the raw token, for a request's body.
func (t Token) Reveal() string { return t.value }

// String hides the token.
func (Token) String() string { return "[token]" }

// GoString hides the token from %#v.
func (Token) GoString() string { return "[token]" }

// LogValue hides the token from structured logs.
func (Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// MarshalJSON hides the token.
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"[token]"`), nil }

// Ref names a namespaced object.
type Ref struct{ Namespace, Name string }

// String is namespace/name.
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Surface is a protocol over which a policy is asked.
type Surface string

const (
	// SurfaceIntrospection is RFC 7662.
	SurfaceIntrospection Surface = "introspection"
	// SurfaceForwardAuth is HTTP forward-auth.
	SurfaceForwardAuth Surface = "forward-auth"
	// SurfaceExtAuthz is Envoy's ext_authz v3 over gRPC.
	SurfaceExtAuthz Surface = "ext-authz"
	// SurfaceTokenReview is Kubernetes' TokenReview.
	SurfaceTokenReview Surface = "token-review"
)

// Surfaces are all of them.
func Surfaces() []Surface {
	return []Surface{SurfaceIntrospection, SurfaceForwardAuth, SurfaceExtAuthz, SurfaceTokenReview}
}

// OnGateway says that a gateway asks, about an HTTP request, and sets headers.
func (s Surface) OnGateway() bool { return s == SurfaceForwardAuth || s == SurfaceExtAuthz }

// Scheme is the authentication scheme that a token was sent with.
type Scheme uint8

const (
	// SchemeBearer is RFC 6750.
	SchemeBearer Scheme = iota
	// SchemeDPoP is RFC 9449 section 7.1.
	SchemeDPoP
)

// Request asks whether a token is good for a policy.
type Request struct {
	// ID identifies the decision: in the answer's header Introspection-Decision and in the audit line.
	ID string
	// Surface is where it was asked.
	Surface Surface
	// Policy that is asked.
	Policy Ref
	// Token in question.
	Token Token
	// Scheme that it was sent with.
	Scheme Scheme
	// Client is the IntrospectionClient that the caller proved to be (RFC 7662); zero on other surfaces.
	Client Ref
	// ServiceAccount is the one that the caller proved to be (RFC 7662); zero if it is a Client, and on other surfaces.
	ServiceAccount Ref
	// Gateway is the declared gateway that asks; empty on other surfaces.
	Gateway string
	// Audiences are those that the API server asked for (TokenReview); nil on other surfaces.
	Audiences []string
	// HTTP is the request that a gateway asks about; nil on other surfaces.
	HTTP *HTTPRequest
}

// HTTPRequest is the request that a user sent to a gateway, as the gateway tells it.
type HTTPRequest struct {
	// Method, for example GET; empty if the gateway does not tell it.
	Method string
	// Host is the authority that the user called, with a port if there was one; empty if
	// the gateway does not tell it.
	Host string
	// Target is the raw path and query, as sent: nothing is decoded or cleaned.
	Target string
	// Headers are those that the gateway shows; never nil.
	Headers Headers
	// Proofs are the values of the DPoP headers (RFC 9449 section 4.1); one is right.
	Proofs []string
	// Certificate is the SHA-256 of the user's TLS certificate (DER), from where the
	// gateway's declaration says; nil if there was none.
	Certificate *[32]byte
}

// Headers are those of an HTTPRequest. Names are compared without case.
type Headers interface {
	// Values are those of a header, in their order; nil if it is not there.
	Values(name string) []string
	// Each calls yield with every name, as sent, and its values, until it returns false.
	Each(yield func(name string, values []string) bool)
	// Odd is the first of names that the request tries to set or to remove behind the
	// gateway's back: by another spelling (see IsAlias), or as an option of Connection.
	// Empty if there is none.
	Odd(names []string) string
}

// Verdict is what becomes of a request. The zero value is Deny.
type Verdict uint8

const (
	// Deny refuses.
	Deny Verdict = iota
	// Allow lets in.
	Allow
)

// String is Deny or Allow.
func (v Verdict) String() string {
	if v == Allow {
		return "Allow"
	}
	return "Deny"
}

// Undecided is the error of a request that nobody could tell anything about. It
// is answered 503, never as a refusal, and never cached.
type Undecided struct { //nolint:errname // an outcome beside Decision, with its own reasons
	Reason Reason
	// Message says what to do, for the application team; it holds no claim and no secret.
	Message string
	// Err is the cause, for the log.
	Err error
}

// Error is the message, with the cause.
func (u *Undecided) Error() string {
	if u.Err != nil {
		return u.Message + ": " + u.Err.Error()
	}
	return u.Message
}

// Unwrap is the cause.
func (u *Undecided) Unwrap() error { return u.Err }

// NotStarted is a request that came before the objects were read.
func NotStarted() *Undecided {
	return &Undecided{Reason: ReasonNotStarted, Message: "The webhook has not read its objects yet: try again."}
}

// Decision is the answer about a token. The zero Decision is a Deny.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	// Message is the reason in words, fit for error_description (RFC 6750 section 3).
	Message string
	// Challenge says what a better token would have, on a Deny.
	Challenge Challenge
	// Headers are all configured headers, on an allow of a gateway's surface.
	Headers []Header
	// Body is the RFC 7662 answer, on an allow of SurfaceIntrospection.
	Body []byte
	// User is who the token is of, on an allow of SurfaceTokenReview.
	User *User
}

// Challenge is what a WWW-Authenticate header says beside error and error_description.
type Challenge struct {
	// Scope is what a token must have, space-delimited, with ReasonInsufficientScope (RFC 6750 section 3).
	Scope string
	// ACRValues are what would do, space-delimited, and MaxAge how old a sign-in may be, with
	// ReasonInsufficientAuthentication (RFC 9470 section 3); empty and 0 if not required.
	ACRValues string
	MaxAge    time.Duration
	// ResourceMetadata is the URL of the resource's metadata (RFC 9728 section 5.1), or empty.
	ResourceMetadata string
	// DPoP says that the scheme is to be DPoP (RFC 9449 section 7.1).
	DPoP bool
}

// User is who a token is of to the API server, without the platform's prefixes.
type User struct {
	Username  string
	Groups    []string
	Extra     map[string][]string
	Audiences []string
}

// Header is a header of an allow. An unknown claim has an empty value.
type Header struct{ Name, Value string }
