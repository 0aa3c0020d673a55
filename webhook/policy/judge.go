// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Input of a judgement.
type Input struct {
	// Facts are what the server said; they are not changed.
	Facts *token.Facts
	// Entry is the index in Entries of the one that the token belongs to.
	Entry int
	// Issuer is the server's: the answer's `iss`, if there is one, must be equal.
	Issuer string
	// ClientID is our client's id at the server: the audience if the policy names none.
	ClientID string
	// Now is the time of the judgement.
	Now time.Time
	// Surface is where it was asked.
	Surface token.Surface
	// HTTP is the request that a gateway asks about; nil on other surfaces.
	HTTP *token.HTTPRequest
}

// Judge says whether a token of these facts is good. The first requirement that it does
// not meet gives the reason; the message holds nothing that the token says. An allow
// costs no allocation where there are no rules.
//
// On gateways a bound token passes: that possession was proved is for the caller to
// check, on each request (RFC 8705, RFC 9449).
//
// A token without `exp` is not refused for that: RFC 7662 leaves it out where a server
// has tokens without an end, and no allow outlives the answer by more than MaxAge.
// Where that is not enough, maxTokenAge refuses tokens by `iat`.
func (p *Policy) Judge(in Input) token.Decision {
	if d := p.judge(&in); d != nil {
		return *d
	}
	return token.Decision{Verdict: token.Allow}
}

// judge is why not, or nil.
func (p *Policy) judge(in *Input) *token.Decision {
	if in.Entry < 0 || in.Entry >= len(p.entries) {
		return deny(token.ReasonInvalidIssuer, "The token is of an issuer that is not accepted here.")
	}
	if in.Facts != nil && in.Facts.Opaque && !p.entries[in.Entry].Opaque {
		return deny(token.ReasonMalformedToken, "The token is not a JWT.") // another policy of this client may accept it
	}
	if in.Facts == nil || !in.Facts.Active {
		return deny(token.ReasonInactive, "The token is not active for this API. The authorization server does not say why.")
	}
	if d := p.judgeLife(in); d != nil {
		return d
	}
	if d := p.judgeKind(in); d != nil {
		return d
	}
	if d := p.judgeRights(in); d != nil {
		return d
	}
	if d := p.judgeOrigin(in); d != nil {
		return d
	}
	if d := p.judgeAges(in); d != nil {
		return d
	}
	if len(p.expressions) > 0 {
		return p.judgeRules(in)
	}
	return nil
}

func deny(reason token.Reason, message string) *token.Decision {
	return &token.Decision{Verdict: token.Deny, Reason: reason, Message: message}
}

// judgeLife: servers differ about when a token ends (Duende lets a JWT live for five
// minutes past `exp`), so `active` does not settle it. Skew never extends `exp`.
func (p *Policy) judgeLife(in *Input) *token.Decision {
	f, latest := in.Facts, in.Now.Add(p.skew)
	switch {
	case f.Issuer != "" && f.Issuer != in.Issuer:
		return deny(token.ReasonInvalidIssuer, "The token is of another issuer.")
	case !f.ExpiresAt.IsZero() && !in.Now.Before(f.ExpiresAt):
		return deny(token.ReasonExpired, "The token has expired.")
	case f.NotBefore.After(latest):
		return deny(token.ReasonNotYetValid, "The token is not valid yet.")
	case f.IssuedAt.After(latest):
		return deny(token.ReasonNotYetValid, "The token was issued in the future: a clock is wrong.")
	}
	return nil
}

func (p *Policy) judgeKind(in *Input) *token.Decision {
	switch {
	case bound(in.Facts) && !p.proves(in):
		return deny(token.ReasonBoundToken, "The token is bound to a key, and its possession can't be proved here: send a token without cnf.")
	case !p.binding.holds(in.Facts):
		d := deny(token.ReasonUnboundToken, p.binding.message())
		d.Challenge.DPoP = p.binding.dpop
		return d
	case !p.types[typeOf(in.Facts)]:
		return deny(token.ReasonInvalidTokenType, "A token of this type is not accepted here. Accepted: "+p.types.String()+".")
	}
	return nil
}

func (p *Policy) judgeRights(in *Input) *token.Decision {
	f := in.Facts
	switch {
	case !p.meant(in):
		return p.denyAudience(in)
	case !hasAll(f.Scope, p.scopes.all), len(p.scopes.any) > 0 && !hasAny(f.Scope, p.scopes.any):
		return p.denyScope(f)
	}
	return nil
}

func (p *Policy) judgeOrigin(in *Input) *token.Decision {
	f, o := in.Facts, &p.origins[in.Entry]
	switch {
	case o.clients != nil && (f.ClientID == "" || !slices.Contains(o.clients, f.ClientID)):
		return deny(token.ReasonClientNotAllowed, "The token was issued to a client that is not allowed here.")
	case o.subjects != nil && (f.Subject == "" || !slices.Contains(o.subjects, f.Subject)):
		return deny(token.ReasonSubjectNotAllowed, "The token is of a subject that is not allowed here, or names none.")
	case o.tenant != nil && !o.tenant.holds(f.Claims[o.tenant.claim]):
		return deny(token.ReasonTenantNotAllowed, "The token is of a tenant that is not allowed here, or names none.")
	}
	return nil
}

// meant says that the token is meant for this API.
func (p *Policy) meant(in *Input) bool {
	if p.audiences != nil {
		return hasAny(in.Facts.Audience, p.audiences)
	}
	return in.ClientID != "" && slices.Contains(in.Facts.Audience, in.ClientID)
}

// judgeAges: how and when the user signed in comes first, since a step-up brings a new
// token too.
func (p *Policy) judgeAges(in *Input) *token.Decision {
	f := in.Facts
	switch {
	case p.acr != nil && (f.ACR == "" || !slices.Contains(p.acr, f.ACR)):
		return p.stepUp("The user must have signed in in another way: acr must be " + oneOf(p.acr) + ".")
	case p.maxAuthAge > 0 && (f.AuthTime.IsZero() || f.AuthTime.After(in.Now.Add(p.skew)) || in.Now.Sub(f.AuthTime) > p.maxAuthAge+p.skew):
		return p.stepUp("The user must have signed in within the last " + p.maxAuthAge.String() + ": sign in again.")
	case p.maxTokenAge > 0 && (f.IssuedAt.IsZero() || in.Now.Sub(f.IssuedAt) > p.maxTokenAge+p.skew):
		return deny(token.ReasonTokenTooOld, "The token was issued longer ago than "+p.maxTokenAge.String()+", or does not say when: get a new one.")
	}
	return nil
}

// stepUp asks for both at once: a sign-in that meets one only would be refused again.
func (p *Policy) stepUp(message string) *token.Decision {
	d := deny(token.ReasonInsufficientAuthentication, message)
	d.Challenge.ACRValues, d.Challenge.MaxAge = p.acrValues, p.maxAuthAge
	return d
}

func (p *Policy) denyAudience(in *Input) *token.Decision {
	needed := p.audiences
	if needed == nil {
		needed = []string{in.ClientID}
	}
	lead := "The audience of the token does not name "
	if len(in.Facts.Audience) == 0 {
		lead = "The token has no audience. It must name "
	}
	return deny(token.ReasonInvalidAudience, lead+oneOf(needed)+".")
}

func (p *Policy) denyScope(f *token.Facts) *token.Decision {
	var missing []string
	for _, scope := range p.scopes.all {
		if !slices.Contains(f.Scope, scope) {
			missing = append(missing, scope)
		}
	}
	var message string
	switch {
	case len(missing) == 1:
		message = "The token lacks the scope " + listed(missing, " and ") + "."
	case len(missing) > 1:
		message = "The token lacks the scopes " + listed(missing, " and ") + "."
	default:
		message = "The token lacks a scope: it needs " + oneOf(p.scopes.any) + "."
	}
	d := deny(token.ReasonInsufficientScope, message)
	d.Challenge.Scope = p.scopes.sufficient
	return d
}

func hasAll(have, needed []string) bool {
	for _, s := range needed {
		if !slices.Contains(have, s) {
			return false
		}
	}
	return true
}

func hasAny(have, needed []string) bool {
	for _, s := range needed {
		if slices.Contains(have, s) {
			return true
		}
	}
	return false
}
