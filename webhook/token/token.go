// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token is the vocabulary of the data plane: a token, a request about
// it, the facts an authorization server knows about it, and the decision.
package token

import (
	"encoding/json"
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
	// Client is the IntrospectionClient that the caller proved to be (RFC 7662); zero on gateways.
	Client Ref
	// Gateway is the declared gateway that asks; empty on other surfaces.
	Gateway string
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

// Reason names why a token was refused, or why nobody could tell. Bounded: it is
// a metric label.
type Reason string

// Reasons of a refusal.
const (
	// ReasonNone is the reason of an allow.
	ReasonNone Reason = ""
	// ReasonMissingToken: the request carries no token.
	ReasonMissingToken Reason = "missing_token"
	// ReasonInvalidRequest: two tokens, another scheme than Bearer, an alias of an identity header.
	ReasonInvalidRequest Reason = "invalid_request"
	// ReasonMalformedToken: no accepted server issues tokens of this form.
	ReasonMalformedToken Reason = "malformed_token"
	// ReasonUnsupportedToken: the server does not introspect tokens of this form.
	ReasonUnsupportedToken Reason = "unsupported_token"
	// ReasonInactive: the server says that the token is not active for this client, and not why.
	ReasonInactive Reason = "inactive"
	// ReasonInvalidIssuer: another issuer.
	ReasonInvalidIssuer Reason = "invalid_issuer"
	// ReasonExpired: past `exp`.
	ReasonExpired Reason = "expired"
	// ReasonNotYetValid: before `nbf`, or issued in the future.
	ReasonNotYetValid Reason = "not_yet_valid"
	// ReasonInvalidTokenType: an ID token, a refresh token.
	ReasonInvalidTokenType Reason = "invalid_token_type"
	// ReasonInvalidAudience: `aud` is missing or names none of the required.
	ReasonInvalidAudience Reason = "invalid_audience"
	// ReasonInsufficientScope: a scope is missing.
	ReasonInsufficientScope Reason = "insufficient_scope"
	// ReasonClientNotAllowed: issued to a client that the policy does not list.
	ReasonClientNotAllowed Reason = "client_not_allowed"
	// ReasonTenantNotAllowed: of a tenant that the policy does not list.
	ReasonTenantNotAllowed Reason = "tenant_not_allowed"
	// ReasonTokenTooOld: issued longer ago than maxTokenAge.
	ReasonTokenTooOld Reason = "token_too_old"
	// ReasonInsufficientAuthentication: the user signed in longer ago than maxAuthAge (RFC 9470).
	ReasonInsufficientAuthentication Reason = "insufficient_user_authentication"
	// ReasonBoundToken: bound to a key by `cnf`, and nobody proved possession of it.
	ReasonBoundToken Reason = "bound_token"
)

// Reasons why nobody could tell.
const (
	// ReasonNoPolicy: there is no such policy.
	ReasonNoPolicy Reason = "no_policy"
	// ReasonPolicyInvalid: the policy does not compile.
	ReasonPolicyInvalid Reason = "policy_invalid"
	// ReasonClientNotReady: the policy's client does not exist or is not Verified yet.
	ReasonClientNotReady Reason = "client_not_ready"
	// ReasonAccessWithdrawn: the namespace may not use the server any more.
	ReasonAccessWithdrawn Reason = "access_withdrawn"
	// ReasonServerUnavailable: the server gave no verdict.
	ReasonServerUnavailable Reason = "server_unavailable"
	// ReasonCredentialsRefused: the server refused our credentials.
	ReasonCredentialsRefused Reason = "credentials_refused"
	// ReasonAnswerTooOld: the answer took longer than freshness.maxAge.
	ReasonAnswerTooOld Reason = "answer_too_old"
	// ReasonResponseTooLarge: the headers are larger than the gateway takes.
	ReasonResponseTooLarge Reason = "response_too_large"
	// ReasonNotStarted: there is no snapshot yet.
	ReasonNotStarted Reason = "not_started"
	// ReasonCallerUnknown: the gateway that asks is not one that the platform declared.
	ReasonCallerUnknown Reason = "caller_unknown"
	// ReasonInternal: a fault of ours.
	ReasonInternal Reason = "internal"
)

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

// Decision is the answer about a token. The zero Decision is a Deny.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	// Message is the reason in words, fit for error_description (RFC 6750 section 3).
	Message string
	// RequiredScope is what a token must have, space-delimited, with ReasonInsufficientScope.
	RequiredScope string
	// MaxAuthAge is the policy's, with ReasonInsufficientAuthentication (RFC 9470 max_age).
	MaxAuthAge time.Duration
	// Headers are all configured headers, on an allow of SurfaceForwardAuth.
	Headers []Header
	// Body is the RFC 7662 answer, on an allow of SurfaceIntrospection.
	Body []byte
}

// Header is a header of an allow. An unknown claim has an empty value.
type Header struct{ Name, Value string }

// Facts are what an authorization server said about a token, normalised. What it
// did not say is zero: unknown, not empty.
type Facts struct {
	// Active is true only for the boolean true.
	Active bool
	// Issuer, Subject, Username and ID are `iss`, `sub`, `username` and `jti`.
	Issuer, Subject, Username, ID string
	// ClientID is `client_id`, else `azp`.
	ClientID string
	// TokenType is `token_type` as the server said it (Bearer, DPoP, access_token), may be empty.
	TokenType string
	// Type is `typ` as the server said it (Bearer, ID, Refresh, Offline, at+jwt), may be empty.
	Type string
	// Audience is `aud`; a single string is a list of one.
	Audience []string
	// Scope is `scope` split at spaces, or a list, or `scp`.
	Scope []string
	// ExpiresAt, IssuedAt, NotBefore and AuthTime are `exp`, `iat`, `nbf` and `auth_time`; zero if absent.
	ExpiresAt, IssuedAt, NotBefore, AuthTime time.Time
	// Bound says that there is a `cnf` (RFC 7800).
	Bound bool
	// Opaque says that the token is no JWT. It is seen, not said.
	Opaque bool
	// Claims are all members as the server sent them; of an opaque token always with `iss`.
	Claims map[string]json.RawMessage
	// Size is about how many bytes the facts occupy.
	Size int
}
