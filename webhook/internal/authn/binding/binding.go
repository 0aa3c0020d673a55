// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binding checks that whoever sends a token that is bound to a key (RFC 7800
// `cnf`) possesses the key: by a DPoP proof (RFC 9449) or by the TLS certificate
// (RFC 8705). It is asked on every request: a proof is good for one, and what it says is
// never cached with the token.
package binding

import (
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// DefaultWindow is how old a proof may be if Options do not say.
	DefaultWindow = time.Minute
	// DefaultMaxProofs is how many proofs are remembered if Options do not say: about 40 MB.
	DefaultMaxProofs = 1 << 20
	// Ahead is how far in the future a proof's iat may be: clients' clocks are off by
	// seconds (RFC 9449 section 11.1).
	Ahead = 10 * time.Second
)

// Options of New.
type Options struct {
	// Clock is the time, with its monotonic reading; required.
	Clock func() time.Time
	// Window is how old a proof may be; 0 is DefaultWindow. The future gets Ahead, whatever
	// Window is.
	Window time.Duration
	// MaxProofs is how many proofs are remembered, at about 40 bytes each; 0 is
	// DefaultMaxProofs. One key gets half of them: a client that runs wild can't lock out
	// everybody else.
	MaxProofs int
}

// Verifier checks possession. It remembers the proofs that it took, in memory: N replicas
// take a proof N times at most.
type Verifier struct {
	clock  func() time.Time
	window time.Duration
	used   *used
}

// New is a Verifier that has seen no proof.
func New(opts Options) *Verifier {
	if opts.Window <= 0 {
		opts.Window = DefaultWindow
	}
	if opts.MaxProofs <= 0 {
		opts.MaxProofs = DefaultMaxProofs
	}
	return &Verifier{
		clock:  opts.Clock,
		window: opts.Window,
		used:   newUsed(opts.Window+Ahead, opts.MaxProofs),
	}
}

// Question is what one request shows.
type Question struct {
	// Token that was sent, and Scheme that it was sent with.
	Token  token.Token
	Scheme token.Scheme
	// Facts of the token: they say what it is bound to.
	Facts *token.Facts
	// HTTP is the request that a gateway asks about; nil where nobody saw one.
	HTTP *token.HTTPRequest
	// Resource is the policy's spec.resource.identifier: the origin, and a path if it has
	// one, that `htu` has before the path of the request. Without it no DPoP proof can be
	// checked: what the gateway calls the host came from whoever sent the request.
	Resource string
}

// Check says whether the request proves possession of every key that the token is bound
// to; nil, nil if it does, and if the token is bound to none. A Decision is a refusal:
// ReasonBoundToken if there was nothing to check, ReasonInvalidProof,
// ReasonInvalidCertificate, or ReasonUnboundToken for a token that was sent as DPoP and is
// none (RFC 9449 section 7.1). Undecided, with ReasonOverloaded: no more proofs can be
// remembered. No nonce is asked for (RFC 9449 section 9 leaves it to the server): the
// window bounds how long a proof may be made in advance.
func (v *Verifier) Check(q *Question) (*token.Decision, *token.Undecided) {
	f := q.Facts
	if f == nil {
		return nil, &token.Undecided{Reason: token.ReasonInternal, Message: "The facts of the token are missing."}
	}
	if refusal := checkable(q); refusal != nil {
		return refusal, nil
	}
	if f.X5T != "" {
		if refusal := certificate(f.X5T, q.HTTP.Certificate); refusal != nil {
			return refusal, nil
		}
	}
	if f.JKT != "" {
		return v.proof(q)
	}
	return nil, nil
}

// checkable refuses what no proof and no certificate could mend.
func checkable(q *Question) *token.Decision {
	f := q.Facts
	dpop := f.JKT != ""
	// A server that calls a token DPoP and names no key means a key all the same.
	called := strings.EqualFold(f.TokenType, "DPoP") || strings.EqualFold(f.Type, "DPoP")
	switch {
	case (f.Bound || called) && !dpop && (f.X5T == "" || called):
		return deny(token.ReasonBoundToken, "The token is bound in a way that nobody here can check.")
	case (dpop || f.X5T != "") && q.HTTP == nil:
		return deny(token.ReasonBoundToken, "The token is bound to a key, and nobody proves possession of it here.")
	case q.Scheme == token.SchemeDPoP && !dpop:
		return deny(token.ReasonUnboundToken, "The token was sent with the scheme DPoP and is not bound to a DPoP key.")
	case dpop && q.Scheme != token.SchemeDPoP:
		return challenge(token.ReasonBoundToken, "The token is bound to a DPoP key: send it with the scheme DPoP and a proof.")
	}
	return nil
}

// certificate checks RFC 8705 section 3.1.
func certificate(x5t string, presented *[32]byte) *token.Decision {
	if presented == nil {
		return deny(token.ReasonInvalidCertificate, "The token is bound to a TLS certificate, and none was presented.")
	}
	if !same(x5t, base64.RawURLEncoding.EncodeToString(presented[:])) {
		return deny(token.ReasonInvalidCertificate, "The token is bound to another TLS certificate than the one presented.")
	}
	return nil
}

// same compares in constant time: how much of a thumbprint is right is nobody's business.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func deny(reason token.Reason, message string) *token.Decision {
	return &token.Decision{Verdict: token.Deny, Reason: reason, Message: message}
}

// challenge is a refusal that asks for a DPoP proof.
func challenge(reason token.Reason, message string) *token.Decision {
	d := deny(reason, message)
	d.Challenge.DPoP = true
	return d
}
