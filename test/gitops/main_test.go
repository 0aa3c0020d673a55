// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

const (
	systemNamespace  = "introspection-system"
	webhookNamespace = "introspection"
	samples          = "../../config/samples"
	// sampleIssuer is the one of the samples for Keycloak.
	sampleIssuer = "https://sso.example.com/realms/acme"
	patience     = time.Minute
)

// cluster is the one of this package: an API server with garbage collection and namespace
// deletion, our controllers, and a Keycloak. The tests use it one after the other, since the
// samples have the same names.
var cluster struct {
	client.Client
	idp                 *keycloak.Server
	kubectl, kubeconfig string
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	plane, err := env.StartControlPlane(ctx, env.ControlPlaneOptions{ControllerManager: true, CRDPaths: []string{"../../config/crd/bases"}})
	if err != nil {
		cancel()
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	dir, err := os.MkdirTemp("", "introspection-gitops-")
	if err != nil {
		cancel()
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cluster.kubectl, cluster.kubeconfig = plane.Kubectl(), filepath.Join(dir, "kubeconfig")
	if err := plane.WriteKubeconfig(cluster.kubeconfig, plane.Config()); err != nil {
		cancel()
		return 1, err
	}
	cluster.idp = keycloak.New(keycloak.Options{Clients: []keycloak.Client{
		keycloak.Operator("introspection-operator", "the-operators-own-secret"),
		{ID: "web", Secret: "web-secret"},
		{ID: "introspection-canary", Secret: "the-canarys-own-secret"},
	}})
	cluster.idp.Start()
	defer cluster.idp.Close()
	mgr, err := manager(ctx, plane)
	if err != nil {
		cancel()
		return 1, err
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	code = m.Run()
	cancel()
	return code, <-done
}

// manager runs the control plane, and makes what it needs beforehand.
func manager(ctx context.Context, plane *env.ControlPlane) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	var err error
	if cluster.Client, err = client.New(plane.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: webhookNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "keycloak-operator"},
			Data:       map[string][]byte{"client_id": []byte("introspection-operator"), "client_secret": []byte("the-operators-own-secret")},
		},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "keycloak-canary"},
			Data:       map[string][]byte{"client_id": []byte("introspection-canary"), "client_secret": []byte("the-canarys-own-secret")},
		},
	} {
		if err := cluster.Create(ctx, o); err != nil {
			return nil, err
		}
	}
	config := controllers.Config{
		SystemNamespace: systemNamespace, WebhookNamespace: webhookNamespace, Instance: "test", Workers: 4,
		WebhookURL: "https://webhook.introspection.svc", AuthorizeURL: "https://webhook.introspection.svc:9443",
		DriftInterval: 500 * time.Millisecond, AllowInsecureLoopback: true,
		Registerer: prometheus.NewRegistry(), Clock: clock.RealClock{},
	}
	mgr, err := ctrl.NewManager(plane.Config(), ctrl.Options{
		Scheme: scheme, Cache: config.CacheOptions(), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, err
	}
	return mgr, controllers.Setup(ctx, mgr, config)
}

// kubectl runs the real one; an error holds what a user sees.
func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience) // cleanups, too
	defer cancel()
	cmd := exec.CommandContext(ctx, cluster.kubectl, append([]string{"--kubeconfig", cluster.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := kubectl(t, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sample is a directory of config/samples as kubectl applies it, for our Keycloak.
func sample(t *testing.T, dir string) string {
	t.Helper()
	return strings.ReplaceAll(must(t, "", "kustomize", filepath.Join(samples, dir)), sampleIssuer, cluster.idp.Issuer())
}

// eventually waits for a state, and fails with what is missing.
func eventually(t *testing.T, what string, reached func(ctx context.Context) error) {
	t.Helper()
	harness.Eventually(t, patience, what, reached)
}
