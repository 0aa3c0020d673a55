// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestRFC9449: a proof is for one request, one token and one key, and good once, whichever
// gateway sees it first.
func TestRFC9449(t *testing.T) {
	idp, key, other := newProvider(t), newSigner(t, ""), newSigner(t, "")
	p := simple(t, idp, "/introspect")
	bound := object{"cnf": object{"jkt": key.thumbprint(t)}}
	const target = "/v1/orders?page=2"
	for _, s := range p.onGateways() {
		minted := idp.mint(t, s.name, bound)
		mine := question{token: minted, target: target}
		asking := func(proofs ...string) question {
			return question{token: minted, headers: map[string][]string{"Authorization": {"DPoP " + minted}, "Dpop": proofs}}
		}
		once := asking(key.proof(t, &mine))
		a := s.must(t, once)
		p.check(t, s, &a, s.name+", a proof", "orders", allowed())
		for _, again := range p.onGateways() {
			a := again.must(t, once)
			p.check(t, again, &a, again.name+", a proof that "+s.name+" saw", "orders", denied(token.ReasonInvalidProof))
		}
		for name, proofs := range map[string][]string{
			"none":          {},
			"two":           {key.proof(t, &mine), key.proof(t, &mine)},
			"another path":  {key.proof(t, &question{token: minted, target: "/v1/invoices"})},
			"another token": {key.proof(t, &question{token: "another", target: target})},
			"another key":   {other.proof(t, &mine)},
			"no proof":      {"a.b.c"},
			"the token":     {minted},
		} {
			a := s.must(t, asking(proofs...))
			p.check(t, s, &a, s.name+", "+name, "orders", denied(token.ReasonInvalidProof))
			if challenge := a.headers.Get("Www-Authenticate"); len(challenge) < 5 || challenge[:5] != "DPoP " {
				t.Errorf("%s, %s: the challenge is %s", s.name, name, challenge)
			}
		}
	}
}
