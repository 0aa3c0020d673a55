// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func TestServiceAccount(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	s := &server{}
	s.publish(jwk(t, key.Public(), "cluster", nil))
	cluster := "https://kubernetes.default.svc.cluster.local"
	v := open(t, s, func(o *jwt.Options) { o.Issuer, o.Types = cluster, []string{""} })
	const audience = "https://webhook.introspection.svc/introspect/shop/orders"
	head := object{"alg": "ES256", "kid": "cluster"}
	account := func(namespace, name any) object {
		return object{"namespace": namespace, "serviceaccount": object{"name": name, "uid": "1"}, "pod": object{"name": "p", "uid": "2"}}
	}
	base := object{
		"iss": cluster, "sub": "system:serviceaccount:shop:orders", "aud": []string{audience}, "jti": "3",
		"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "kubernetes.io": account("shop", "orders"),
	}
	cases := map[string]struct {
		reason  string
		changed object
		want    string
	}{
		"projected":         {"what the API server makes", object{}, "ok"},
		"one as a string":   {"RFC 7519 4.1.3", object{"aud": audience}, "ok"},
		"other audience":    {"a token for somebody else", object{"aud": []string{audience + "/"}}, "invalid_audience"},
		"API server's":      {"a workload's default token must not be sent around", object{"aud": []string{cluster}}, "invalid_audience"},
		"two audiences":     {"the other one could use it here", object{"aud": []string{audience, "https://other"}}, "invalid_audience"},
		"no audience":       {"good for everybody", object{"aud": nil}, "invalid_audience"},
		"not yet":           {"nbf", object{"nbf": time.Now().Add(time.Minute).Unix()}, "not_yet_valid"},
		"expired":           {"exp", object{"exp": time.Now().Add(-time.Minute).Unix()}, "expired"},
		"never expires":     {"a legacy token from a Secret", object{"exp": nil}, "malformed_token"},
		"other issuer":      {"another cluster", object{"iss": "https://other"}, "invalid_issuer"},
		"no claim":          {"sub alone is what many issuers let users choose", object{"kubernetes.io": nil}, "malformed_token"},
		"legacy claims":     {"flat claims are of tokens that never expire", object{"kubernetes.io": nil, "kubernetes.io/serviceaccount/namespace": "shop"}, "malformed_token"},
		"other sub":         {"sub and claim must agree", object{"sub": "system:serviceaccount:shop:admin"}, "malformed_token"},
		"other namespace":   {"sub and claim must agree", object{"kubernetes.io": account("kube-system", "orders")}, "malformed_token"},
		"no sub":            {"sub and claim must agree", object{"sub": nil}, "malformed_token"},
		"colon":             {"two accounts must not be one", object{"sub": "system:serviceaccount:shop:a:b", "kubernetes.io": account("shop:a", "b")}, "malformed_token"},
		"slash":             {"two accounts must not be one", object{"sub": "system:serviceaccount:shop/a:b", "kubernetes.io": account("shop/a", "b")}, "malformed_token"},
		"empty name":        {"nobody", object{"sub": "system:serviceaccount:shop:", "kubernetes.io": account("shop", "")}, "malformed_token"},
		"null namespace":    {"nobody", object{"sub": "system:serviceaccount::orders", "kubernetes.io": account(nil, "orders")}, "malformed_token"},
		"name a number":     {"names are strings", object{"kubernetes.io": account("shop", 7)}, "malformed_token"},
		"claim is a string": {"the claim is an object", object{"kubernetes.io": "shop"}, "malformed_token"},
		"a node's":          {"no account in it", object{"sub": "system:node:n1", "kubernetes.io": object{"namespace": "shop"}}, "malformed_token"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ref, _, err := v.ServiceAccount(t.Context(), token.New(sign(t, head, with(base, c.changed), key)), audience)
			if got := outcome(t, err); got != c.want {
				t.Errorf("%s: %s, want %s", c.reason, got, c.want)
			}
			if want := (token.Ref{Namespace: "shop", Name: "orders"}); (err == nil) != (ref == want) || (err != nil) != (ref == token.Ref{}) {
				t.Errorf("%s: %v", c.reason, ref)
			}
		})
	}
	raw := sign(t, head, with(base, object{"aud": nil}), key)
	if _, _, err := v.ServiceAccount(t.Context(), token.New(raw), ""); outcome(t, err) != "invalid_audience" {
		t.Errorf("no audience is asked for, none is there: %v", err)
	}
	down := &server{}
	down.fail()
	v = open(t, down, func(o *jwt.Options) { o.Issuer, o.Types = cluster, []string{""} })
	if _, _, err := v.ServiceAccount(t.Context(), token.New(sign(t, head, base, key)), audience); outcome(t, err) != unavailable {
		t.Errorf("without keys: %v", err)
	}
}
