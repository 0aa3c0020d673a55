// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"maps"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// completed are the facts of a token, with what its form says. RFC 7662 leaves `iss` to the
// server: where it says none of an opaque token, the token is of the server that was asked, and
// of no other. A JWT said its issuer itself, and was asked about for that.
func completed(facts *token.Facts, t token.Token, issuer string) *token.Facts {
	if _, _, _, isJWT := token.Hint(t); isJWT {
		return facts
	}
	f := *facts
	f.Opaque = true
	if f.Active && f.Issuer == "" {
		encoded, err := json.Marshal(issuer)
		if err != nil { // strings always marshal
			return &f
		}
		f.Issuer = issuer
		f.Claims = maps.Clone(f.Claims)
		if f.Claims == nil {
			f.Claims = make(map[string]json.RawMessage, 1)
		}
		f.Claims["iss"] = encoded
		f.Size += len(issuer) + len(encoded)
	}
	return &f
}

// unsupported is a refusal: the server knows no such tokens, today as tomorrow. It is neither an
// outage nor a word about this one.
func unsupported(t token.Token) *token.Decision {
	form := "opaque"
	if _, _, _, isJWT := token.Hint(t); isJWT {
		form = "JWT"
	}
	return &token.Decision{
		Reason:  token.ReasonUnsupportedToken,
		Message: "The authorization server does not introspect tokens of this form (" + form + ").",
	}
}
