// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// maxDescription bounds the words of a challenge, in bytes.
	maxDescription = 512
	// maxParameter bounds the others. One that is longer is left out: half of it would be another.
	maxParameter = 1024
	// proofAlgorithms are those of DPoP proofs (RFC 9449 section 5.1).
	proofAlgorithms = "ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA"
)

// Challenge is the status of a refusal and its WWW-Authenticate header (RFC 6750 section
// 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728 section 5.1): 401 or 403, never
// 400, of which nginx makes a 500.
func Challenge(d *token.Decision) (status int, wwwAuthenticate string) {
	status, code := refusal(d.Reason)
	c := challenge{scheme: "Bearer"}
	if d.Challenge.DPoP {
		c.scheme = "DPoP"
	}
	if code == "" { // RFC 6750 section 3.1: who sent nothing is told nothing
		c.add("realm", "introspection")
	} else {
		c.add("error", code)
		c.add("error_description", d.Message[:min(len(d.Message), maxDescription)])
	}
	if d.Reason == token.ReasonInsufficientScope {
		c.add("scope", d.Challenge.Scope)
	}
	if d.Reason == token.ReasonInsufficientAuthentication {
		c.add("acr_values", d.Challenge.ACRValues)
		if d.Challenge.MaxAge > 0 {
			c.add("max_age", strconv.FormatInt(int64(d.Challenge.MaxAge/time.Second), 10))
		}
	}
	c.add("resource_metadata", d.Challenge.ResourceMetadata)
	if d.Challenge.DPoP {
		c.add("algs", proofAlgorithms)
	}
	return status, c.text.String()
}

// refusal is the status of a refusal, and its error code; none for a missing token.
func refusal(reason token.Reason) (status int, code string) {
	switch reason {
	case token.ReasonMissingToken:
		return http.StatusUnauthorized, ""
	case token.ReasonInvalidRequest: // 400 elsewhere (RFC 6750 section 3.1)
		return http.StatusUnauthorized, "invalid_request"
	case token.ReasonInsufficientScope:
		return http.StatusForbidden, "insufficient_scope"
	case token.ReasonInsufficientAuthentication:
		return http.StatusUnauthorized, "insufficient_user_authentication"
	case token.ReasonInvalidProof:
		return http.StatusUnauthorized, "invalid_dpop_proof"
	case token.ReasonClientNotAllowed, token.ReasonSubjectNotAllowed, token.ReasonTenantNotAllowed,
		token.ReasonRuleDenied, token.ReasonRuleError, token.ReasonHostNotAllowed:
		return http.StatusForbidden, "access_denied" // another token of that user won't help
	case token.ReasonNone, token.ReasonMalformedToken, token.ReasonUnsupportedToken, token.ReasonInactive, token.ReasonInvalidIssuer,
		token.ReasonExpired, token.ReasonNotYetValid, token.ReasonInvalidTokenType, token.ReasonInvalidAudience,
		token.ReasonTokenTooOld, token.ReasonBoundToken, token.ReasonUnboundToken, token.ReasonInvalidCertificate,
		token.ReasonInvalidSignature:
		// A token that is not good for this policy, whatever else it may be good for. None
		// too: the zero Decision is a refusal.
	case token.ReasonInvalidUser, token.ReasonAudienceNotAsked:
		// No reasons of a gateway's: a TokenReview has no challenge.
	case token.ReasonNoPolicy, token.ReasonPolicyInvalid, token.ReasonClientNotReady, token.ReasonAccessWithdrawn,
		token.ReasonServerUnavailable, token.ReasonCredentialsRefused, token.ReasonAnswerTooOld, token.ReasonResponseTooLarge,
		token.ReasonNotStarted, token.ReasonCallerUnknown, token.ReasonGatewayNotAllowed, token.ReasonSurfaceNotConfigured,
		token.ReasonKeysUnavailable, token.ReasonOverloaded, token.ReasonMissBudget, token.ReasonSnapshotTooOld, token.ReasonInternal:
		// No reasons of a refusal: the engine gives them with an error.
	}
	// An unknown reason is a refusal too.
	return http.StatusUnauthorized, "invalid_token"
}

// challenge is auth-params in the making (RFC 9110 section 11.2).
type challenge struct {
	scheme string
	text   strings.Builder
}

// add adds a parameter, unless it is empty or too long.
func (c *challenge) add(name, value string) {
	if value == "" || len(value) > maxParameter {
		return
	}
	if c.text.Len() == 0 {
		c.text.WriteString(c.scheme + " ")
	} else {
		c.text.WriteString(", ")
	}
	c.text.WriteString(name + `="` + quotable(value) + `"`)
}

// quotable is fit for the quoted values of a challenge, in which quote and backslash are
// forbidden: they are replaced, since escaping them is (RFC 6750 section 3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
}
