// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// weigh refuses what is no token at the price of a length.
func weigh(t token.Token) (token.Decision, bool) {
	switch n := len(t.Reveal()); {
	case n == 0:
		return token.Decision{Reason: token.ReasonMissingToken, Message: "The request carries no token."}, false
	case n > token.MaxLength:
		return malformed("The token is longer than 16 KiB."), false
	}
	return token.Decision{}, true
}

// screen refuses tokens that the server needs not be asked about. `iss` is read
// unverified: it may only keep a token from a server that did not issue it, for which
// a foreign token would be a live credential of somebody else's. An opaque one does not say
// whose it is: it goes only where the policy says so, dots or not.
func screen(t token.Token, s *server, opaque bool) (token.Decision, bool) {
	for _, b := range []byte(t.Reveal()) {
		if b < 0x21 || b > 0x7e {
			return malformed("The token has characters that no token has."), false
		}
	}
	switch issuer, _, _, isJWT := token.Hint(t); {
	case !isJWT && !opaque:
		return malformed("The token is not a JWT."), false
	case isJWT && issuer != s.Issuer:
		return token.Decision{Reason: token.ReasonInvalidIssuer, Message: "The token is of another issuer."}, false
	}
	return token.Decision{}, true
}

func malformed(message string) token.Decision {
	return token.Decision{Reason: token.ReasonMalformedToken, Message: message}
}
