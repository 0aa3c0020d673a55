// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// cluster is an engine that decides about users of a cluster by the token's own words,
// and counts how often it is asked.
type cluster struct {
	engine

	mu    sync.Mutex
	asked map[string]int
}

func (c *cluster) Decide(_ context.Context, req token.Request) (token.Decision, error) {
	raw := req.Token.Reveal()
	c.mu.Lock()
	c.asked[raw]++
	c.mu.Unlock()
	if req.Surface != token.SurfaceTokenReview || req.Policy != (token.Ref{Namespace: "platform", Name: "cluster-login"}) {
		return token.Decision{}, errors.New("asked about something else")
	}
	user := &token.User{Username: "alice", Groups: []string{"dev"}, Audiences: slices.Clone(req.Audiences)}
	switch raw {
	case "alice":
		user.Extra = map[string][]string{"example.com/tenant": {"acme"}, "example.com/secret": {"x"}}
	case "admin":
		user.Username = "system:admin"
	case "masters":
		user.Groups = []string{"system:masters"}
	case "no-audience":
		user.Audiences = nil
	case "other-audience":
		user.Audiences = []string{"https://other.example.com"}
	case "outage":
		return token.Decision{}, &token.Undecided{Reason: token.ReasonServerUnavailable, Message: "The server gave no verdict: try again."}
	case "panic":
		panic(raw)
	default:
		return token.Decision{Reason: token.ReasonInactive, Message: "The token is not active."}, nil
	}
	return token.Decision{Verdict: token.Allow, User: user}, nil
}

// times are how often a token was asked about since the last time.
func (c *cluster) times(raw string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.asked[raw]
	delete(c.asked, raw)
	return n
}

// serveCluster runs the webhook and, of one version of TokenReview, an API server that
// asks it, both configured as the page says.
func serveCluster(t *testing.T, version string) (*cluster, *rest.Config, string) {
	t.Helper()
	const page = "kubernetes.md"
	e := &cluster{asked: map[string]int{}}
	f := &fixture{ca: env.CAForTest(t), clients: env.CAForTest(t), log: &harness.Log{}}
	pem := strings.ReplaceAll(strings.TrimSuffix(string(f.clients.PEM()), "\n"), "\n", "\n    ")
	config, err := webhook.ParseConfig([]byte(filled(t, block(t, page, "tokenreview.yaml"), "    -----BEGIN CERTIFICATE-----\n    …\n", "    "+pem+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	certificate := f.ca.CertificateForTest(t, env.Names{DNS: []string{"webhook.introspection.svc"}})
	s, err := webhook.New(webhook.Options{
		Engine: e, Config: config, IntrospectionAddr: "127.0.0.1:0", ForwardAuthAddr: "127.0.0.1:0", TokenReviewAddr: "127.0.0.1:0",
		Certificates: func() (*tls.Certificate, error) { return &certificate, nil },
		Registerer:   prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(f.log, nil)), DrainTimeout: 8 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	harness.Run(t, s.Run)

	dir := t.TempDir()
	certPEM, keyPEM, err := f.clients.Issue(env.Names{DNS: []string{"kube-apiserver"}})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filled(t, block(t, page, "kubeconfig.yaml"), "10.96.0.44:7443", s.Addresses().TokenReview, "/etc/kubernetes/introspection", dir)
	for name, content := range map[string][]byte{"ca.crt": f.ca.PEM(), "tls.crt": certPEM, "tls.key": keyPEM, "kubeconfig.yaml": []byte(kubeconfig)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := map[string]string{}
	for line := range strings.Lines(filled(t, block(t, page, "flags"), "/etc/kubernetes/introspection", dir, "-version=v1", "-version="+version)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		flags[strings.TrimPrefix(name, "--")] = value
	}
	logs := t.TempDir()
	cp := env.ControlPlaneForTest(t, env.ControlPlaneOptions{APIServerFlags: flags, LogDir: logs})
	return e, rest.AnonymousClientConfig(cp.Config()), filepath.Join(logs, "kube-apiserver.log")
}

// whoami is who a token is of to the API server.
func whoami(t *testing.T, config *rest.Config, raw string) (authenticationv1.UserInfo, error) {
	t.Helper()
	config = rest.CopyConfig(config)
	config.BearerToken = raw
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

// TestAPIServer: a real one lets in whom the policy says, and asks once whatever the
// answer is: a user waits for no repetition.
func TestAPIServer(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			e, config, log := serveCluster(t, version)
			user, err := whoami(t, config, "alice")
			if err != nil {
				t.Fatal(err)
			}
			want := authenticationv1.UserInfo{
				Username: "oidc:alice", Groups: []string{"oidc:dev", "system:authenticated"},
				Extra: map[string]authenticationv1.ExtraValue{"example.com/tenant": {"acme"}},
			}
			if diff := cmp.Diff(want, user); diff != "" {
				t.Errorf("who alice is (-want +got):\n%s", diff)
			}
			asksOnce(t, e, config)
			logged, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, words := range []string{"server_unavailable: The server gave no verdict: try again. (Introspection-Decision: ", "audience_not_asked: "} {
				if !strings.Contains(string(logged), words) {
					t.Errorf("the API server's log does not say %q", words)
				}
			}
		})
	}
}

// asksOnce shows each token twice: a verdict is remembered, and what nobody could tell is not.
func asksOnce(t *testing.T, e *cluster, config *rest.Config) {
	t.Helper()
	cases := map[string]struct {
		reason string
		asked  int // in two requests
	}{
		"alice":          {"an allow is remembered", 1},
		"garbage":        {"a refusal is remembered", 1},
		"admin":          {"a user of the cluster's own is a refusal", 1},
		"masters":        {"a group of the cluster's own is a refusal", 1},
		"no-audience":    {"never without an audience: it would be let in", 2},
		"other-audience": {"nor with another", 2},
		"outage":         {"not remembered, nor repeated", 2},
		"panic":          {"not remembered, nor repeated", 2},
	}
	for _, raw := range slices.Sorted(maps.Keys(cases)) {
		c := cases[raw]
		for range 2 {
			if user, err := whoami(t, config, raw); apierrors.IsUnauthorized(err) == (raw == "alice") || err == nil && user.Username != "oidc:alice" {
				t.Errorf("%s, %s: %+v %v", raw, c.reason, user, err)
			}
		}
		if n := e.times(raw); n != c.asked {
			t.Errorf("%s, %s: asked %d times", raw, c.reason, n)
		}
	}
}
