// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

func TestTimeout(t *testing.T) {
	server, w := fakeWorld(t)
	w.http.Timeout = time.Second
	s := w.session(t)
	d := faultDesired()
	if _, err := s.Observe(t.Context(), d, providertest.Allow); err != nil { // signed in
		t.Fatal(err)
	}
	server.Inject(fake.Fault{Match: fake.Matching(http.MethodPost, "/clients"), Delay: time.Hour, Times: 1, Undone: true})
	_, err := s.Create(t.Context(), d, providertest.Allow)
	e := errorOf(t, err, provider.KindUnreachable)
	if !strings.Contains(e.Error(), "no answer in time") {
		t.Errorf("error %v does not say what happened", e)
	}
	created(t, s, d)
}

func TestCancelled(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.Inject(fake.Fault{Match: func(c fake.Call) bool {
		hit := c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/clients")
		if hit {
			cancel()
		}
		return hit
	}, Delay: time.Hour})
	_, err := s.Create(ctx, faultDesired(), providertest.Allow)
	if err == nil || ctx.Err() == nil {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v does not wrap the context's", err)
	}
}

func TestErrors(t *testing.T) {
	const post, get = http.MethodPost, http.MethodGet
	for name, tc := range map[string]struct {
		reason string
		fault  fake.Fault
		want   provider.Error
	}{
		"invalid": {
			"a 400, and still absent, is the user's: with the server's words",
			fake.Fault{Match: fake.Matching(post, "/clients"), Undone: true, Status: 400, Body: `{"error":"invalid_input","error_description":"A redirect URI"}`},
			provider.Error{Kind: provider.KindInvalid, Op: "create client", Status: 400, Detail: "invalid_input: A redirect URI"},
		},
		"errorMessage": {
			"the third form of words",
			fake.Fault{Match: fake.Matching(post, "/clients"), Undone: true, Status: 400, Body: `{"errorMessage":"no\u0000 secret-of-shop.orders\n"}`},
			provider.Error{Kind: provider.KindInvalid, Op: "create client", Status: 400, Detail: "no  [secret] "},
		},
		"operator's secret": {
			"nor is the operator's own secret shown",
			fake.Fault{Match: fake.Matching(post, "/token"), Undone: true, Status: 401, Body: `{"error":"x","error_description":"operator-secret b3BlcmF0b3I6b3BlcmF0b3Itc2VjcmV0"}`},
			provider.Error{Kind: provider.KindCredentials, Op: "sign in", Status: 401, Detail: "x: [secret] [secret]"},
		},
		"no database": {
			"Keycloak answers 400 when its database is gone: that is not our credentials",
			fake.Fault{Match: fake.Matching(post, "/token"), Undone: true, Status: 400, Body: `{"error":"unauthorized_client","error_description":"Unexpected error when authenticating client"}`},
			provider.Error{Kind: provider.KindServer, Op: "sign in", Status: 400, Detail: "unauthorized_client: Unexpected error when authenticating client"},
		},
		"rate": {
			"429 is obeyed",
			fake.Fault{Match: fake.Matching(get, "/clients"), Undone: true, Status: 429, Header: map[string]string{"Retry-After": "30"}},
			provider.Error{Kind: provider.KindRateLimited, Op: "look up client", Status: 429, RetryAfter: 30 * time.Second},
		},
		"starting": {
			"a Keycloak that starts answers 503 in plain text, with a time",
			fake.Fault{Undone: true, Status: 503, Header: map[string]string{"Retry-After": "9999"}, Body: "Bootstrap in progress. Retry in 24 seconds."},
			provider.Error{Kind: provider.KindRateLimited, Op: "sign in", Status: 503, RetryAfter: provider.MaxRetryAfter},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, w := fakeWorld(t)
			server.Inject(tc.fault)
			s := w.session(t)
			_, err := s.Observe(t.Context(), faultDesired(), providertest.Allow)
			if err == nil {
				_, err = s.Create(t.Context(), faultDesired(), providertest.Allow)
			}
			got := errorOf(t, err, tc.want.Kind)
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
