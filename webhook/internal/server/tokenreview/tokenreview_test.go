// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestAsked: what the engine is asked, and that a refusal is no error.
func TestAsked(t *testing.T) {
	e := always(token.Decision{Reason: token.ReasonInactive, Message: "The token is not active."}, nil)
	f := serve(t, e, nil)
	for version, raw := range map[string]string{v1: "s3cret", v1beta1: ""} {
		if got := f.review(t, version, raw).Status; !cmp.Equal(got, authenticationv1.TokenReviewStatus{}) {
			t.Errorf("answered %+v", got)
		}
	}
	asked := e.requests()
	if len(asked) != 2 {
		t.Fatalf("asked %v", asked)
	}
	for _, req := range asked {
		if raw := req.Token.Reveal(); raw != "s3cret" && raw != "" {
			t.Errorf("asked about %q", raw)
		}
		want := token.Request{
			ID: req.ID, Surface: token.SurfaceTokenReview, Policy: token.Ref{Namespace: "shop", Name: "cluster"}, Token: req.Token, Audiences: []string{"api"},
		}
		if diff := cmp.Diff(want, req, cmp.AllowUnexported(token.Token{})); diff != "" || len(req.ID) != 16 {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	}
}

// TestNoToken: what is no token is refused, and nobody is asked.
func TestNoToken(t *testing.T) {
	e := allow(token.User{Username: "alice"})
	f := serve(t, e, nil)
	for name, raw := range map[string]string{
		"space": "s3cret s3cret", "two": "s3cret,Bearer s3cret", "line break": "s3cret\n", "not ASCII": "s3crét", "too long": strings.Repeat("s3cret", 4000),
	} {
		if got := f.review(t, v1, raw).Status; !cmp.Equal(got, authenticationv1.TokenReviewStatus{}) {
			t.Errorf("%s: answered %+v", name, got)
		}
	}
	if asked := e.requests(); len(asked) != 0 {
		t.Errorf("asked %v", asked)
	}
}

// TestUndecided: what nobody could tell is a 200 with status.error, whatever failed: after
// anything else the API server asks again and again, and its users wait.
func TestUndecided(t *testing.T) {
	good := body(t, v1beta1, "s3cret", "api")
	ok := allow(token.User{Username: "alice"})
	cases := map[string]struct {
		reason      string
		engine      *engine
		path        string
		contentType string
		body        string
		version     string
		want        string
	}{
		"outage":      {"the server gave no verdict", always(token.Decision{Verdict: token.Allow}, &token.Undecided{Reason: token.ReasonServerUnavailable, Message: "Try again."}), reviews, "application/json", good, v1beta1, "server_unavailable: Try again."},
		"not started": {"no snapshot yet", always(token.Decision{}, &token.Undecided{Reason: token.ReasonNotStarted, Message: "Try again."}), reviews, "application/json; charset=utf-8", good, v1beta1, "not_started: Try again."},
		"other error": {"not one of the engine's", always(token.Decision{}, errors.New("oops")), reviews, "application/json", good, v1beta1, "internal: "},
		"panic":       {"in the version that was asked", &engine{decide: func(context.Context, token.Request) (token.Decision, error) { panic("s3cret") }}, reviews, "application/json", good, v1beta1, "internal: "},
		"no user":     {"an allow of nobody", always(token.Decision{Verdict: token.Allow}, nil), reviews, "application/json", good, v1beta1, "internal: "},
		"deadline": {"authorino #649", &engine{decide: func(ctx context.Context, _ token.Request) (token.Decision, error) {
			<-ctx.Done()
			return token.Decision{Verdict: token.Allow, User: &token.User{Username: "alice", Audiences: []string{"api"}}}, nil
		}}, reviews, "application/json", good, v1beta1, "server_unavailable: "},
		"unlisted":       {"the platform decides who may be asked", ok, "/tokenreview/shop/orders", "application/json", good, v1beta1, "surface_not_configured: "},
		"form":           {"not JSON", ok, reviews, "application/x-www-form-urlencoded", good, v1, "internal: This is no TokenReview"},
		"protobuf":       {"the API server sends JSON", ok, reviews, "application/vnd.kubernetes.protobuf", good, v1, "internal: This is no TokenReview"},
		"no type":        {"not JSON", ok, reviews, "", good, v1, "internal: This is no TokenReview"},
		"empty":          {"nothing", ok, reviews, "application/json", "", v1, "internal: This is no TokenReview"},
		"no JSON":        {"malformed", ok, reviews, "application/json", good[1:], v1, "internal: This is no TokenReview"},
		"two":            {"malformed", ok, reviews, "application/json", good + good, v1, "internal: This is no TokenReview"},
		"not UTF-8":      {"two tokens would become one", ok, reviews, "application/json", strings.Replace(good, "s3cret", "s3c\xffret", 1), v1, "internal: This is no TokenReview"},
		"other kind":     {"malformed", ok, reviews, "application/json", strings.Replace(good, "TokenReview", "TokenRequest", 1), v1, "internal: This is no TokenReview"},
		"other group":    {"malformed", ok, reviews, "application/json", body(t, "authentication.k8s.io/v2", "s3cret", "api"), v1, "internal: This is no TokenReview"},
		"other case":     {"names have a case", ok, reviews, "application/json", strings.Replace(good, "kind", "Kind", 1), v1, "internal: This is no TokenReview"},
		"CVE-2026-50197": {"over the limit is not judged as empty, nor cut", ok, reviews, "application/json", good + strings.Repeat(" ", 64<<10), v1, "internal: This is no TokenReview"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.engine, func(o *server.Options) { o.RequestTimeout = 50 * time.Millisecond })
			status := f.asked(t, f.post(t, f.client(t, apiServer), c.path, c.contentType, c.body), c.version).Status
			if !strings.HasPrefix(status.Error, c.want) {
				t.Errorf("%s: answered %+v", c.reason, status)
			}
			status.Error = ""
			if !cmp.Equal(status, authenticationv1.TokenReviewStatus{}) {
				t.Errorf("%s: answered %+v", c.reason, status)
			}
		})
	}
}

// TestOverloaded: beyond the limit the API server learns it at once, in its version.
func TestOverloaded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	e := &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
		entered <- struct{}{}
		<-release
		return token.Decision{}, nil
	}}
	f := serve(t, e, func(o *server.Options) { o.MaxConcurrent = 1 })
	first := make(chan struct{})
	client, question := f.client(t, apiServer), body(t, v1, "s3cret", "api")
	go func() {
		defer close(first)
		f.post(t, client, reviews, "application/json", question)
	}()
	<-entered
	if got := f.review(t, v1beta1, "s3cret").Status; got.Authenticated || !strings.HasPrefix(got.Error, "overloaded: ") {
		t.Errorf("answered %+v", got)
	}
	if got := f.post(t, f.client(t, ""), reviews, "application/json", question); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d %q", got.StatusCode, got.Body)
	}
	close(release)
	<-first
}

// TestDrain: a running question is answered.
func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	e := &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
		close(entered)
		<-release
		return token.Decision{Verdict: token.Allow, User: &token.User{Username: "alice", Audiences: []string{"api"}}}, nil
	}}
	f := serve(t, e, nil)
	client, question := f.client(t, apiServer), body(t, v1, "s3cret", "api")
	got := make(chan answer, 1)
	go func() { got <- f.post(t, client, reviews, "application/json", question) }()
	<-entered
	f.stop()
	close(release)
	if review := f.asked(t, <-got, v1); !review.Status.Authenticated {
		t.Errorf("answered %+v", review.Status)
	}
}

// TestStranger: who does not show the API server's certificate learns nothing.
func TestStranger(t *testing.T) {
	e := allow(token.User{Username: "alice"})
	f := serve(t, e, nil)
	other := &fixture{ca: f.ca, clients: env.CAForTest(t), url: f.url, log: f.log}
	question := body(t, v1, "s3cret", "api")
	for name, client := range map[string]*http.Client{
		"no certificate": f.client(t, ""), "another name": f.client(t, "kube-controller-manager"), "another CA": other.client(t, apiServer),
	} {
		for _, path := range []string{reviews, "/tokenreview/shop/none"} {
			got := f.post(t, client, path, "application/json", question)
			if got.StatusCode != http.StatusUnauthorized || strings.Contains(got.Body, "shop") || got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: answered %d %q", name, got.StatusCode, got.Body)
			}
		}
	}
	if asked := e.requests(); len(asked) != 0 || !strings.Contains(f.log.String(), `"reason":"caller_unknown"`) {
		t.Errorf("asked %v; the log says\n%s", asked, f.log)
	}
}

// TestMethod: POST only.
func TestMethod(t *testing.T) {
	f := serve(t, allow(token.User{Username: "alice"}), nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+reviews, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.client(t, apiServer).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
		t.Errorf("answered %d %v", resp.StatusCode, resp.Header)
	}
}
