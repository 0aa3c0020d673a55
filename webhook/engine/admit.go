// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// usable says why the snapshot can't be answered from.
func (e *Engine) usable(s *snapshot) *token.Undecided {
	if s == nil {
		return token.NotStarted()
	}
	if e.maxSnapshotAge > 0 && e.clock().Sub(s.confirmed()) > e.maxSnapshotAge {
		return snapshotTooOld(e.maxSnapshotAge)
	}
	return nil
}

// admit says which servers of the policy this caller may be told about. A decision is one
// that does not depend on the token; an Undecided says why the policy can't be asked.
func admit(req *token.Request, p *boundPolicy) ([]acceptedServer, *token.Decision, *token.Undecided) {
	var among []acceptedServer
	if req.Surface == token.SurfaceIntrospection {
		var u *token.Undecided
		if among, u = admitCaller(req, p); u != nil {
			return nil, nil, u
		}
	}
	if p == nil {
		return nil, nil, noPolicy(req.Policy)
	}
	if p.undecided != nil {
		return nil, nil, p.undecided
	}
	switch {
	case req.Surface.OnGateway():
		if req.HTTP == nil { // an adapter's fault; its rules could not be judged
			return nil, nil, surfaceNotConfigured(p.Ref)
		}
		if d, u := p.Compiled.AdmitHTTP(req); d != nil || u != nil {
			return nil, d, u
		}
	case req.Surface == token.SurfaceTokenReview && !p.Compiled.ServesTokenReview():
		return nil, nil, surfaceNotConfigured(p.Ref)
	}
	if among == nil {
		among = p.accepts
	}
	if len(among) == 1 && among[0].undecided != nil {
		return nil, nil, among[0].undecided
	}
	return among, nil, nil
}

// admitCaller answers client X from the accept entries of X only, and a ServiceAccount that
// the policy lists from all. Whether a policy of another namespace exists is not said.
func admitCaller(req *token.Request, p *boundPolicy) ([]acceptedServer, *token.Undecided) {
	if req.ServiceAccount != (token.Ref{}) {
		if p == nil || p.Compiled == nil || !p.Compiled.ServiceAccount(req.ServiceAccount) {
			return nil, serviceAccountUnknown(req.ServiceAccount, req.Policy)
		}
		return p.accepts, nil
	}
	switch {
	case req.Client.Namespace != req.Policy.Namespace:
		return nil, foreignPolicy(req.Client)
	case p == nil:
		return nil, noPolicyOfClient(req.Policy, req.Client)
	case p.Compiled == nil:
		return nil, p.undecided
	}
	for i := range p.accepts {
		if p.accepts[i].name == req.Client.Name {
			return p.accepts[i : i+1], nil
		}
	}
	return nil, noPolicyOfClient(req.Policy, req.Client)
}

// weigh refuses what is no token at the price of a length.
func weigh(t token.Token) *token.Decision {
	switch n := len(t.Reveal()); {
	case n == 0:
		return &token.Decision{Reason: token.ReasonMissingToken, Message: "The request carries no token."}
	case n > token.MaxLength:
		return malformed("The token is longer than 16 KiB.")
	}
	return nil
}

// route finds the server that is to be asked about a token, or refuses one that none needs
// to be asked about. `iss` is read unverified: it may only choose, and keep a token from a
// server that did not issue it, for which a foreign token would be a live credential of
// somebody else's. An opaque one does not say whose it is: it goes only where the policy
// says so, dots or not.
func route(t token.Token, among []acceptedServer) (a *acceptedServer, opaque bool, refused *token.Decision) {
	for _, b := range []byte(t.Reveal()) {
		if b < 0x21 || b > 0x7e {
			return nil, false, malformed("The token has characters that no token has.")
		}
	}
	issuer, _, _, isJWT := token.Hint(t)
	a, refused = choose(issuer, isJWT, among)
	return a, !isJWT, refused
}

func choose(issuer string, isJWT bool, among []acceptedServer) (*acceptedServer, *token.Decision) {
	unknown := (*acceptedServer)(nil)
	for i := range among {
		a := &among[i]
		switch {
		case !isJWT && a.opaque, isJWT && a.client != nil && a.client.server != nil && a.client.server.Issuer == issuer:
			return a, nil
		case isJWT && (a.client == nil || a.client.server == nil):
			unknown = a // nobody knows its issuer now: it may be this one
		}
	}
	switch {
	case !isJWT:
		return nil, malformed("The token is not a JWT.")
	case unknown != nil:
		return unknown, nil
	case len(among) > 1:
		return nil, &token.Decision{Reason: token.ReasonInvalidIssuer, Message: "The token is of none of the accepted issuers."}
	}
	return &among[0], &token.Decision{Reason: token.ReasonInvalidIssuer, Message: "The token is of another issuer."}
}

// modeOf is how a token is to be checked at an accepted server. One that is no JWT has no
// signature to look at.
func (a *acceptedServer) modeOf(opaque bool) policy.Mode {
	if opaque {
		return policy.ModeIntrospect
	}
	return a.mode
}

func malformed(message string) *token.Decision {
	return &token.Decision{Reason: token.ReasonMalformedToken, Message: message}
}
