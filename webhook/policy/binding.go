// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// binding that tokens must have: to one of these; none is needed if both are false.
type binding struct{ dpop, mtls bool }

// holds says that a token is bound as it must be.
func (b binding) holds(f *token.Facts) bool {
	return !b.dpop && !b.mtls || b.dpop && f.JKT != "" || b.mtls && f.X5T != ""
}

func (b binding) message() string {
	switch {
	case b.dpop && b.mtls:
		return "The token must be bound to a key: by DPoP, or to a certificate."
	case b.dpop:
		return "The token must be bound to a key by DPoP."
	}
	return "The token must be bound to a certificate."
}

// bound: a token that says DPoP is bound, even if the server keeps `cnf` to itself.
func bound(f *token.Facts) bool {
	return f.Bound || strings.EqualFold(f.TokenType, "DPoP") || strings.EqualFold(f.Type, "DPoP")
}

// proves says that possession of a bound token's key is proved where it is used: to us
// behind gateways, else to a caller who said that he checks it, and who learns what.
func (p *Policy) proves(in *Input) bool {
	switch in.Surface {
	case token.SurfaceForwardAuth, token.SurfaceExtAuthz:
		return true
	case token.SurfaceIntrospection:
		return p.introspection.callerVerifies && (in.Facts.JKT != "" || in.Facts.X5T != "")
	case token.SurfaceTokenReview: // the API server shows no proof
	}
	return false
}
