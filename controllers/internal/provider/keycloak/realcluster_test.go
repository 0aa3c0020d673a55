// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// TestRealCluster is a real Keycloak that trusts a real API server's issuer.
func TestRealCluster(t *testing.T) {
	c := realCluster(t)
	server := env.KeycloakForTest(t, env.KeycloakOptions{RealmFiles: []string{realmFile(t, "acme", nil)}})
	w := newWorld(server.URL(), "acme")
	w.trust(t, c)
	t.Run("sign-in", func(t *testing.T) { accountSignIn(t, w, c) })
	t.Run("conformance", func(t *testing.T) {
		h := w.harness(t)
		h.Slow = true
		providertest.Run(t, h)
	})
}

// realCluster is an API server whose issuer Keycloak can ask: what the API server publishes to those
// who sign in is passed on to those who don't.
func realCluster(t *testing.T) cluster {
	t.Helper()
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(env.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KC_TRUSTSTORE_PATHS", trusted)
	mux := http.NewServeMux()
	relay := httptest.NewUnstartedServer(mux)
	relay.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	relay.StartTLS()
	t.Cleanup(relay.Close)
	cp := env.ControlPlaneForTest(t, env.ControlPlaneOptions{ServiceAccountIssuer: relay.URL})
	clients, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains([]string{"/.well-known/openid-configuration", "/openid/v1/jwks"}, r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		document, err := clients.CoreV1().RESTClient().Get().AbsPath(r.URL.Path).DoRaw(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
	return cluster{issuer: relay.URL, token: minter(clients)}
}

// minter makes ServiceAccounts, and asks for their tokens.
func minter(clients kubernetes.Interface) func(t *testing.T, name, audience string) provider.Secret {
	const namespace = "introspection"
	return func(t *testing.T, name, audience string) provider.Secret {
		t.Helper()
		ctx := t.Context()
		_, err := clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		accounts := clients.CoreV1().ServiceAccounts(namespace)
		_, err = accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		seconds := int64(3600)
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds}}
		if request, err = accounts.CreateToken(ctx, name, request, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		return provider.Secret(request.Status.Token)
	}
}
