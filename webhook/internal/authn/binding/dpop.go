// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// hashOfThumbprint is that of `jkt` (RFC 9449 section 6.1).
	hashOfThumbprint = crypto.SHA256
	// maxID is the length of a `jti`, in bytes.
	maxID = 256
	// maxTime is the end of the year 9999.
	maxTime = 253402300799
	// maxShown is how much of an identifier a message holds.
	maxShown = 96
)

// proof checks RFC 9449 section 4.3, cheap things first: the signature costs more than all
// the rest. A proof is used up only after it was found good, or else whoever can't sign
// could fill the memory.
func (v *Verifier) proof(q *Question) (*token.Decision, *token.Undecided) {
	want, refusal := requested(q)
	if refusal != nil {
		return refusal, nil
	}
	switch len(q.HTTP.Proofs) {
	case 0:
		return invalid("The token is bound to a DPoP key: send a proof in the DPoP header."), nil
	case 1:
	default:
		return invalid(twoProofs), nil
	}
	p, wrong := read(q.HTTP.Proofs[0])
	if wrong != "" {
		return invalid(wrong), nil
	}
	if wrong = p.matches(q, want); wrong != "" {
		return invalid(wrong), nil
	}
	now := v.clock()
	iat, wrong := v.issued(p.claims["iat"], now)
	if wrong != "" {
		return invalid(wrong), nil
	}
	s, wrong := p.signature()
	if wrong != "" {
		return invalid(wrong), nil
	}
	if !same(q.Facts.JKT, base64.RawURLEncoding.EncodeToString(s.thumbprint[:])) {
		return invalid("The DPoP proof is of another key than the token is bound to."), nil
	}
	m := markOf(s.thumbprint, text(p.claims, "jti"))
	if v.used.has(m, iat, now) {
		return invalid(usedBefore), nil
	}
	if !s.verify() {
		return invalid("The DPoP proof's signature is wrong."), nil
	}
	switch v.used.take(s.thumbprint, m, iat, now) {
	case taken:
		return nil, nil
	case full:
		return nil, &token.Undecided{
			Reason:  token.ReasonOverloaded,
			Message: "More DPoP proofs came in the last minutes than can be remembered: try again later.",
		}
	case replayed:
	}
	return invalid(usedBefore), nil
}

const usedBefore = "The DPoP proof was used before: make a new one for each request."

func invalid(message string) *token.Decision { return challenge(token.ReasonInvalidProof, message) }

// requested is what `htu` must name. Where the policy or the gateway does not say it,
// there is no proof to be had, whatever the client sends.
func requested(q *Question) (location, *token.Decision) {
	if q.Resource == "" {
		return location{}, deny(token.ReasonBoundToken,
			"The token is bound to a DPoP key, which can't be checked: the TokenPolicy does not say the API's URL. Set spec.resource.identifier.")
	}
	resource, ok := locate(q.Resource)
	if !ok {
		return location{}, deny(token.ReasonBoundToken,
			"The token is bound to a DPoP key, which can't be checked: the TokenPolicy's spec.resource.identifier is no http or https URL.")
	}
	want, ok := resource.under(q.HTTP.Target)
	if !ok || q.HTTP.Method == "" {
		return location{}, deny(token.ReasonBoundToken,
			"The token is bound to a DPoP key, which can't be checked: the gateway does not tell the method and path of the request.")
	}
	return want, nil
}

// matches says in words in what the proof is not for this request and this token.
func (p *proof) matches(q *Question, want location) (wrong string) {
	if text(p.claims, "htm") != q.HTTP.Method {
		return "The DPoP proof is for another method: htm is to be that of the request."
	}
	if htu, ok := locate(text(p.claims, "htu")); !ok || htu != want {
		return "The DPoP proof is for another URL: htu is to be " + shown(q.Resource) + " and the path of the request."
	}
	sum := sha256.Sum256([]byte(q.Token.Reveal()))
	if !same(text(p.claims, "ath"), base64.RawURLEncoding.EncodeToString(sum[:])) {
		return "The DPoP proof is for another token: ath is to be the SHA-256 of the access token, base64url."
	}
	if jti := text(p.claims, "jti"); jti == "" || len(jti) > maxID {
		return "The DPoP proof needs a jti of 1 to 256 bytes."
	}
	return ""
}

// issued reads `iat`, a number of seconds since 1970, and says in words if it is not about now.
func (v *Verifier) issued(raw json.RawMessage, now time.Time) (iat time.Time, wrong string) {
	seconds, err := strconv.ParseFloat(string(raw), 64) // a string is no number here: raw is JSON
	if err != nil || seconds < 0 || seconds > maxTime {
		return time.Time{}, "The DPoP proof needs an iat: the time that it was made, in seconds since 1970."
	}
	whole, fraction := math.Modf(seconds)
	iat = time.Unix(int64(whole), int64(fraction*float64(time.Second)))
	switch age := now.Sub(iat); {
	case age > v.window:
		return time.Time{}, "The DPoP proof is too old: its iat may be " + v.window.String() + " ago at most. Is the client's clock right?"
	case age < -Ahead:
		return time.Time{}, "The DPoP proof is from the future: its iat may be " + Ahead.String() + " ahead at most. Is the client's clock right?"
	}
	return iat, ""
}

// shown is an identifier in a message, if it fits: error_description takes no quotes, no
// backslashes and nothing unprintable (RFC 6750 section 3).
func shown(identifier string) string {
	if len(identifier) > maxShown {
		return "the API's URL"
	}
	for i := range len(identifier) {
		if c := identifier[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return "the API's URL"
		}
	}
	return identifier
}
