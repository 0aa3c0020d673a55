// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func credentialRows() map[string]row {
	all := map[string]row{
		"switch-method": {
			reason: "a client can turn from each method to each other one, and no old credential outlives it",
			lacks:  oneMethod, test: testSwitch, instead: saysOneMethod,
		},
	}
	for _, m := range []provider.Method{provider.ClientSecret, provider.PrivateKeyJWT, provider.ServiceAccountJWT} {
		all["method-"+string(m)] = row{
			reason:  "a client that proves itself by " + string(m) + " is registered and accepted, and nobody else for it",
			lacks:   func(s *suite) string { return s.noMethod(m) },
			test:    func(b *bench) { b.testMethod(m) },
			instead: func(b *bench) { b.saysNoMethod(m) },
		}
	}
	return all
}

func (s *suite) noMethod(m provider.Method) string {
	switch {
	case !s.has(m):
		return "its capabilities name no " + string(m)
	case m == provider.ServiceAccountJWT && s.h.Config.FederatedIssuer == "":
		return "the server knows no issuer of ServiceAccount tokens"
	}
	return ""
}

// subject is a ServiceAccount that need not exist, where the suite has none to prove.
const subject = "system:serviceaccount:suite:orders"

// credential is one of a method; empty is the value where the server chooses it.
func (b *bench) credential(m provider.Method) provider.Credential {
	b.t.Helper()
	switch m {
	case provider.PrivateKeyJWT:
		return b.h.NewKey(b.t)
	case provider.ServiceAccountJWT:
		who := subject
		if b.h.ServiceAccount != nil {
			who = b.h.ServiceAccount.Subject
		}
		return provider.Credential{Method: m, ID: idOf(who), Subject: who, IssuedAt: b.h.Config.Clock()}
	case provider.ClientSecret:
	}
	return b.secret()
}

// provable says that the suite can prove a method's credential.
func (b *bench) provable(m provider.Method) bool {
	return m != provider.ServiceAccountJWT || b.h.ServiceAccount != nil
}

func (b *bench) testMethod(m provider.Method) {
	c := b.caller("")
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.credential(m) })
	b.must(c, create)
	b.wantOne(c)
	b.wantWell(c)
	if !b.provable(m) {
		b.cannot("the harness has no ServiceAccount: whether the server accepts its token")
		return
	}
	b.wantAccepted(c, c.Current(), true)
	b.wantAccepted(c, b.h.NewSecret(), false)
	if b.has(provider.PrivateKeyJWT) {
		b.wantAccepted(c, b.h.NewKey(b.t), false)
	}
}

func (b *bench) saysNoMethod(m provider.Method) {
	c := b.caller("")
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.credential(m) })
	w := &wire{}
	b.wantUnsupported(b.doIn(b.open(b.t, w, nil), c, create))
	if writes := w.writes(); len(writes) > 0 {
		b.t.Errorf("it wrote: %q", writes)
	}
}

// methods are those that this server and the harness have.
func (s *suite) methods() []provider.Method {
	var all []provider.Method
	for _, m := range s.caps.Methods {
		if s.noMethod(m) == "" {
			all = append(all, m)
		}
	}
	return all
}

func oneMethod(s *suite) string {
	if len(s.methods()) < 2 {
		return "there is one method only"
	}
	return noUpdate(s)
}

func saysOneMethod(b *bench) {
	if !b.has(provider.ClientSecret) && !b.has(provider.PrivateKeyJWT) {
		b.t.Error("the capabilities name no method that every workload can have")
	}
}

func testSwitch(b *bench) {
	for _, from := range b.methods() {
		for _, to := range b.methods() {
			if from == to {
				continue
			}
			b.sub(string(from)+"-to-"+string(to), func(b *bench) {
				b.testSwitchOne(from, to)
			})
		}
	}
}

func (b *bench) testSwitchOne(from, to provider.Method) {
	c := b.caller("." + string(from) + "." + string(to))
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.credential(from) })
	b.must(c, create)
	old := c.Current()
	c.Change(func(d *provider.Desired) { d.Credentials.Current = b.credential(to) })
	if drift := b.observe(c).Drift; len(drift) == 0 {
		b.t.Fatal("another method is no drift")
	}
	b.must(c, reconcile)
	b.wantWell(c)
	b.wantOne(c)
	if b.provable(to) {
		b.wantAccepted(c, c.Current(), true)
	}
	if b.provable(from) {
		b.wantAccepted(c, old, false)
	}
}
