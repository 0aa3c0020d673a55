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
	"strings"
	"sync"
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
// Keycloak, beside a script that makes the calls which it takes at least and nothing
// else: for 1 and 100 clients one after another, for 1,000 (BENCH_CLIENTS) as many at
// once as we have workers. ratio is the script's time to ours, to reach 0.8 for 1,000.
func BenchmarkReady(b *testing.B) {
	many := 1000
	if os.Getenv("BENCH_CLIENTS") != "" {
		many = fleetSize(b)
	}
	s := newSite(b)
	for _, run := range []struct{ clients, atOnce int }{{1, 1}, {100, 1}, {many, workers}} {
		b.Run(fmt.Sprintf("%d", run.clients), func(b *testing.B) {
			for b.Loop() {
				script := s.scripted(b, run.clients, run.atOnce)
				ours := s.applied(b, run.clients)
				b.ReportMetric(ours.Seconds(), "s-to-Ready")
				b.ReportMetric(script.Seconds(), "s-script")
				b.ReportMetric(script.Seconds()/ours.Seconds(), "ratio")
			}
		})
	}
}

// workers is how many clients are reconciled at once.
const workers = 8

// site is a control plane, a Keycloak, and the operator between them.
type site struct {
	kube   client.WithWatch
	issuer string
	admin  string
	round  int
}

func newSite(b *testing.B) *site {
	b.Helper()
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	plane := env.ControlPlaneForTest(b, env.ControlPlaneOptions{CRDPaths: []string{"../../config/crd/bases"}})
	realm := env.RealmForTest(b, "acme", nil, operatorClient, env.RealmClient{ID: "web", Members: map[string]any{"publicClient": true, "serviceAccountsEnabled": false}})
	idp := env.KeycloakForTest(b, env.KeycloakOptions{RealmFiles: []string{realm}})
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		b.Fatal(err)
	}
	kube, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	s := &site{kube: kube, issuer: idp.URL() + "/realms/acme", admin: idp.URL() + "/admin/realms/acme"}
	for _, name := range []string{"introspection-system", "introspection", "shop", "hand"} {
		s.create(b, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	s.create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "introspection-system", Name: "keycloak-operator"},
		StringData: map[string]string{"client_id": "operator", "client_secret": operatorSecret},
	})
	config := controllers.Config{
		SystemNamespace: "introspection-system", WebhookNamespace: "introspection", Instance: "bench", Workers: workers,
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

// operatorClient is what the operator signs in as.
var operatorClient = env.RealmClient{ID: "operator", Secret: operatorSecret, Roles: []string{"manage-clients"}}

func (s *site) create(b *testing.B, o client.Object) {
	b.Helper()
	if err := s.kube.Create(context.Background(), o); err != nil {
		b.Error(err)
	}
}

// applied applies n clients and waits until all are Ready.
func (s *site) applied(b *testing.B, n int) time.Duration {
	b.Helper()
	s.round++
	round := fmt.Sprint(s.round)
	ctx, cancel := context.WithTimeout(context.Background(), fleetPatience)
	defer cancel()
	told, err := s.kube.Watch(ctx, &v1alpha1.IntrospectionClientList{}, client.InNamespace("shop"), client.MatchingLabels{"round": round})
	if err != nil {
		b.Fatal(err)
	}
	defer told.Stop()
	start := time.Now()
	for first := range workers {
		go s.apply(b, round, first, n)
	}
	ready := map[string]bool{}
	for event := range told.ResultChan() {
		o, ok := event.Object.(*v1alpha1.IntrospectionClient)
		if ok && apimeta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) {
			ready[o.Name] = true
		}
		if len(ready) == n {
			return time.Since(start)
		}
	}
	b.Fatalf("%d of %d are Ready", len(ready), n)
	return 0
}

// apply applies every so many of n clients, from the first on.
func (s *site) apply(b *testing.B, round string, first, n int) {
	b.Helper()
	for i := first; i < n; i += workers {
		s.create(b, &v1alpha1.IntrospectionClient{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("api-%s-%d", round, i), Labels: map[string]string{"round": round}},
			Spec: v1alpha1.IntrospectionClientSpec{
				AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"}, Audience: v1alpha1.ClientAudience{Mode: v1alpha1.AudienceOnRequest},
			},
		})
	}
}

// scripted makes the calls that clients take at least, for some of them at once.
func (s *site) scripted(b *testing.B, n, atOnce int) time.Duration {
	b.Helper()
	bearer := "Bearer " + s.signIn(b)
	var found []struct {
		ID string `json:"id"`
	}
	start := time.Now()
	if err := json.Unmarshal(s.call(b, http.MethodGet, s.admin+"/clients?clientId=web", bearer, nil), &found); err != nil || len(found) != 1 {
		b.Fatalf("web: %v, %v", found, err)
	}
	clients := make(chan struct{}, n)
	for range n {
		clients <- struct{}{}
	}
	close(clients)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for range clients {
				s.script(b, bearer, found[0].ID)
			}
		})
	}
	group.Wait()
	return time.Since(start)
}

// script makes the calls of one client: at the server look up, create, make the scope, attach it,
// introspect; in the cluster the object, its finalizer and its status, the record, its four changes
// (one before each write at the server, and the one that takes the credential into use), the
// webhook's record and the Secret.
func (s *site) script(b *testing.B, bearer, tokenClient string) {
	b.Helper()
	scope, name := uuid.NewString(), "hand-"+uuid.NewString()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "hand", Name: name}} // nobody else's
	s.create(b, object)
	s.update(b, object, func() { object.Finalizers = []string{"example.com/by-hand"} })
	record := s.secret(b, name+"-record")
	s.secret(b, name+"-client")
	s.call(b, http.MethodGet, s.admin+"/clients?clientId="+name, bearer, nil)
	s.change(b, record)
	s.call(b, http.MethodPost, s.admin+"/clients", bearer, map[string]any{
		"id": uuid.NewString(), "clientId": name, "secret": "s", "publicClient": false, "standardFlowEnabled": false,
		"fullScopeAllowed": false, "defaultClientScopes": []string{}, "optionalClientScopes": []string{},
	})
	s.change(b, record)
	s.call(b, http.MethodPost, s.admin+"/client-scopes", bearer, map[string]any{
		"id": scope, "name": name, "protocol": "openid-connect",
		"protocolMappers": []map[string]any{{
			"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": map[string]string{"included.client.audience": name, "access.token.claim": "true", "introspection.token.claim": "true"},
		}},
	})
	s.change(b, record)
	s.call(b, http.MethodPut, s.admin+"/clients/"+tokenClient+"/optional-client-scopes/"+scope, bearer, nil)
	s.form(b, s.issuer+"/protocol/openid-connect/token/introspect", url.Values{"token": {"x"}, "client_id": {name}, "client_secret": {"s"}})
	s.change(b, record)
	s.secret(b, name)
	s.update(b, object, func() { object.Data = map[string]string{"status": "Ready"} })
}

func (s *site) secret(b *testing.B, name string) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "hand", Name: name}, StringData: map[string]string{"client_secret": "s"}}
	s.create(b, secret)
	return secret
}

// change writes a Secret again.
func (s *site) change(b *testing.B, secret *corev1.Secret) {
	b.Helper()
	s.update(b, secret, func() { secret.Data = map[string][]byte{"client_secret": []byte(uuid.NewString())} })
}

func (s *site) update(b *testing.B, o client.Object, change func()) {
	b.Helper()
	change()
	if err := s.kube.Update(context.Background(), o); err != nil {
		b.Error(err)
	}
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
