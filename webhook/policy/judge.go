// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Input of a judgement.
type Input struct {
	// Facts are what the server said; they are not changed.
	Facts *token.Facts
	// Issuer is the server's: the answer's `iss`, if there is one, must be equal.
	Issuer string
	// ClientID is our client's id at the server: the audience if the policy names none.
	ClientID string
	// Now is the time of the judgement.
	Now time.Time
}

// Judge says whether a token of these facts is good. The first requirement that it does
// not meet gives the reason; the message holds nothing that the token says. An allow
// costs no allocation.
//
// A token without `exp` is not refused for that: RFC 7662 leaves it out where a server
// has tokens without an end, and no allow outlives the answer by more than MaxAge.
// Where that is not enough, maxTokenAge refuses tokens by `iat`.
func (p *Policy) Judge(in Input) token.Decision {
	if in.Facts != nil && in.Facts.Opaque && !p.opaque {
		return deny(token.ReasonMalformedToken, "The token is not a JWT.") // another policy of this client may accept it
	}
	if in.Facts == nil || !in.Facts.Active {
		return deny(token.ReasonInactive, "The token is not active for this API. The authorization server does not say why.")
	}
	if d := p.judgeLife(&in); d.Reason != token.ReasonNone {
		return d
	}
	if d := p.judgeKind(&in); d.Reason != token.ReasonNone {
		return d
	}
	if d := p.judgeRights(&in); d.Reason != token.ReasonNone {
		return d
	}
	if d := p.judgeAges(&in); d.Reason != token.ReasonNone {
		return d
	}
	return token.Decision{Verdict: token.Allow}
}

func deny(reason token.Reason, message string) token.Decision {
	return token.Decision{Verdict: token.Deny, Reason: reason, Message: message}
}

// judgeLife: servers differ about when a token ends (Duende lets a JWT live for five
// minutes past `exp`), so `active` does not settle it. Skew never extends `exp`.
func (p *Policy) judgeLife(in *Input) token.Decision {
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
	return token.Decision{}
}

// judgeKind: a token that says DPoP is bound, even if the server keeps `cnf` to itself.
func (p *Policy) judgeKind(in *Input) token.Decision {
	f := in.Facts
	switch {
	case f.Bound || strings.EqualFold(f.TokenType, "DPoP") || strings.EqualFold(f.Type, "DPoP"):
		return deny(token.ReasonBoundToken, "The token is bound to a key, and its possession can't be proved here: send a token without cnf.")
	case !p.types[typeOf(f)]:
		return deny(token.ReasonInvalidTokenType, "A token of this type is not accepted here. Accepted: "+p.types.String()+".")
	}
	return token.Decision{}
}

func (p *Policy) judgeRights(in *Input) token.Decision {
	f := in.Facts
	switch {
	case !p.meant(in):
		return p.denyAudience(in)
	case !hasAll(f.Scope, p.scopes.all), len(p.scopes.any) > 0 && !hasAny(f.Scope, p.scopes.any):
		return p.denyScope(f)
	case p.clients != nil && (f.ClientID == "" || !slices.Contains(p.clients, f.ClientID)):
		return deny(token.ReasonClientNotAllowed, "The token was issued to a client that is not allowed here.")
	case p.tenant != nil && !p.tenant.holds(f.Claims[p.tenant.claim]):
		return deny(token.ReasonTenantNotAllowed, "The token is of a tenant that is not allowed here, or names none.")
	}
	return token.Decision{}
}

// meant says that the token is meant for this API.
func (p *Policy) meant(in *Input) bool {
	if p.audiences != nil {
		return hasAny(in.Facts.Audience, p.audiences)
	}
	return in.ClientID != "" && slices.Contains(in.Facts.Audience, in.ClientID)
}

func (p *Policy) judgeAges(in *Input) token.Decision {
	f := in.Facts
	if p.maxTokenAge > 0 && (f.IssuedAt.IsZero() || in.Now.Sub(f.IssuedAt) > p.maxTokenAge+p.skew) {
		return deny(token.ReasonTokenTooOld, "The token was issued longer ago than "+p.maxTokenAge.String()+", or does not say when: get a new one.")
	}
	if p.maxAuthAge > 0 && (f.AuthTime.IsZero() || f.AuthTime.After(in.Now.Add(p.skew)) || in.Now.Sub(f.AuthTime) > p.maxAuthAge+p.skew) {
		d := deny(token.ReasonInsufficientAuthentication, "The user must have signed in within the last "+p.maxAuthAge.String()+": sign in again.")
		d.MaxAuthAge = p.maxAuthAge
		return d
	}
	return token.Decision{}
}

func (p *Policy) denyAudience(in *Input) token.Decision {
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

func (p *Policy) denyScope(f *token.Facts) token.Decision {
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
	d.RequiredScope = p.scopes.sufficient
	return d
}

// holds says that a claim is one of the tenants: a string, or a list that has one.
func (t *tenant) holds(raw json.RawMessage) bool {
	switch {
	case len(raw) < 2:
		return false
	case raw[0] == '[':
		var all []json.RawMessage
		return json.Unmarshal(raw, &all) == nil && slices.ContainsFunc(all, t.is)
	}
	return t.is(raw)
}

// is compares a JSON string; one without escapes where it is.
func (t *tenant) is(raw json.RawMessage) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		var s string
		return json.Unmarshal(raw, &s) == nil && slices.Contains(t.values, s)
	}
	return slices.ContainsFunc(t.values, func(value string) bool { return string(raw[1:len(raw)-1]) == value })
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
