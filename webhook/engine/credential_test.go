// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

func newKeyPEM(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// byKey is a credential of a key that is parsed anew, as each reading of a Secret does.
func byKey(t *testing.T, keyPEM []byte) introspect.Credential {
	t.Helper()
	key, err := introspect.ParseKey(keyPEM, "k1")
	if err != nil {
		t.Fatal(err)
	}
	return introspect.Credential{ClientID: "shop.orders", Key: key}
}

func byAccount(id string, source introspect.AssertionSource) introspect.Credential {
	return introspect.Credential{ClientID: "shop.orders", Assertion: &introspect.Assertion{ID: id, Source: source}}
}

// Whatever a client signs in with, its facts are its own: what is read again unchanged finds them
// warm, and what changed finds nothing.
func TestFormsOfCredentials(t *testing.T) {
	first, second := newKeyPEM(t), newKeyPEM(t)
	source := func(context.Context) (introspect.Secret, error) { return "account-token", nil }
	cases := map[string]struct {
		reason string
		before introspect.Credential
		after  introspect.Credential
		warm   bool
		// assertion and secret that the server saw last; "*" for any.
		assertion, secret string
	}{
		"same key":      {"parsed again", byKey(t, first), byKey(t, first), true, "*", ""},
		"rotated key":   {"another credential", byKey(t, first), byKey(t, second), false, "*", ""},
		"same account":  {"its token changes every hour", byAccount("a", source), byAccount("a", source), true, "account-token", ""},
		"other account": {"another credential", byAccount("a", source), byAccount("b", source), false, "account-token", ""},
		"key to secret": {"another form", byKey(t, first), introspect.Credential{ClientID: "shop.orders", Secret: "s"}, false, "", "s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			state := one(t, s, time.Hour)
			state.Clients[0].Credentials = []introspect.Credential{tc.before}
			e := newEngine(t, Options{}, state)
			want(t, tc.reason, decide(t, e, "orders", good()), "Allow")
			state.Clients = []ClientState{clientState("orders", "s1")}
			state.Clients[0].Credentials = []introspect.Credential{tc.after}
			e.Load(state)
			want(t, tc.reason, decide(t, e, "orders", good()), "Allow")
			calls := 2
			if tc.warm {
				calls = 1
			}
			wantCalls(t, tc.reason, s, calls)
			last := s.calls[len(s.calls)-1]
			if last.secret != tc.secret || tc.assertion != "*" && last.assertion != tc.assertion || tc.assertion == "*" && last.assertion == "" {
				t.Errorf("%s: secret %q, assertion %q", tc.reason, last.secret, last.assertion)
			}
		})
	}
}

// In a rotation of keys the one that worked is tried first, after a reload too.
func TestTwoKeys(t *testing.T) {
	s := newIDP(t)
	dead := "" // the first assertion that comes is of the dead key
	s.answers(func(c call) (int, map[string]any) {
		if dead == "" {
			dead = c.assertion
			return http.StatusBadRequest, map[string]any{"error": "invalid_client"}
		}
		return http.StatusOK, claims()
	})
	first, second := newKeyPEM(t), newKeyPEM(t)
	read := func() State {
		state := one(t, s, time.Hour)
		state.Clients[0].Credentials = []introspect.Credential{byKey(t, first), byKey(t, second)}
		return state
	}
	e := newEngine(t, Options{}, read())
	want(t, "the other one is tried", decide(t, e, "orders", good()), "Allow")
	e.Load(read())
	want(t, "warm, under the one that worked", decide(t, e, "orders", good()), "Allow")
	wantCalls(t, "two questions in all", s, 2)
}

// A ServiceAccount's token that can't be had is an outage of ours: no refusal, no hint.
func TestNoAssertion(t *testing.T) {
	s := newIDP(t)
	away := errors.New("the API server is away")
	state := one(t, s, time.Hour)
	state.Clients[0].Credentials = []introspect.Credential{byAccount("a", func(context.Context) (introspect.Secret, error) { return "", away })}
	e := newEngine(t, Options{Hints: func(context.Context, token.Ref, string) { t.Error("a hint: nobody refused us") }}, state)
	want(t, "nobody could tell", decide(t, e, "orders", good()), "server_unavailable")
	wantCalls(t, "nobody was asked", s, 0)
}
