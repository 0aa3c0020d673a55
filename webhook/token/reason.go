// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

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
	// ReasonUnboundToken: the policy takes bound tokens only.
	ReasonUnboundToken Reason = "unbound_token"
	// ReasonInvalidProof: the DPoP proof is missing, wrong, or was used before (RFC 9449 section 4.3).
	ReasonInvalidProof Reason = "invalid_dpop_proof"
	// ReasonInvalidCertificate: the token is bound to another certificate, or there was none (RFC 8705).
	ReasonInvalidCertificate Reason = "invalid_certificate"
	// ReasonInvalidSignature: not signed by the server, or by an algorithm that is not allowed.
	ReasonInvalidSignature Reason = "invalid_signature"
	// ReasonSubjectNotAllowed: of a subject that the policy does not list.
	ReasonSubjectNotAllowed Reason = "subject_not_allowed"
	// ReasonRuleDenied: a rule of the policy says no.
	ReasonRuleDenied Reason = "rule_denied"
	// ReasonRuleError: a rule of the policy could not be evaluated, or cost too much.
	ReasonRuleError Reason = "rule_error"
	// ReasonHostNotAllowed: the user called a host that the policy does not list.
	ReasonHostNotAllowed Reason = "host_not_allowed"
	// ReasonInvalidUser: the token maps to no user that a cluster may be given (TokenReview).
	ReasonInvalidUser Reason = "invalid_user"
	// ReasonAudienceNotAsked: the policy's API audiences and those that were asked for have none in common (TokenReview).
	ReasonAudienceNotAsked Reason = "audience_not_asked"
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
	// ReasonGatewayNotAllowed: a declared gateway asks, which the policy does not list.
	ReasonGatewayNotAllowed Reason = "gateway_not_allowed"
	// ReasonSurfaceNotConfigured: the policy does not say how it answers on this surface, or the platform does not list it there.
	ReasonSurfaceNotConfigured Reason = "surface_not_configured"
	// ReasonKeysUnavailable: the server's signing keys can't be had, or are too old.
	ReasonKeysUnavailable Reason = "keys_unavailable"
	// ReasonOverloaded: too much is under way.
	ReasonOverloaded Reason = "overloaded"
	// ReasonMissBudget: tokens that turned out bad used up what the namespace may ask about at a time.
	ReasonMissBudget Reason = "miss_budget_exhausted"
	// ReasonSnapshotTooOld: the API server was away for longer than the platform allows.
	ReasonSnapshotTooOld Reason = "snapshot_too_old"
	// ReasonInternal: a fault of ours.
	ReasonInternal Reason = "internal"
)
