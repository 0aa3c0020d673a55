// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"crypto/sha256"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// asHeaders makes Headers comparable.
func asHeaders(h token.Headers) map[string][]string {
	all := map[string][]string{}
	h.Each(func(name string, values []string) bool {
		all[name] = slices.Clone(values)
		return true
	})
	return all
}

// raw makes a question's headers those of encode_raw_headers.
func raw(req *authv3.CheckRequest, headers ...string) *authv3.CheckRequest {
	asked := req.GetAttributes().GetRequest().GetHttp()
	asked.Headers = nil
	asked.HeaderMap = &corev3.HeaderMap{}
	for i := 0; i < len(headers); i += 2 {
		asked.HeaderMap.Headers = append(asked.HeaderMap.Headers, &corev3.HeaderValue{Key: headers[i], RawValue: []byte(headers[i+1])})
	}
	return req
}

// TestRequest: what the engine is asked.
func TestRequest(t *testing.T) {
	f := serve(t, always(token.Decision{}, nil), nil)
	escaped := url.PathEscape(string(f.clients.PEM()))
	block, _ := pem.Decode(f.clients.PEM())
	sum := sha256.Sum256(block.Bytes)
	withCertificate := func(req *authv3.CheckRequest) *authv3.CheckRequest {
		req.GetAttributes().Source = &authv3.AttributeContext_Peer{Certificate: escaped}
		return req
	}
	odd := question("authorization", "Bearer alice")
	odd.GetAttributes().GetRequest().GetHttp().Path = "/authorize/../%2e%2e//x;y?q=%00"
	odd.GetAttributes().GetRequest().GetHttp().Host = "orders.example.com?"
	type want struct {
		Token       string
		Scheme      token.Scheme
		Host        string
		Target      string
		Proofs      []string
		Certificate *[32]byte
		Headers     map[string][]string
	}
	common := map[string][]string{"user-agent": {"curl/8"}}
	with := func(headers map[string][]string) map[string][]string {
		all := maps.Clone(common)
		maps.Copy(all, headers)
		return all
	}
	cases := map[string]struct {
		reason  string
		gateway string
		req     *authv3.CheckRequest
		want    want
	}{
		"bearer": {
			"pseudo headers are none", "envoy.edge.svc", question("authorization", "Bearer alice"),
			want{"alice", token.SchemeBearer, "orders.example.com", "/orders?page=2", nil, nil, with(map[string][]string{"authorization": {"Bearer alice"}})},
		},
		"dpop": {
			"a proof", "envoy.edge.svc", question("authorization", "DPoP alice", "dpop", "a.b.c"),
			want{
				"alice", token.SchemeDPoP, "orders.example.com", "/orders?page=2",
				[]string{"a.b.c"},
				nil,
				with(map[string][]string{"authorization": {"DPoP alice"}, "dpop": {"a.b.c"}}),
			},
		},
		"no token": {
			"the policy decides", "envoy.edge.svc", question(),
			want{"", token.SchemeBearer, "orders.example.com", "/orders?page=2", nil, nil, common},
		},
		"raw target": {
			"nothing is cleaned or decoded; what is no host is none", "envoy.edge.svc", odd,
			want{"alice", token.SchemeBearer, "", "/authorize/../%2e%2e//x;y?q=%00", nil, nil, with(map[string][]string{"authorization": {"Bearer alice"}})},
		},
		"certificate": {
			"the gateway is declared to tell it", "envoy.edge.svc", withCertificate(question()),
			want{"", token.SchemeBearer, "orders.example.com", "/orders?page=2", nil, &sum, common},
		},
		"certificate, undeclared": {
			"nothing was said about certificates", "plain.edge.svc", withCertificate(question()),
			want{"", token.SchemeBearer, "orders.example.com", "/orders?page=2", nil, nil, common},
		},
		"certificate in a header": {
			"this gateway tells it elsewhere", "envoy.edge.svc", question("x-forwarded-client-cert", "Cert="+escaped),
			want{"", token.SchemeBearer, "orders.example.com", "/orders?page=2", nil, nil, with(map[string][]string{"x-forwarded-client-cert": {"Cert=" + escaped}})},
		},
		"raw headers": {
			"encode_raw_headers: each on its own, in the user's bytes", "envoy.edge.svc",
			raw(question(), "authorization", "Bearer alice", "dpop", "a.b.c", "DPoP", "d.e.f", "x-name", "al\xffce", ":path", "/"),
			want{
				"alice", token.SchemeBearer, "orders.example.com", "/orders?page=2",
				[]string{"a.b.c", "d.e.f"},
				nil,
				map[string][]string{"authorization": {"Bearer alice"}, "dpop": {"a.b.c", "d.e.f"}, "x-name": {"al\xffce"}},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := always(token.Decision{}, nil)
			f := f.with(t, e)
			if _, err := authv3.NewAuthorizationClient(f.dial(t, c.gateway)).Check(t.Context(), c.req); err != nil {
				t.Fatal(err)
			}
			asked := e.requests()
			if len(asked) != 1 || asked[0].HTTP == nil {
				t.Fatalf("%s: asked %v", c.reason, asked)
			}
			req := asked[0]
			got := want{
				req.Token.Reveal(), req.Scheme, req.HTTP.Host, req.HTTP.Target, req.HTTP.Proofs, req.HTTP.Certificate, asHeaders(req.HTTP.Headers),
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if len(req.ID) != 16 || req.Surface != token.SurfaceExtAuthz || req.HTTP.Method != http.MethodGet ||
				req.Policy != (token.Ref{Namespace: "shop", Name: "orders"}) || req.Gateway != strings.Split(c.gateway, ".")[0] && req.Gateway != "edge" {
				t.Errorf("%s: asked %+v", c.reason, req)
			}
		})
	}
}

// TestOdd: other spellings of a header, and Connection (GHSA-w9mr-28mw-j8hg), are found
// in both forms of headers.
func TestOdd(t *testing.T) {
	cases := map[string]struct {
		reason  string
		headers []string
		want    string
	}{
		"exact":      {"Envoy overwrites it", []string{"x-auth-subject", "root"}, ""},
		"underscore": {"CVE-2026-44087", []string{"x_auth_subject", "root"}, "X-Auth-Subject"},
		"dot":        {"PHP", []string{"x.auth-tenant", "root"}, "X-Auth-Tenant"},
		"connection": {"hop by hop", []string{"connection", "close, X-Auth-Tenant"}, "X-Auth-Tenant"},
		"close":      {"nothing of ours", []string{"connection", "close"}, ""},
	}
	f := serve(t, always(token.Decision{}, nil), nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for form, req := range map[string]*authv3.CheckRequest{"joined": question(c.headers...), "raw": raw(question(), c.headers...)} {
				e := always(token.Decision{}, nil)
				f.with(t, e).check(t, req)
				asked := e.requests()
				if len(asked) != 1 {
					t.Fatalf("asked %v", asked)
				}
				if got := asked[0].HTTP.Headers.Odd([]string{"X-Auth-Subject", "X-Auth-Tenant"}); got != c.want {
					t.Errorf("%s, %s: %q", form, c.reason, got)
				}
			}
		})
	}
}

// TestRefusedBeforeAsked: what no policy is asked about.
func TestRefusedBeforeAsked(t *testing.T) {
	policy := func(namespace, name string) *authv3.CheckRequest {
		req := question("authorization", "Bearer alice", "namespace", "shop", "policy", "lax")
		req.GetAttributes().ContextExtensions = map[string]string{"namespace": namespace, "policy": name}
		return req
	}
	noHTTP := question()
	noHTTP.GetAttributes().GetRequest().Http = nil
	noExtensions := question("authorization", "Bearer alice", "namespace", "shop", "policy", "lax", "x-namespace", "shop")
	noExtensions.GetAttributes().ContextExtensions = nil
	query := question("authorization", "Bearer alice")
	query.GetAttributes().GetRequest().GetHttp().Path = "/orders?a=b&%61ccess_token=x"
	cases := map[string]struct {
		reason  string
		gateway string
		req     *authv3.CheckRequest
		status  int
		want    token.Reason
	}{
		"no certificate":      {"CVE-2026-40575: a direct caller is nobody", "", question("authorization", "Bearer alice"), 503, token.ReasonCallerUnknown},
		"other certificate":   {"no gateway has that name", "other.edge.svc", question(), 503, token.ReasonCallerUnknown},
		"other kind":          {"declared to ask by HTTP", "web.edge.svc", question(), 503, token.ReasonCallerUnknown},
		"gateway header":      {"a user can write there", "", question("introspection-gateway", "istio-system.ingress"), 503, token.ReasonCallerUnknown},
		"empty":               {"the zero message", "envoy.edge.svc", &authv3.CheckRequest{}, 503, token.ReasonNoPolicy},
		"no attributes":       {"nothing in it", "envoy.edge.svc", &authv3.CheckRequest{Attributes: &authv3.AttributeContext{}}, 503, token.ReasonNoPolicy},
		"no extensions":       {"a header of the user's names no policy", "envoy.edge.svc", noExtensions, 503, token.ReasonNoPolicy},
		"no namespace":        {"half a policy", "envoy.edge.svc", policy("", "orders"), 503, token.ReasonNoPolicy},
		"CVE-2026-33494":      {"a path is no name", "envoy.edge.svc", policy("shop", "strict/../lax"), 503, token.ReasonNoPolicy},
		"encoded name":        {"nor an encoded one", "envoy.edge.svc", policy("shop", "%6cax"), 503, token.ReasonNoPolicy},
		"no HTTP":             {"the network filter", "envoy.edge.svc", noHTTP, 503, token.ReasonSurfaceNotConfigured},
		"two headers":         {"as Envoy joins them", "envoy.edge.svc", question("authorization", "Bearer t1,Bearer t2"), 401, token.ReasonInvalidRequest},
		"two raw headers":     {"as Envoy shows them raw", "envoy.edge.svc", raw(question(), "authorization", "Bearer t1", "Authorization", "Bearer t2"), 401, token.ReasonInvalidRequest},
		"CVE-2023-27488":      {"bytes that are no text", "envoy.edge.svc", raw(question(), "authorization", "Bearer al\xffce"), 401, token.ReasonInvalidRequest},
		"replaced bytes":      {"Envoy's ! for them", "envoy.edge.svc", question("authorization", "Bearer al!ce"), 401, token.ReasonInvalidRequest},
		"token in the URL":    {"RFC 6750 section 2", "envoy.edge.svc", query, 401, token.ReasonInvalidRequest},
		"empty header map":    {"falls back, and finds no token", "envoy.edge.svc", raw(question()), 0, token.ReasonNone},
		"a token with spaces": {"not one token", "envoy.edge.svc", question("authorization", "Bearer a b"), 401, token.ReasonInvalidRequest},
	}
	f := serve(t, always(alice(), nil), nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := always(alice(), nil)
			f := f.with(t, e)
			response, err := authv3.NewAuthorizationClient(f.dial(t, c.gateway)).Check(t.Context(), c.req)
			if err != nil {
				t.Fatal(err)
			}
			if c.status == 0 {
				if len(e.requests()) != 1 {
					t.Errorf("%s: answered %v", c.reason, response)
				}
				return
			}
			got := refusedBy(t, response)
			if got.Status != c.status || c.status == 503 && !strings.HasPrefix(got.Body, string(c.want)+": ") ||
				c.status == 401 && !strings.HasPrefix(got.Challenge, `Bearer error="invalid_request"`) {
				t.Errorf("%s: answered %+v", c.reason, got)
			}
			if asked := e.requests(); len(asked) != 0 {
				t.Errorf("%s: asked %v", c.reason, asked)
			}
			log := f.log.String()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, `"reason":"`+string(c.want)+`"`) || strings.Contains(log, "alice") {
				t.Errorf("%s: the log says\n%s", c.reason, log)
			}
		})
	}
}
