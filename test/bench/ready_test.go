// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
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
)

const operatorSecret = "the-operators-own-secret"

// BenchmarkReady times the way from apply to Ready on a real API server and a real
// Keycloak, for 1 and for 100 clients, beside the calls that it takes at least,
// made one after another by hand. ratio is by hand to ours: above 1 we are faster.
func BenchmarkReady(b *testing.B) {
	s := newSite(b)
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			for b.Loop() {
				ours := s.applied(b, n)
				byHand := s.byHand(b, n)
				b.ReportMetric(ours.Seconds(), "s-to-Ready")
				b.ReportMetric(byHand.Seconds(), "s-by-hand")
				b.ReportMetric(byHand.Seconds()/ours.Seconds(), "ratio")
			}
		})
	}
}

// site is a control plane, a Keycloak, and the operator between them.
type site struct {
	kube   client.Client
	issuer string
	admin  string
	round  int
}

func newSite(b *testing.B) *site {
	b.Helper()
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	plane := env.ControlPlaneForTest(b, env.ControlPlaneOptions{CRDPaths: []string{"../../config/crd/bases"}})
	realm := filepath.Join(b.TempDir(), "acme.json")
	if err := os.WriteFile(realm, realmJSON(b), 0o600); err != nil {
		b.Fatal(err)
	}
	idp := env.KeycloakForTest(b, env.KeycloakOptions{RealmFiles: []string{realm}})
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		b.Fatal(err)
	}
	kube, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	s := &site{kube: kube, issuer: idp.URL() + "/realms/acme", admin: idp.URL() + "/admin/realms/acme"}
	for _, name := range []string{"introspection-system", "introspection", "shop"} {
		s.create(b, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	s.create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "introspection-system", Name: "keycloak-operator"},
		StringData: map[string]string{"client_id": "operator", "client_secret": operatorSecret},
	})
	config := controllers.Config{
		SystemNamespace: "introspection-system", WebhookNamespace: "introspection", Instance: "bench", Workers: 8,
		WebhookURL: "https://webhook.introspection.svc", AuthorizeURL: "https://webhook.introspection.svc:9443",
		DriftInterval: time.Hour, AllowInsecureLoopback: true, Registerer: prometheus.NewRegistry(), Clock: clock.RealClock{},
	}
	mgr, err := ctrl.NewManager(plane.Config(), ctrl.Options{Scheme: scheme, Cache: config.CacheOptions(), Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := controllers.Setup(ctx, mgr, config); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	s.create(b, &v1alpha1.ClusterAuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: "corporate"},
		Spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer:      s.issuer,
			Connection:  v1alpha1.ServerConnection{Limits: v1alpha1.ServerLimits{RequestsPerSecond: 10000, Burst: 10000, MaxInFlight: 64}},
			Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "keycloak-operator"}},
			Keycloak:    &v1alpha1.KeycloakServer{TokenClients: []string{"web"}},
			Access: &v1alpha1.ServerAccess{
				NamespaceSelector: &metav1.LabelSelector{}, Audience: v1alpha1.AudienceAccess{MaxPerTokenClient: 1000},
			},
		},
	})
	s.applied(b, 1) // warm: sessions, caches, the server's own
	return s
}

func realmJSON(b *testing.B) []byte {
	b.Helper()
	encoded, err := json.Marshal(map[string]any{
		"realm": "acme", "enabled": true,
		"clients": []map[string]any{
			{"clientId": "operator", "secret": operatorSecret, "serviceAccountsEnabled": true, "enabled": true},
			{"clientId": "web", "publicClient": true, "enabled": true},
		},
		"users": []map[string]any{{
			"username": "service-account-operator", "enabled": true, "serviceAccountClientId": "operator",
			"clientRoles": map[string]any{"realm-management": []string{"manage-clients"}},
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return encoded
}

func (s *site) create(b *testing.B, o client.Object) {
	b.Helper()
	if err := s.kube.Create(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}

// applied applies n clients and waits until all are Ready.
func (s *site) applied(b *testing.B, n int) time.Duration {
	b.Helper()
	s.round++
	round := fmt.Sprint(s.round)
	start := time.Now()
	for i := range n {
		s.create(b, &v1alpha1.IntrospectionClient{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("api-%s-%d", round, i), Labels: map[string]string{"round": round}},
			Spec:       v1alpha1.IntrospectionClientSpec{AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"}},
		})
	}
	for limit := start.Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		list := &v1alpha1.IntrospectionClientList{}
		if err := s.kube.List(context.Background(), list, client.InNamespace("shop"), client.MatchingLabels{"round": round}); err != nil {
			b.Fatal(err)
		}
		ready := 0
		for i := range list.Items {
			if apimeta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
		}
		if ready == n {
			return time.Since(start)
		}
		if time.Now().After(limit) {
			b.Fatalf("%d of %d are Ready: %+v", ready, n, list.Items[0].Status.Conditions)
		}
	}
}

// byHand makes the calls that a client takes at least: at the server look up,
// create, make the scope, find the token client, attach, introspect; in the
// cluster the object and the three Secrets.
func (s *site) byHand(b *testing.B, n int) time.Duration {
	b.Helper()
	bearer := "Bearer " + s.signIn(b)
	start := time.Now()
	for range n {
		id, scope, name := uuid.NewString(), uuid.NewString(), "hand-"+uuid.NewString()
		s.call(b, http.MethodGet, s.admin+"/clients?clientId="+name, bearer, nil)
		s.call(b, http.MethodPost, s.admin+"/clients", bearer, map[string]any{
			"id": id, "clientId": name, "secret": "s", "publicClient": false, "standardFlowEnabled": false,
			"fullScopeAllowed": false, "defaultClientScopes": []string{}, "optionalClientScopes": []string{},
		})
		s.call(b, http.MethodPost, s.admin+"/client-scopes", bearer, map[string]any{
			"id": scope, "name": name, "protocol": "openid-connect",
			"protocolMappers": []map[string]any{{
				"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
				"config": map[string]string{"included.client.audience": name, "access.token.claim": "true", "introspection.token.claim": "true"},
			}},
		})
		var found []struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(s.call(b, http.MethodGet, s.admin+"/clients?clientId=web", bearer, nil), &found); err != nil || len(found) != 1 {
			b.Fatalf("web: %v, %v", found, err)
		}
		s.call(b, http.MethodPut, s.admin+"/clients/"+found[0].ID+"/default-client-scopes/"+scope, bearer, nil)
		s.form(b, s.issuer+"/protocol/openid-connect/token/introspect", url.Values{"token": {"x"}, "client_id": {name}, "client_secret": {"s"}})
		for _, secret := range []string{"record", "client", "mounted"} {
			s.create(b, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name + "-" + secret}, StringData: map[string]string{"client_secret": "s"}})
		}
		s.create(b, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	return time.Since(start)
}

func (s *site) signIn(b *testing.B) string {
	b.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	body := s.form(b, s.issuer+"/protocol/openid-connect/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"operator"}, "client_secret": {operatorSecret},
	})
	if err := json.Unmarshal(body, &answer); err != nil {
		b.Fatal(err)
	}
	return answer.AccessToken
}

func (s *site) form(b *testing.B, to string, values url.Values) []byte {
	b.Helper()
	return s.do(b, http.MethodPost, to, "", "application/x-www-form-urlencoded", strings.NewReader(values.Encode()))
}

func (s *site) call(b *testing.B, method, to, bearer string, body any) []byte {
	b.Helper()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	return s.do(b, method, to, bearer, "application/json", content)
}

func (*site) do(b *testing.B, method, to, bearer, contentType string, content io.Reader) []byte {
	b.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, to, content)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if bearer != "" {
		req.Header.Set("Authorization", bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		b.Fatalf("%s %s: %s, %v", method, req.URL.Path, resp.Status, err)
	}
	return answer
}
