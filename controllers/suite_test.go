// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// One real API server and etcd serve the package; each test has namespaces, a
// server object and a protocol-level Keycloak of its own, and cleans up.
var (
	plane *env.ControlPlane
	// clusterIssuer is its issuer, as whoever trusts its ServiceAccounts asks it.
	clusterIssuer *httptest.Server
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	os.Exit(func() int {
		var err error
		clusterIssuer = httptest.NewTLSServer(http.HandlerFunc(publish))
		defer clusterIssuer.Close()
		plane, err = env.StartControlPlane(context.Background(), env.ControlPlaneOptions{CRDPaths: []string{"../config/crd/bases"}, ServiceAccountIssuer: clusterIssuer.URL})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = plane.Stop() }()
		return m.Run()
	}())
}

// publish passes on what the API server says of its ServiceAccount tokens, for servers that trust them.
func publish(w http.ResponseWriter, r *http.Request) {
	clients, err := kubernetes.NewForConfig(plane.Config())
	var document []byte
	if err == nil {
		document, err = clients.CoreV1().RESTClient().Get().AbsPath(r.URL.Path).DoRaw(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document)
}

const (
	patience     = 30 * time.Second
	tokenClient  = "web"
	operatorID   = "introspection-operator"
	operatorPass = "the-operators-own-secret"
)

// world is what one test has.
type world struct {
	t      *testing.T
	kube   client.Client
	idp    *keycloak.Server
	config Config
	tenant string
	server string

	metrics *prometheus.Registry // of the control plane that was started last
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	kube, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, kube: kube, idp: keycloak.New(keycloak.Options{Clients: []keycloak.Client{
		keycloak.Operator(operatorID, operatorPass),
		{ID: tokenClient, Secret: "web-secret", OptionalScopes: []string{"orders.read"}},
		{ID: "mobile", Secret: "mobile-secret"},
	}})}
	w.idp.Start()
	t.Cleanup(w.idp.Close)
	system, webhook, tenant := w.namespace("system"), w.namespace("webhook"), w.namespace("shop")
	w.tenant, w.server = tenant, tenant
	w.config = Config{
		SystemNamespace: system, WebhookNamespace: webhook, Instance: "test", Workers: 4,
		WebhookURL: "https://webhook.example", AuthorizeURL: "https://webhook.example:9443",
		DriftInterval: time.Hour, AllowInsecureLoopback: true,
		Registerer: prometheus.NewRegistry(), Clock: clock.RealClock{},
	}
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "keycloak-operator"},
		Data:       map[string][]byte{"client_id": []byte(operatorID), "client_secret": []byte(operatorPass)},
	})
	t.Cleanup(w.cleanUp)
	return w
}

// namespace makes one that no other test has.
func (w *world) namespace(name string) string {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}}
	w.create(ns)
	return ns.Name
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.kube.Create(w.t.Context(), o); err != nil {
		w.t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
	}
}

// cleanUp takes this world's objects out of the way of the next one's controllers.
func (w *world) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, list := range []client.ObjectList{&v1alpha1.IntrospectionClientList{}, &v1alpha1.TokenPolicyList{}, &v1alpha1.ClusterAuthorizationServerList{}} {
		if err := w.kube.List(ctx, list); err != nil {
			w.t.Error(err)
		}
		_ = apimeta.EachListItem(list, func(item runtime.Object) error {
			o := item.(client.Object)
			o.SetFinalizers(nil)
			_ = w.kube.Update(ctx, o)
			return w.kube.Delete(ctx, o)
		})
	}
}

// start runs the control plane until the test ends, or the returned function is
// called. wrap stands between it and everything that it calls.
func (w *world) start(wrap func(http.RoundTripper) http.RoundTripper) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	kube := rest.CopyConfig(plane.Config())
	config := w.config
	w.metrics = prometheus.NewRegistry()
	config.Registerer = w.metrics
	if wrap != nil {
		kube.Wrap(wrap)
		config.Transport = wrap
	}
	mgr, err := ctrl.NewManager(kube, ctrl.Options{
		Scheme: w.kube.Scheme(), Cache: config.CacheOptions(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: crconfig.Controller{SkipNameValidation: new(true)}, // a process here lives many lives
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := Setup(ctx, mgr, config); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			w.t.Error("the controllers did not stop")
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// serverObject is the minimal one, for this world.
func (w *world) serverObject(change ...func(*v1alpha1.ClusterAuthorizationServer)) *v1alpha1.ClusterAuthorizationServer {
	s := &v1alpha1.ClusterAuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: w.server},
		Spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer:      w.idp.Issuer(),
			Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "keycloak-operator"}},
			Keycloak:    &v1alpha1.KeycloakServer{TokenClients: []string{tokenClient}},
			Access: &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.tenant},
			}},
		},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// clientObject is the minimal one, for this world.
func (w *world) clientObject(name string, change ...func(*v1alpha1.IntrospectionClient)) *v1alpha1.IntrospectionClient {
	c := &v1alpha1.IntrospectionClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: name},
		Spec:       v1alpha1.IntrospectionClientSpec{AuthorizationServerRef: v1alpha1.ServerReference{Name: w.server}},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// eventually waits for a state, and fails with what is missing.
func (w *world) eventually(what string, reached func(ctx context.Context) error) {
	w.t.Helper()
	harness.Eventually(w.t, patience, what, reached)
}

// condition waits until an object has a condition with a reason, and returns its message.
func (w *world) condition(o client.Object, conditionType string, value metav1.ConditionStatus, reason string) string {
	w.t.Helper()
	message := ""
	w.eventually(fmt.Sprintf("%s %s=%s/%s", o.GetName(), conditionType, value, reason), func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		conditions := conditionsOf(o)
		c := apimeta.FindStatusCondition(conditions, conditionType)
		if c == nil || c.Status != value || c.Reason != reason || c.ObservedGeneration != o.GetGeneration() {
			return errors.New(describe(conditions))
		}
		message = c.Message
		return nil
	})
	return message
}

func (w *world) ready(o client.Object) {
	w.t.Helper()
	w.condition(o, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func (w *world) gone(o client.Object) {
	w.t.Helper()
	w.eventually(o.GetName()+" is gone", func(ctx context.Context) error { return w.isGone(ctx, o) })
}

func (w *world) isGone(ctx context.Context, o client.Object) error {
	if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return client.IgnoreNotFound(err)
	}
	return errors.New("still there: " + describe(conditionsOf(o)))
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.ClusterAuthorizationServer:
		return o.Status.Conditions
	case *v1alpha1.IntrospectionClient:
		return o.Status.Conditions
	case *v1alpha1.TokenPolicy:
		return o.Status.Conditions
	default:
		return nil
	}
}

func describe(conditions []metav1.Condition) string {
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "\n  %s=%s/%s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return b.String()
}

// secret reads a Secret.
func (w *world) secret(namespace, name string) *corev1.Secret {
	w.t.Helper()
	s := &corev1.Secret{}
	if err := w.kube.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, s); err != nil {
		w.t.Fatalf("reading Secret %s/%s: %v", namespace, name, err)
	}
	return s
}

// record reads the record of a client.
func (w *world) record(o client.Object) *credential.StoredRecord {
	w.t.Helper()
	return w.recordNow(w.t.Context(), o)
}

func (w *world) recordNow(ctx context.Context, o client.Object) *credential.StoredRecord {
	w.t.Helper()
	r, err := w.store().LoadRecord(ctx, credential.Object{Namespace: o.GetNamespace(), Name: o.GetName()})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) store() *credential.Store {
	return &credential.Store{
		Reader: w.kube, Writer: w.kube, SystemNamespace: w.config.SystemNamespace,
		WebhookNamespace: w.config.WebhookNamespace, Instance: w.config.Instance, Clock: w.config.Clock,
	}
}
