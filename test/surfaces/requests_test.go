// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// onGateways are the surfaces that gateways ask on.
func (p *plane) onGateways() []*surface {
	return slices.DeleteFunc(slices.Clone(p.surfaces), func(s *surface) bool { return s.name == facade || s.name == tokenReview })
}

// TestCVE202644087 (CVE-2026-88011): whatever spelling of an identity header a user sends,
// the request is refused; the exact name is replaced by ours.
func TestCVE202644087(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	minted := idp.mint(t, "1", nil)
	for _, s := range p.onGateways() {
		for _, name := range configured() {
			for _, spelling := range []string{
				strings.ReplaceAll(name, "-", "_"), strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.Replace(name, "-", "_", 1),
				strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", "~"), strings.Replace(name, "-", "!", 1),
			} {
				a := s.must(t, question{token: minted, headers: map[string][]string{spelling: {"root"}}})
				p.check(t, s, &a, s.name+", "+spelling, "orders", denied(token.ReasonInvalidRequest))
			}
			a := s.must(t, question{token: minted, headers: map[string][]string{name: {"root"}}})
			p.check(t, s, &a, s.name+", "+name, "orders", allowed())
			if values := a.headers[name]; len(values) != 1 || values[0] == "root" {
				t.Errorf("%s: %s is %q", s.name, name, values)
			}
		}
	}
}

// TestGHSAw9mr (GHSA-w9mr-28mw-j8hg): a user can't have our header removed as a hop-by-hop one.
func TestGHSAw9mr(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	minted := idp.mint(t, "1", nil)
	for _, s := range p.onGateways() {
		for _, options := range []string{"x-auth-subject", "keep-alive, X-Auth-Issuer", "X_Auth_Subject"} {
			a := s.must(t, question{token: minted, headers: map[string][]string{"Connection": {options}}})
			p.check(t, s, &a, s.name+", "+options, "orders", denied(token.ReasonInvalidRequest))
		}
	}
}

// TestGHSA7r4p (GHSA-7r4p-vjf4-gxv4): each configured header is in each allow, once: what is
// not sent stays the client's own.
func TestGHSA7r4p(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	for name, changes := range map[string]object{
		"all claims": {"tenant": "acme"}, "some": nil, "few": {"sub": nil}, "odd": {"sub": "a\r\nX-Admin: 1", "tenant": object{"a": 1}}, "empty": {"sub": ""},
	} {
		for _, s := range p.onGateways() {
			a := s.must(t, question{token: idp.mint(t, name+s.name, changes), headers: map[string][]string{"X-Auth-Tenant": {"root"}, "X-Auth-Subject": {"root"}}})
			if a.verdict != allow {
				t.Errorf("%s, %s: answered %s", s.name, name, a.verdict)
			}
			for _, header := range configured() {
				if values := a.headers[header]; len(values) != 1 || strings.ContainsAny(values[0], "\r\n") || values[0] == "root" {
					t.Errorf("%s, %s: %s is %q", s.name, name, header, values)
				}
			}
		}
	}
}

// strict adds a policy that no token here passes.
func strict(t *testing.T) func(*settings) {
	t.Helper()
	return func(s *settings) {
		s.state.Policies = append(s.state.Policies, policyState(t, "strict", "orders", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Require.Scopes.AllOf = []string{"orders.write"}
		}))
	}
}

// TestCVE202633494 (envoy #36122, #43398): a path asks the policy that its gateway meant, or
// none: nothing is cleaned or decoded.
func TestCVE202633494(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", strict(t))
	minted := idp.mint(t, "1", nil)
	for _, s := range p.surfaces {
		a := s.must(t, question{token: minted})
		p.check(t, s, &a, s.name+", as it is", "orders", allowed())
		for _, policy := range []string{
			"strict/../orders", "strict/../../shop/orders", "strict/%2e%2e/orders", "strict/..%2forders", "strict//..//orders", "strict/./../orders",
			"/orders", "../shop/orders", "%6frders", "orders%00", "orders;x=1", "orders%2fx", "Orders", "strict;/../orders", "orders.", "%2e%2e/shop/orders",
		} {
			a := s.must(t, question{token: minted, policy: policy, caller: "orders"})
			if a.verdict == allow {
				t.Errorf("%s: asked about %q, it allowed", s.name, policy)
			}
			for _, said := range p.log.decisions(t)[a.id] {
				if said.Verdict == "Allow" || said.Policy == "shop/orders" {
					t.Errorf("%s: asked about %q, the audit line says %+v", s.name, policy, said)
				}
			}
		}
	}
	for _, s := range p.onGateways() {
		for _, target := range []string{"/../orders", "/../../shop/orders", "/%2e%2e/orders", "//orders", "/..;/orders", "/?policy=orders", "/"} {
			a := s.must(t, question{token: minted, policy: "strict", target: target})
			p.check(t, s, &a, s.name+", the user's path "+target, "strict", denied(token.ReasonInsufficientScope))
		}
	}
}

// TestCVE202640575: who is not declared is nobody, whatever it says of the request; and of a
// declared gateway only the headers of its own kind are read.
func TestCVE202640575(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Policies = append(s.state.Policies, policyState(t, "billing", "orders", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Surfaces.Gateways.Hosts = []string{"billing.example.com"}
		}))
	})
	minted := idp.mint(t, "1", nil)
	for _, san := range []string{"", "evil.edge.svc", apiServer} {
		client := p.client(t, p.addresses.ForwardAuth, san)
		for _, g := range gateways() {
			ask := func() (answer, error) {
				return askForwardAuth(t.Context(), t, client, g, (&question{token: minted}).defaults())
			}
			if g.kind == "EnvoyGRPC" {
				stranger := p.extAuthzAs(t, g, san)
				ask = func() (answer, error) { return stranger.ask(t.Context(), t, (&question{token: minted}).defaults()) }
			}
			if a, err := ask(); err != nil || a.verdict != cannotTell || len(p.log.decisions(t)[a.id]) != 1 {
				t.Errorf("%q as %s: %s %v", san, g.kind, a.verdict, err)
			}
		}
	}
	for _, san := range []string{"", "evil.edge.svc", "nginx.edge.svc"} {
		a, err := askTokenReview(t.Context(), t, p.client(t, p.addresses.TokenReview, san), (&question{token: minted}).defaults())
		if err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("%q as the API server: %s %v", san, a.verdict, err)
		}
	}
	for _, s := range p.onGateways() {
		a := s.must(t, question{token: minted, policy: "billing", headers: map[string][]string{
			"X-Original-Url": {"https://billing.example.com/"}, "X-Forwarded-Host": {"billing.example.com"}, "Forwarded": {"host=billing.example.com"},
			"X-Host": {"billing.example.com"}, "X-Forwarded-Server": {"billing.example.com"},
		}})
		p.check(t, s, &a, s.name+", another kind's headers", "billing", denied(token.ReasonHostNotAllowed))
	}
}

// TestCVE202637979: whoever is not the token's audience learns nothing but that.
func TestCVE202637979(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	a := p.named(facade).must(t, question{token: idp.mint(t, "1", object{"aud": "billing"})})
	p.check(t, p.named(facade), &a, "a token of another API", "orders", denied(token.ReasonInvalidAudience))
	if a.body != `{"active":false}` {
		t.Errorf("answered %s", a.body)
	}
}

// TestCVE202658425: a tenant's caller is answered from its own policies: nothing of another's,
// nor whether it exists.
func TestCVE202658425(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		s.state.Servers[0].Namespaces["rival"] = struct{}{}
		s.state.Clients = append(s.state.Clients, clientIn("rival", "rival", "s"))
		s.state.Policies = append(s.state.Policies, policyIn(t, token.Ref{Namespace: "rival", Name: "rival"}, "rival", func(spec *v1alpha1.TokenPolicySpec) {
			spec.Require.Audiences = &v1alpha1.AudienceRequirement{AnyOf: []string{"rivals"}}
		}))
	})
	s, minted := p.named(facade), idp.mint(t, "1", nil)
	there := s.must(t, question{token: minted, caller: "rival"})
	missing := s.must(t, question{token: minted, policy: "nothing", caller: "rival"})
	if there.verdict != cannotTell || there.body != missing.body || there.status != missing.status {
		t.Errorf("answered %s, and where there is no policy %s", there.verdict, missing.verdict)
	}
	own := s.must(t, question{namespace: "rival", policy: "rival", token: minted})
	if own.verdict != deny {
		t.Errorf("its own policy answered about another's token: %s", own.verdict)
	}
}

// TestCVE202650197 (family): a body over the limit is not judged by a part of it.
func TestCVE202650197(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	minted, pad := idp.mint(t, "1", nil), strings.Repeat("x", 70<<10)
	review := `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"` + minted + `","audiences":["` + apiAudience + `"]}`
	for name, c := range map[string]struct {
		surface, body, want string
	}{
		"facade, after":       {facade, "token=" + minted + "&pad=" + pad, malformed},
		"facade, before":      {facade, "pad=" + pad + "&token=" + minted, malformed},
		"facade, whole":       {facade, "token=" + minted + "&pad=" + pad[:1<<10], allow},
		"TokenReview, after":  {tokenReview, review + `,"metadata":{"name":"` + pad + `"}}`, cannotTell},
		"TokenReview, blanks": {tokenReview, review + strings.Repeat(" ", len(pad)) + "}", cannotTell},
		"TokenReview, whole":  {tokenReview, review + "}", allow},
	} {
		if a := p.named(c.surface).must(t, question{token: minted, body: c.body}); a.verdict != c.want {
			t.Errorf("%s: answered %s, want %s", name, a.verdict, c.want)
		}
	}
	large := question{token: minted, headers: map[string][]string{"X-Pad": {strings.Repeat("x", 2<<20)}}}
	for _, s := range p.onGateways() {
		if a, err := s.ask(t.Context(), t, large.defaults()); err == nil && (a.verdict == allow || a.status == http.StatusOK) {
			t.Errorf("%s: answered %s to 2 MiB of headers", s.name, a.verdict)
		}
	}
	if calls := idp.calls(minted); calls != 1 {
		t.Errorf("the server was asked %d times", calls)
	}
}

// TestTokenReviewAudiences: an allow without an audience would make the token one of the API
// server's own; and the cluster's own names are nobody's (KEP-1205).
func TestTokenReviewAudiences(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", func(s *settings) {
		for name, change := range map[string]func(*v1alpha1.TokenReviewSurface){
			"admin":   func(r *v1alpha1.TokenReviewSurface) { r.Username = "'system:admin'" },
			"masters": func(r *v1alpha1.TokenReviewSurface) { r.Groups = "['system:masters']" },
			"case":    func(r *v1alpha1.TokenReviewSurface) { r.Groups = "['SYSTEM:masters']" },
			"blank":   func(r *v1alpha1.TokenReviewSurface) { r.Username = "' '" },
		} {
			s.state.Policies = append(s.state.Policies, policyState(t, name, "orders", func(spec *v1alpha1.TokenPolicySpec) { change(spec.Surfaces.TokenReview) }))
		}
		s.reviews = []string{"shop/orders", "shop/admin", "shop/masters", "shop/case", "shop/blank"}
		s.state.Policies = append(s.state.Policies, policyState(t, "unlisted", "orders", nil))
	})
	s := p.named(tokenReview)
	asked := func(audiences ...string) string {
		return string(marshal(t, object{"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "spec": object{"token": idp.mint(t, "1", nil), "audiences": audiences}}))
	}
	for name, c := range map[string]struct {
		q    question
		want string
	}{
		"its own":             {question{body: asked(apiAudience)}, allow},
		"its own, of many":    {question{body: asked("other", apiAudience)}, allow},
		"none asked":          {question{body: asked()}, cannotTell},
		"an empty one":        {question{body: asked("")}, deny},
		"others":              {question{body: asked("other")}, deny},
		"system user":         {question{body: asked(apiAudience), policy: "admin"}, deny},
		"system group":        {question{body: asked(apiAudience), policy: "masters"}, deny},
		"system, in capitals": {question{body: asked(apiAudience), policy: "case"}, deny},
		"blank user":          {question{body: asked(apiAudience), policy: "blank"}, deny},
		"an unlisted policy":  {question{body: asked(apiAudience), policy: "unlisted"}, cannotTell},
		"no TokenReview":      {question{body: `{"kind":"SubjectAccessReview"}`}, cannotTell},
		"no JSON":             {question{body: "token=x"}, cannotTell},
	} {
		if a := s.must(t, c.q); a.verdict != c.want {
			t.Errorf("%s: answered %s, want %s", name, a.verdict, c.want)
		}
	}
}
