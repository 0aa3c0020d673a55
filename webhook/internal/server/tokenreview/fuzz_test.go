// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// FuzzTokenReview: whatever the body holds, the answer is a TokenReview, and authenticated
// only with audiences that were asked for and a user behind the prefix.
func FuzzTokenReview(f *testing.F) {
	f.Add([]byte(body(f, v1, "alice", "api")))
	f.Add([]byte(body(f, v1beta1, "system:admin", "api", "other")))
	f.Add([]byte(body(f, v1, "alice")))
	f.Add([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"a","audiences":null}}`))
	f.Add([]byte(`{"spec":[]}`))
	f.Add([]byte{})
	e := &engine{}
	var allowed bool
	e.decide = func(_ context.Context, req token.Request) (token.Decision, error) {
		e.mu.Lock()
		e.asked = nil
		e.mu.Unlock()
		allowed = true
		raw := req.Token.Reveal()
		return token.Decision{Verdict: token.Allow, User: &token.User{Username: raw, Groups: []string{raw}, Audiences: req.Audiences[:1]}}, nil
	}
	s := serve(f, e, nil)
	client := s.client(f, apiServer)
	f.Fuzz(func(t *testing.T, sent []byte) {
		allowed = false
		version := v1
		got := s.post(t, client, reviews, "application/json", string(sent))
		if strings.Contains(got.Body, `"apiVersion":"`+v1beta1+`"`) { // the words of an answer may name both
			version = v1beta1
		}
		status := s.asked(t, got, version).Status
		if status.Authenticated && (!allowed || len(status.Audiences) != 1 || status.Audiences[0] == "" ||
			len(status.User.Username) <= len("oidc:") || !strings.HasPrefix(status.User.Username, "oidc:")) {
			t.Errorf("answered %+v", status)
		}
	})
}
