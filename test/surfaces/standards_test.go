// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

// TestRFC6750 (and RFC 9470): the status and the challenge of each refusal, the same on each
// gateway, and never a 400, of which nginx makes a 500.
func TestRFC6750(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect", strict(t), func(s *settings) {
		s.state.Policies = append(s.state.Policies,
			policyState(t, "stepup", "orders", func(spec *v1alpha1.TokenPolicySpec) {
				spec.Require.ACR, spec.Require.MaxAuthAge = &v1alpha1.ACRRequirement{Values: []string{"gold"}}, hour()
			}),
			policyState(t, "ruled", "orders", rule("claims.sub == 'bob'")))
	})
	good, bad := idp.mint(t, "1", nil), newSigner(t, "k1").sign(t, object{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, object{"iss": issuer})
	header := func(values ...string) map[string][]string { return map[string][]string{"Authorization": values} }
	const told = `resource_metadata="` + metadata + `"`
	cases := map[string]struct {
		reason  string
		q       question
		status  int
		want    []string
		without string
	}{
		"none":                 {"who sent nothing is told nothing (section 3.1)", question{}, 401, []string{`Bearer realm=`, told}, "error"},
		"another scheme":       {"no token either", question{headers: header("Basic YTpi")}, 401, []string{`Bearer realm=`, told}, "error"},
		"scheme in lower case": {"names have no case", question{headers: header("bearer " + good)}, 200, nil, ""},
		"two methods":          {"section 2", question{token: good, target: "/v1/orders?access_token=" + good}, 401, []string{`error="invalid_request"`}, "realm"},
		"two headers":          {"section 2", question{headers: header("Bearer "+good, "Bearer "+good)}, 401, []string{`error="invalid_request"`}, "realm"},
		"two in one":           {"a gateway joined them", question{headers: header("Bearer " + good + ", Bearer " + good)}, 401, []string{`error="invalid_request"`}, "realm"},
		"bad":                  {"section 3.1", question{token: bad}, 401, []string{`Bearer error="invalid_token"`, `error_description="`, told}, "scope="},
		"scope":                {"section 3.1", question{token: good, policy: "strict"}, 403, []string{`error="insufficient_scope"`, `scope="orders.write"`, told}, "realm"},
		"step up":              {"RFC 9470 section 3", question{token: good, policy: "stepup"}, 401, []string{`error="insufficient_user_authentication"`, `acr_values="gold"`, `max_age="3600"`, told}, "realm"},
		"rule":                 {"no other token of that user will do", question{token: good, policy: "ruled"}, 403, []string{`error="access_denied"`, `error_description="Ask for another one."`, told}, "realm"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, s := range p.onGateways() {
				a := s.must(t, c.q)
				challenge := strings.Join(a.headers["Www-Authenticate"], "\n")
				if a.status != c.status || c.without != "" && strings.Contains(challenge, c.without) || strings.Contains(challenge, `\`) || strings.Contains(a.text, good) {
					t.Errorf("%s, %s: answered %d, %s", s.name, c.reason, a.status, challenge)
				}
				for _, want := range c.want {
					if !strings.Contains(challenge, want) {
						t.Errorf("%s, %s: the challenge %s has no %s", s.name, c.reason, challenge, want)
					}
				}
			}
		})
	}
}

// TestRFC9728: each refusal by a policy says where the resource's metadata is.
func TestRFC9728(t *testing.T) {
	all := trials()
	p, c := everything(t, all)
	for name, tr := range all {
		for i, s := range p.onGateways() {
			if expected(name, &tr, s).verdict != deny {
				continue
			}
			a := s.must(t, c.question(&tr, slug(name), fmt.Sprint("metadata-", slug(name), i)))
			if challenge := a.headers.Get("Www-Authenticate"); name != "garbage bytes" && !strings.Contains(challenge, `resource_metadata="`+metadata+`"`) {
				t.Errorf("%s, %s: the challenge is %s", s.name, name, challenge)
			}
		}
	}
}

// TestRFC7662: who may ask how, and what is told to those who may not (sections 2.1 and 2.3).
// That a refusal is exactly {"active":false} (section 2.2) TestSurfacesAgree holds each to.
func TestRFC7662(t *testing.T) {
	idp := newProvider(t)
	p := simple(t, idp, "/introspect")
	client, minted := p.client(t, p.addresses.Introspection, ""), idp.mint(t, "1", nil)
	form := url.Values{"token": {minted}}.Encode()
	const own, formType = "https://" + hostname + "/introspect/shop/orders", "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		method, target, kind, body, id, secret string
		status                                 int
		want                                   string
	}{
		"as it is to be":      {http.MethodPost, own, formType, form, "orders", workloadSecret, 200, `"active":true`},
		"with a charset":      {http.MethodPost, own, formType + "; charset=UTF-8", form, "orders", workloadSecret, 200, `"active":true`},
		"with a hint":         {http.MethodPost, own, formType, form + "&token_type_hint=refresh_token", "orders", workloadSecret, 200, `"active":true`},
		"in the body":         {http.MethodPost, own, formType, form + "&client_id=orders&client_secret=" + workloadSecret, "", "", 200, `"active":true`},
		"by GET":              {http.MethodGet, own, formType, "", "orders", workloadSecret, 405, "invalid_request"},
		"token in the URL":    {http.MethodPost, own + "?" + form, formType, form, "orders", workloadSecret, 400, "invalid_request"},
		"as JSON":             {http.MethodPost, own, "application/json", `{"token":"x"}`, "orders", workloadSecret, 400, "invalid_request"},
		"two tokens":          {http.MethodPost, own, formType, form + "&" + form, "orders", workloadSecret, 400, "invalid_request"},
		"no token":            {http.MethodPost, own, formType, "", "orders", workloadSecret, 400, "invalid_request"},
		"nobody":              {http.MethodPost, own, formType, form, "", "", 401, "invalid_client"},
		"a wrong secret":      {http.MethodPost, own, formType, form, "orders", "wrong", 401, "invalid_client"},
		"an empty secret":     {http.MethodPost, own, formType, form, "orders", "", 401, "invalid_client"},
		"the server's secret": {http.MethodPost, own, formType, form, "orders", serverSecret, 401, "invalid_client"},
		"no policy, nobody":   {http.MethodPost, own + "-none", formType, form, "", "", 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			req := newRequest(t.Context(), t, c.method, c.target, c.body)
			req.Header.Set("Content-Type", c.kind)
			if c.id != "" {
				req.SetBasicAuth(c.id, c.secret)
			}
			a, err := read(client, req)
			if err != nil || a.status != c.status || !strings.Contains(a.body, c.want) || a.headers.Get("Content-Type") != "application/json" {
				t.Errorf("%s: answered %s %v, want %d with %s", name, a.verdict, err, c.status, c.want)
			}
			if challenged := strings.HasPrefix(a.headers.Get("WWW-Authenticate"), "Basic "); challenged != (c.status == http.StatusUnauthorized) {
				t.Errorf("%s: the challenge is %q", name, a.headers.Get("WWW-Authenticate"))
			}
		})
	}
}

// TestAuthorino652: credentials rotate while all surfaces are asked, at the server and at us:
// no panic, no refusal, nobody who could not tell.
func TestAuthorino652(t *testing.T) {
	idp := newProvider(t)
	var (
		state engine.State
		live  sync.Map
	)
	secret := func(n int) introspect.Secret { return introspect.Secret(fmt.Sprint(serverSecret, n)) }
	credentials := func(generations ...int) engine.State {
		next := state
		client := state.Clients[0]
		client.Credentials = nil
		for _, n := range generations {
			client.Credentials = append(client.Credentials, introspect.Credential{ClientID: clientID, Secret: secret(n)})
		}
		next.Clients = []engine.ClientState{client}
		return next
	}
	p := simple(t, idp, "/introspect", func(s *settings) { state = s.state; s.state = credentials(0) })
	live.Store(secret(0).Reveal(), true)
	answer := marshalled(changed(good("1"), object{"active": true, "jti": nil}))
	idp.answersBy(func(w http.ResponseWriter, r *http.Request) {
		_, shown, _ := r.BasicAuth()
		if decoded, err := url.QueryUnescape(shown); err == nil {
			shown = decoded
		}
		if _, ok := live.Load(shown); !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(answer)
	})
	var (
		stop  atomic.Bool
		asked = make([]atomic.Int64, len(p.surfaces))
		group sync.WaitGroup
	)
	// settle waits until nothing is under way that began before: each surface answers one
	// question after another, and the second from now on began now.
	settle := func() {
		for i := range asked {
			before := asked[i].Load()
			await(t, "questions", func() bool { return t.Failed() || asked[i].Load() >= before+2 })
		}
	}
	for i, s := range p.surfaces {
		group.Go(func() {
			for n := 0; !stop.Load(); n++ {
				a, err := s.ask(t.Context(), t, (&question{token: idp.mint(t, fmt.Sprint(i, "-", n), nil)}).defaults())
				if err != nil || a.verdict != allow {
					t.Errorf("%s: %s %v, %+v", s.name, a.verdict, err, p.log.decisions(t)[a.id])
					return
				}
				asked[i].Add(1)
			}
		})
	}
	const rotations = 12
	for n := 1; n <= rotations && !t.Failed(); n++ {
		live.Store(secret(n).Reveal(), true)
		if n%2 == 0 {
			p.engine.Load(credentials(n, n-1))
		} else {
			p.engine.Load(credentials(n-1, n)) // the one that ends is tried first
		}
		settle()
		live.Delete(secret(n - 1).Reveal())
		settle()
		p.engine.Load(credentials(n))
	}
	stop.Store(true)
	group.Wait()
	if strings.Contains(p.log.String(), `"msg":"panic"`) {
		t.Error("something panicked")
	}
}
