// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/textproto"
	"slices"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

const (
	maxHeaders    = 16
	maxHeaderName = 64
	maxClaimName  = 128
)

// standardClaims are the members of RFC 7662 section 2.2 that an answer has if the
// policy names none.
func standardClaims() []string {
	return []string{"scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"}
}

func (p *Policy) respond(r *v1alpha1.Response, wrong *problems) {
	if len(r.Headers) > maxHeaders {
		wrong.add("spec.respond.headers", "has %d entries: %d are possible", len(r.Headers), maxHeaders)
	}
	for i := range r.Headers {
		p.respondHeader(index("spec.respond.headers", i), &r.Headers[i], wrong)
	}
	if len(r.Claims) > maxValues {
		wrong.add("spec.respond.claims", "has %d entries: %d are possible", len(r.Claims), maxValues)
	}
	for i, claim := range r.Claims {
		path := index("spec.respond.claims", i)
		wrong.claim(path, claim)
		if claim == "active" || claim == "cnf" {
			wrong.add(path, "is %s: active is always there, and surfaces.introspection.boundTokens decides about cnf; leave it out", claim)
		}
		if slices.Contains(p.claims, string(claim)) {
			wrong.add(path, "is %s a second time: leave one out", quoted(string(claim)))
		}
		p.claims = append(p.claims, string(claim))
	}
	if len(p.claims) == 0 {
		p.claims = standardClaims()
	}
}

func (p *Policy) respondHeader(path string, r *v1alpha1.ResponseHeader, wrong *problems) {
	h := header{name: textproto.CanonicalMIMEHeaderKey(r.Name), claim: string(r.Claim)}
	wrong.headerName(path+".name", h.name)
	switch {
	case r.Claim != "" && r.Expression != "":
		wrong.add(path, "has claim and expression: leave one out")
	case r.Expression != "":
		h.value = p.declare(expression{path: path + ".expression", source: r.Expression}, wrong)
	default:
		wrong.claim(path+".claim", r.Claim)
	}
	if slices.Contains(p.headerNames, h.name) {
		wrong.add(path+".name", "is %s, as another header is: names are compared without case", quoted(h.name))
	}
	p.headers = append(p.headers, h)
	p.headerNames = append(p.headerNames, h.name)
}
