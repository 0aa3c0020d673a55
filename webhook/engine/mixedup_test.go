// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// A server, or what stands between, that answers about another token of the same issuer is
// caught where the signature says whose the token is.
func TestAnswerAboutAnotherToken(t *testing.T) {
	cases := map[string]struct {
		reason string
		answer map[string]any
		want   string
	}{
		"Same":        {"the usual", map[string]any{"sub": "bob", "jti": "1"}, "Allow"},
		"Lightweight": {"what one of them does not say is not compared", map[string]any{"sub": nil}, "Allow"},
		"Subject":     {"somebody else's identity would reach the API", map[string]any{"sub": "alice", "jti": "1"}, "server_unavailable"},
		"ID":          {"another token of the same user", map[string]any{"sub": "bob", "jti": "2"}, "server_unavailable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, signer := newIDP(t), newSigner(t, "k1")
			s.answers(func(call) (int, map[string]any) {
				answer := claims()
				maps.Copy(answer, tc.answer)
				return http.StatusOK, answer
			})
			tok := token.New(signer.jws(t, map[string]any{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, map[string]any{
				"iss": issuer, "sub": "bob", "jti": "1", "exp": time.Now().Add(24 * time.Hour).Unix(),
			}))
			e := newEngine(t, Options{}, keyedState(s.keyed("s1", signer), validating(t, "orders", "orders", modeBoth)))
			for range 2 {
				want(t, tc.reason, decide(t, e, "orders", tok), tc.want)
			}
		})
	}
}

// The cluster's keys are there before the first caller, and before the API server goes away.
func TestPrepareFetchesTheClustersKeys(t *testing.T) {
	signer := newSigner(t, "k1")
	var published keys
	published.publish(signer)
	asked := 0
	e := newEngine(t, Options{ClusterKeys: func(context.Context) (string, []byte, error) {
		asked++
		_, body := published.document()
		return "https://kubernetes.default.svc", body, nil
	}}, State{})
	e.Prepare(t.Context())
	before := asked
	tok := token.New(signer.jws(t, map[string]any{"alg": "ES256", "kid": "k1"}, map[string]any{
		"iss": "https://kubernetes.default.svc", "aud": "y", "exp": time.Now().Add(time.Hour).Unix(),
	}))
	if _, err := e.ServiceAccount(t.Context(), tok, "x"); err == nil || asked != before || before == 0 {
		t.Errorf("asked %d times before the first caller, and %d after: %v", before, asked, err)
	}
}
