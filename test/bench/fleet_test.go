// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

const (
	// fleetDelay is how long the authorization server takes for an answer.
	fleetDelay = 5 * time.Millisecond
	// fleetRate is its limiter's, in requests a second.
	fleetRate = 200
	// fleetTokenClients are what the clients are spread over.
	fleetTokenClients = 16
	// fleetPatience is for all of them.
	fleetPatience = 30 * time.Minute
)

// fleetSize is how many clients there are: 10,000, or what BENCH_CLIENTS says.
func fleetSize(b *testing.B) int {
	b.Helper()
	text := os.Getenv("BENCH_CLIENTS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("BENCH_CLIENTS=%q is no number of clients", text)
	}
	return n
}

// fleet is a real API server, a Keycloak at the level of its protocols, and many clients.
type fleet struct {
	plane *env.ControlPlane
	kube  client.Client
	idp   *keycloak.Server
	size  int

	// admin, writes and asked count the calls: of the Admin API, those of it that write, and introspections.
	admin, writes, asked atomic.Int64
}

func newFleet(b *testing.B, size int) *fleet {
	b.Helper()
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		b.Fatal(err)
	}
	f := &fleet{size: size, plane: env.ControlPlaneForTest(b, env.ControlPlaneOptions{CRDPaths: []string{"../../config/crd/bases"}})}
	var err error
	if f.kube, err = client.New(f.plane.Config(), client.Options{Scheme: scheme}); err != nil {
		b.Fatal(err)
	}
	clients := []keycloak.Client{keycloak.Operator("operator", operatorSecret)}
	for _, name := range f.tokenClients() {
		clients = append(clients, keycloak.Client{ID: name, Secret: "s"})
	}
	f.idp = keycloak.New(keycloak.Options{Clients: clients})
	f.idp.Forget()
	f.idp.OnCall(f.count)
	f.idp.Inject(keycloak.Fault{Delay: fleetDelay})
	f.idp.Start()
	b.Cleanup(f.idp.Close)
	for _, name := range []string{"introspection-system", "introspection", "shop"} {
		f.create(b, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	f.create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "introspection-system", Name: "keycloak-operator"},
		StringData: map[string]string{"client_id": "operator", "client_secret": operatorSecret},
	})
	f.create(b, f.server())
	return f
}

func (f *fleet) count(c keycloak.Call) {
	switch {
	case strings.HasSuffix(c.Path, "/token/introspect"):
		f.asked.Add(1)
	case strings.HasPrefix(c.Path, "/admin/"):
		f.admin.Add(1)
		if keycloak.IsWrite(c) {
			f.writes.Add(1)
		}
	}
}

func (*fleet) tokenClients() []string {
	names := make([]string, fleetTokenClients)
	for i := range names {
		names[i] = fmt.Sprintf("web-%d", i)
	}
	return names
}

func (f *fleet) server() *v1alpha1.ClusterAuthorizationServer {
	return &v1alpha1.ClusterAuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: "corporate"},
		Spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer:      f.idp.Issuer(),
			Connection:  v1alpha1.ServerConnection{Limits: v1alpha1.ServerLimits{RequestsPerSecond: fleetRate, Burst: fleetRate / 10, MaxInFlight: 64}},
			Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "keycloak-operator"}},
			Keycloak:    &v1alpha1.KeycloakServer{TokenClients: f.tokenClients()},
			Access:      &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{}},
		},
	}
}

func (f *fleet) create(b *testing.B, o client.Object) {
	b.Helper()
	if err := f.kube.Create(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}

// apply creates the clients, several at once, as a pipeline does.
func (f *fleet) apply(b *testing.B) {
	b.Helper()
	names, tokenClients := make(chan int), f.tokenClients()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range names {
				err := f.kube.Create(context.Background(), &v1alpha1.IntrospectionClient{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("api-%d", i)},
					Spec: v1alpha1.IntrospectionClientSpec{
						AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"},
						Audience: v1alpha1.ClientAudience{
							Mode: v1alpha1.AudienceOnRequest, TokenClients: tokenClients[i%len(tokenClients) : i%len(tokenClients)+1],
						},
					},
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range f.size {
		names <- i
	}
	close(names)
	group.Wait()
}

// ready waits until all clients are.
func (f *fleet) ready(b *testing.B) {
	b.Helper()
	for limit := time.Now().Add(fleetPatience); ; time.Sleep(time.Second) {
		list := &v1alpha1.IntrospectionClientList{}
		if err := f.kube.List(context.Background(), list, client.InNamespace("shop")); err != nil {
			b.Fatal(err)
		}
		ready, waiting := 0, &v1alpha1.IntrospectionClient{}
		for i := range list.Items {
			if apimeta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			} else {
				waiting = &list.Items[i]
			}
		}
		if ready == f.size {
			return
		}
		if time.Now().After(limit) {
			b.Fatalf("%d of %d are Ready; %s says %+v", ready, f.size, waiting.Name, waiting.Status.Conditions)
		}
	}
}
