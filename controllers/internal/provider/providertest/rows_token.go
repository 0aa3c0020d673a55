// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// What a server makes of live tokens is not the provider's doing; but users decide by what its
// capabilities say of it.
func tokenRows() map[string]row {
	return map[string]row{
		"live-token":  {reason: "tokens are active, and become inactive, as the capabilities say", test: testLiveToken},
		"scope-check": {reason: "a client that has none of a token's scopes sees it as the capabilities say", test: testScopeCheck},
	}
}

// form is what the capabilities say of a token of this form.
func (s *suite) form(token string) (provider.Support, provider.Revocation) {
	if strings.Count(token, ".") == 2 {
		return s.caps.JWTs, s.caps.JWTRevocation
	}
	return s.caps.OpaqueTokens, s.caps.OpaqueRevocation
}

func testLiveToken(b *bench) {
	if len(b.h.TokenClients) == 0 {
		b.cannot("the harness has no client that can get a token")
		return
	}
	c := b.mappedIfPossible()
	if b.maps(provider.AudienceDefault) {
		var all []string
		for _, tc := range b.h.TokenClients {
			all = append(all, tc.ID)
		}
		b.remap(c, func(a *provider.Audience) { a.TokenClients = all })
	}
	for _, by := range b.h.TokenClients {
		token := b.h.token(b.t, by, joined(b.h.Scopes, ""), "")
		support, revocation := b.form(token)
		active := b.active(c, token)
		switch {
		case support == provider.SupportUnknown, b.caps.AudienceCheck == provider.CheckUnknown && !active:
			b.t.Logf("a token of %s is active: %v; the capabilities don't say", by.ID, active)
			continue
		case active != (support == provider.Supported):
			b.t.Errorf("a token of %s is active: %v; the capabilities say %s", by.ID, active, support)
		}
		b.revoked(c, by, token, revocation)
	}
}

// active asks for a live token. A server that does not take its form may say so by an error.
func (b *bench) active(c *Caller, token string) bool {
	b.t.Helper()
	answer, err := b.h.introspect(b.t.Context(), b.t, c.Desired().ClientID, c.Current(), token)
	if err != nil {
		b.t.Logf("introspection: %v", err)
	}
	return err == nil && answer.active
}

func (b *bench) revoked(c *Caller, by TokenClient, token string, revocation provider.Revocation) {
	b.t.Helper()
	if b.h.Hand.Revoke == nil {
		b.cannot("nobody can revoke a token of %s", by.ID)
		return
	}
	if !b.active(c, token) {
		return
	}
	b.h.Hand.Revoke(b.t, by, token)
	active := b.active(c, token)
	if revocation == provider.RevocationUnknown {
		b.t.Logf("a revoked token of %s is active: %v; the capabilities don't say", by.ID, active)
		return
	}
	if want := revocation == provider.RevocationNever; active != want {
		b.t.Errorf("a revoked token of %s is active: %v; the capabilities say it is inactive %s", by.ID, active, revocation)
	}
}

func testScopeCheck(b *bench) {
	if len(b.h.TokenClients) == 0 || len(b.h.Scopes) == 0 || b.caps.ScopeCheck == provider.CheckUnknown {
		b.cannot("the harness names no scopes, or the capabilities don't say what introspection makes of them")
		return
	}
	c := b.caller("")
	c.Change(func(d *provider.Desired) {
		d.Scopes = nil
		d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{b.first().ID}
	})
	b.must(c, create)
	b.must(c, mapAudience)
	active := b.active(c, b.h.token(b.t, b.first(), joined(b.h.Scopes, ""), ""))
	if want := b.caps.ScopeCheck == provider.CheckIgnored; active != want {
		b.t.Errorf("a token is active for a client without scopes: %v; the capabilities say %s", active, b.caps.ScopeCheck)
	}
}
