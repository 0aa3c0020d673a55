// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Callers' ServiceAccount tokens of a real API server, verified by its keys: no TokenReview.
func TestServiceAccountsAreKnownByTheClustersKeys(t *testing.T) {
	w := newWorld(t)
	kube, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{
		Clock: clock.RealClock{}.Now, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		ClusterKeys: func(ctx context.Context) (string, []byte, error) { return clusterKeys(ctx, kube.CoreV1().RESTClient()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "caller"}})
	mint := func(audiences ...string) token.Token {
		t.Helper()
		made, err := kube.CoreV1().ServiceAccounts(w.tenant).CreateToken(t.Context(), "caller",
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return token.New(made.Status.Token)
	}
	const ours = "https://webhook.introspection.svc/introspect/shop/orders"
	good := mint(ours).Reveal()
	for name, tc := range map[string]struct {
		reason   string
		token    token.Token
		audience string
		known    bool
	}{
		"ours":            {"minted for exactly this policy", token.New(good), ours, true},
		"another's":       {"a token for another policy, sent on by who got it", token.New(good), ours + "2", false},
		"the API server":  {"a pod's usual token would give whoever gets it the cluster", mint(), ours, false},
		"two audiences":   {"good for somebody else too", mint(ours, "https://elsewhere.example"), ours, false},
		"another key":     {"a signature that is not the cluster's", token.New(good[:len(good)-8] + "AAAAAAAA"), ours, false},
		"another cluster": {"its issuer is not ours", token.New("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL290aGVyIn0.c2ln"), ours, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := e.ServiceAccount(t.Context(), tc.token, tc.audience)
			if tc.known && (err != nil || got != token.Ref{Namespace: w.tenant, Name: "caller"}) {
				t.Errorf("%s: got %v, %v", tc.reason, got, err)
			}
			var undecided *token.Undecided
			if !tc.known && (err == nil || errors.As(err, &undecided) || got != token.Ref{}) {
				t.Errorf("%s: got %v, %v, want a refusal", tc.reason, got, err)
			}
		})
	}
}

// The webhook's own process: what the controller wrote becomes a snapshot, is prepared and confirmed.
func TestTheWebhookTakesASnapshot(t *testing.T) {
	w, _ := registered(t)
	p := w.policyObject(func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Rules = []v1alpha1.Rule{{Name: "somebody", Expression: "claims.sub != ''"}}
	}, "orders")
	w.create(p)
	w.ready(p)
	mgr, err := ctrl.NewManager(plane.Config(), ctrl.Options{
		Scheme: w.kube.Scheme(), Cache: WebhookCacheOptions(w.config.WebhookNamespace), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: crconfig.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ClusterKeys(mgr)
	if err != nil {
		t.Fatal(err)
	}
	if issuer, jwks, err := keys(t.Context()); err != nil || issuer != clusterIssuer.URL || len(jwks) == 0 {
		t.Errorf("the cluster's issuer is %q, keys %s: %v", issuer, jwks, err)
	}
	e, err := engine.New(engine.Options{Clock: clock.RealClock{}.Now, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	certificate, err := SetupSnapshot(mgr, w.config.WebhookNamespace, e, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.eventually("the policy answers, and there is a certificate", func(ctx context.Context) error {
		d, err := e.Decide(ctx, token.Request{
			Surface: token.SurfaceForwardAuth, Policy: token.Ref{Namespace: w.tenant, Name: "orders"}, Token: token.New("opaque"),
			Gateway: "edge", HTTP: &token.HTTPRequest{Headers: token.HTTPHeaders(http.Header{})},
		})
		if err == nil && d.Reason != token.ReasonMalformedToken {
			err = errors.New(string(d.Reason))
		}
		_, none := certificate()
		return errors.Join(err, none)
	})
}

// asked is an API server that answers as it is told to.
type asked struct {
	client.Reader
	limits []int64
	err    error
}

func (a *asked) List(ctx context.Context, _ client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	a.limits = append(a.limits, o.Limit)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return a.err
	}
}

// A watch that hears nothing looks the same whether nothing changed or nobody is there.
func TestTheSnapshotIsConfirmedWhileTheAPIServerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &asked{}
		var confirmed []time.Time
		began := time.Now()
		c := &confirmer{reader: api, clock: clock.RealClock{}, log: logr.Discard(), confirm: func(at time.Time) { confirmed = append(confirmed, at) }}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = c.run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(confirmed); n < 4 || n > 5 || !confirmed[0].Equal(began) {
			t.Errorf("confirmed at %v, want each 15 s, and as of before it was asked", confirmed)
		}
		api.err = errors.New("away")
		before := len(confirmed)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(confirmed) > before+1 || len(api.limits) < 200 {
			t.Errorf("confirmed %d times while nobody answered %d questions", len(confirmed)-before, len(api.limits))
		}
		if slices.ContainsFunc(api.limits, func(n int64) bool { return n != 1 }) {
			t.Error("more than one object is asked for: 10,000 policies, each replica, each 15 s")
		}
		cancel()
		synctest.Wait()
	})
}
