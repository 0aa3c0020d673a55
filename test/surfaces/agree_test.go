// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// exception is where a surface answers otherwise, and why it has to.
type exception struct {
	trial    string
	surfaces []string
	want     outcome
	why      string
}

// exceptions are all that there are: TestSurfacesAgree finds others.
func exceptions() []exception {
	unseen := []string{facade, tokenReview} // where nobody sees the user's request
	bound := denied(token.ReasonBoundToken)
	const unproved = "nobody proves possession of the key there"
	return []exception{
		{"rule reads request", unseen, denied(token.ReasonRuleDenied), "there is no request to read"},
		{"host not listed", unseen, allowed(), "no host is called there"},
		{"gateway not listed", unseen, allowed(), "no gateway asks there"},
		{"DPoP with proof", unseen, bound, unproved},
		{"mTLS with certificate", unseen, bound, unproved},
		{"mTLS without", unseen, bound, unproved},
		{"mTLS, another", unseen, bound, unproved},
		{"DPoP, caller verifies", []string{tokenReview}, bound, unproved},
		{"mTLS, caller verifies", []string{tokenReview}, bound, unproved},
		{"unbound as DPoP", unseen, allowed(), "no scheme is told there"},
		{"two servers, the second's", []string{facade}, denied(token.ReasonInvalidIssuer), "a client is answered from its own entries (CVE-2026-37979)"},
		{"garbage bytes", unseen, denied(token.ReasonMalformedToken), "there the token stands alone; in an Authorization header it may be two"},
		{"no token", []string{facade}, outcome{malformed, token.ReasonInvalidRequest}, "RFC 7662 section 2.1: the parameter is required"},
		{"client missing", []string{facade}, undecided(token.ReasonNoPolicy), "the caller is a client, which the policy does not name"},
		{"no TokenReview", []string{tokenReview}, undecided(token.ReasonSurfaceNotConfigured), "the policy does not say who the user is"},
		{"long subject", []string{"Nginx"}, undecided(token.ReasonResponseTooLarge), "nginx takes 4 KB of headers"},
		{"long subject", []string{tokenReview}, denied(token.ReasonInvalidUser), "no user of a cluster has such a name"},
		{"no sub", []string{tokenReview}, denied(token.ReasonInvalidUser), "the user's name is made of it"},
	}
}

// expected is what a surface is to answer.
func expected(name string, tr *trial, s *surface) outcome {
	for _, e := range exceptions() {
		if e.trial == name && slices.Contains(e.surfaces, s.name) {
			return e.want
		}
	}
	return tr.want
}

// everything is a plane with a policy, a client and a server for each trial.
func everything(t *testing.T, all map[string]trial) (*plane, *cast) {
	t.Helper()
	c := &cast{t: t, provider: newProvider(t), stranger: newSigner(t, "k1"), key: newSigner(t, "")}
	ca := env.CAForTest(t)
	c.user, c.other = ca.CertificateForTest(t, env.Names{DNS: []string{"user.example.com"}}), ca.CertificateForTest(t, env.Names{DNS: []string{"other.example.com"}})
	s := settings{state: engine.State{TakenAt: time.Now(), Clients: []engine.ClientState{clientState("second", "second")}}}
	s.state.Servers = append(s.state.Servers, c.provider.state("second", otherIssuer, "/introspect"))
	for name, tr := range all {
		id := slug(name)
		s.reviews = append(s.reviews, "shop/"+id)
		path := tr.path
		if path == "" {
			path = "/introspect"
		}
		server, client := c.provider.state(id, issuer, path), clientState(id, id)
		if tr.server != nil {
			tr.server(&server)
		}
		if tr.client != nil {
			tr.client(&client)
		}
		s.state.Servers, s.state.Clients = append(s.state.Servers, server), append(s.state.Clients, client)
		if tr.absent {
			continue
		}
		p := policyState(t, id, id, tr.policy)
		if tr.state != nil {
			tr.state(&p)
		}
		s.state.Policies = append(s.state.Policies, p)
	}
	return start(t, s), c
}

func both() map[string]trial {
	all := trials()
	maps.Copy(all, outages())
	return all
}

// TestSurfacesAgree: the same question has the same answer, with the same reason, over every
// protocol, cold and warm; the exceptions are exactly those that are listed. Each answer has
// the id of exactly one audit line, which says the same.
func TestSurfacesAgree(t *testing.T) {
	all := both()
	p, c := everything(t, all)
	for _, e := range exceptions() {
		if _, ok := all[e.trial]; !ok || all[e.trial].want == e.want || e.why == "" {
			t.Errorf("the exception of %q is none", e.trial)
		}
	}
	for name, tr := range all {
		t.Run(name, func(t *testing.T) {
			c.t = t
			for i, s := range p.surfaces {
				q := c.question(&tr, slug(name), fmt.Sprintf("%s-%d", slug(name), i))
				for _, temperature := range []string{"cold", "warm"} {
					a := s.must(t, q)
					p.check(t, s, &a, fmt.Sprintf("%s (%s), %s", s.name, temperature, tr.reason), slug(name), expected(name, &tr, s))
				}
			}
		})
	}
}

// check holds an answer, and its audit line, to an outcome.
func (p *plane) check(t *testing.T, s *surface, a *answer, what, policy string, want outcome) {
	t.Helper()
	if a.verdict != want.verdict {
		t.Errorf("%s: answered %s, want %s", what, a.verdict, want.verdict)
	}
	said := p.log.decisions(t)[a.id]
	if a.id == "" || len(said) == 0 {
		t.Errorf("%s: no audit line of the answer's id %q", what, a.id)
		return
	}
	last := said[len(said)-1]
	ref := "/" // refused unread
	if policy != "" {
		ref = "shop/" + policy
	}
	verdicts := map[string][]string{allow: {"Allow"}, deny: {"Deny", "Refused"}, cannotTell: {"Undecided", "Refused"}, malformed: {"Refused"}}
	if last.Surface != s.kind || last.Policy != ref || last.Reason != string(want.reason) || !slices.Contains(verdicts[want.verdict], last.Verdict) {
		t.Errorf("%s: the audit line says %+v, want %+v", what, last, want)
	}
	// An allow that could not be sent has a second line.
	if most := 1; len(said) > most && want.reason != token.ReasonResponseTooLarge {
		t.Errorf("%s: %d audit lines: %+v", what, len(said), said)
	}
}
