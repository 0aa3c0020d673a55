// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// registered starts the control plane with one client that is Ready.
func registered(t *testing.T, change ...func(*v1alpha1.IntrospectionClient)) (*world, *v1alpha1.IntrospectionClient) {
	t.Helper()
	w := newWorld(t)
	w.start(nil)
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Retain = v1alpha1.Allowed }))
	c := w.clientObject("orders", change...)
	w.create(c)
	w.ready(c)
	return w, c
}

func TestMinimalObjectsAreEnough(t *testing.T) {
	w, c := registered(t)
	w.oneRegistration(c)
	for _, needed := range []string{
		v1alpha1.ConditionRegistered, v1alpha1.ConditionAudienceMapped, v1alpha1.ConditionVerified, v1alpha1.ConditionPublished,
	} {
		w.condition(c, needed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}
	mounted := w.secret(w.tenant, "orders")
	if mounted.Type != credential.Type || !metav1.IsControlledBy(mounted, c) {
		t.Errorf("the mounted Secret is of type %s, owned by %v", mounted.Type, mounted.OwnerReferences)
	}
	want := []string{"authorize_url", "ca.crt", "client_id", "client_secret", "introspection_endpoint", "issuer", "jwks_uri", "provider", "token_endpoint", "type"}
	if got := slices.Sorted(maps.Keys(mounted.Data)); !slices.Equal(got, want) {
		t.Errorf("its keys are %v", got)
	}
	if got := string(mounted.Data["introspection_endpoint"]); got != "https://webhook.example/introspect/"+w.tenant+"/orders" {
		t.Errorf("its endpoint is %s", got)
	}
	if c.Status.Binding.Name != "orders" || c.Status.ClientID != w.tenant+".orders" {
		t.Errorf("the status says binding %v, client id %s", c.Status.Binding, c.Status.ClientID)
	}
}

// The workload's secret is good at our endpoint only: a stolen one gets nothing
// from the server.
func TestTheMountedSecretIsNothingToTheServer(t *testing.T) {
	w, _ := registered(t)
	mounted := w.secret(w.tenant, "orders")
	form := strings.NewReader("token=x&client_id=" + string(mounted.Data["client_id"]) + "&client_secret=" + string(mounted.Data["client_secret"]))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.idp.Issuer()+"/protocol/openid-connect/token/introspect", form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the server answers %d to the workload's secret", resp.StatusCode)
	}
}

func TestEndpointServerMountsTheServersCredential(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) { c.Spec.Endpoint = v1alpha1.EndpointServer })
	mounted := w.secret(w.tenant, "orders")
	if string(mounted.Data["client_secret"]) != w.record(c).Current.Secret.Reveal() {
		t.Error("it does not hold the registered credential")
	}
	if got := string(mounted.Data["introspection_endpoint"]); !strings.HasPrefix(got, w.idp.URL()) {
		t.Errorf("its endpoint is %s", got)
	}
}

func TestSecretIsShapedAsAsked(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) {
		c.Spec.Secret = v1alpha1.ClientSecret{
			Name:        "orders-introspection",
			Labels:      map[string]v1alpha1.LabelValue{"team": "orders"},
			Annotations: map[string]v1alpha1.AnnotationValue{"reloader.stakater.com/match": "true"},
			Keys:        &v1alpha1.SecretKeys{ClientID: "CLIENT_ID", ClientSecret: "CLIENT_SECRET"},
			Formats:     []v1alpha1.SecretFormat{v1alpha1.FormatSpring, v1alpha1.FormatDotNet},
		}
	})
	mounted := w.secret(w.tenant, "orders-introspection")
	if mounted.Labels["team"] != "orders" || mounted.Annotations["reloader.stakater.com/match"] != "true" {
		t.Errorf("labels %v, annotations %v", mounted.Labels, mounted.Annotations)
	}
	if len(mounted.Data["CLIENT_SECRET"]) == 0 || mounted.Data["client_secret"] != nil {
		t.Errorf("its keys are %v", slices.Sorted(maps.Keys(mounted.Data)))
	}
	for _, key := range []string{"spring.security.oauth2.resourceserver.opaquetoken.client-secret", "OAuth2Introspection__ClientSecret"} {
		if !slices.Equal(mounted.Data[key], mounted.Data["CLIENT_SECRET"]) {
			t.Errorf("its key %s is not the secret", key)
		}
	}
	if c.Status.Binding.Name != "orders-introspection" {
		t.Errorf("the binding is %s", c.Status.Binding.Name)
	}
}

// A lost record is rebuilt: workloads keep their secret, the server gets another.
func TestALostRecordIsRebuilt(t *testing.T) {
	w, c := registered(t)
	before := w.record(c)
	w.deleteSecret(w.config.SystemNamespace, "record-"+before.Object.Hash())
	w.eventually("the record is made again", func(ctx context.Context) error {
		after, err := w.store().LoadRecord(ctx, before.Object)
		switch {
		case err != nil:
			return err
		case after == nil || after.Current == nil:
			return errors.New("no record in use")
		case after.Facade.Secret != before.Facade.Secret:
			t.Fatal("the workloads' secret was replaced: each of them is locked out")
		case after.Current.Secret == before.Current.Secret:
			t.Fatal("the lost secret came back from nowhere")
		case w.idp.Client(c.Status.ClientID)["secret"] != after.Current.Secret.Reveal():
			return errors.New("the server has another secret")
		}
		return nil
	})
}

// whole says what is missing of a client with the credentials that it had.
func (w *world) whole(ctx context.Context, c *v1alpha1.IntrospectionClient, before *credential.StoredRecord) error {
	registered := w.idp.Client(c.Status.ClientID)
	if registered == nil || registered["secret"] != before.Current.Secret.Reveal() || registered["enabled"] != true || registered["id"] != before.RegistrationID {
		return errors.New("the registration is not as it was")
	}
	if defaults, _ := w.idp.Attached(tokenClient); !slices.Contains(defaults, c.Status.AudienceScope) {
		return errors.New("the audience is not mapped")
	}
	s := &corev1.Secret{}
	if err := w.kube.Get(ctx, client.ObjectKey{Namespace: w.tenant, Name: "orders"}, s); err != nil {
		return err
	}
	if string(s.Data["client_secret"]) != before.Facade.Secret.Reveal() || s.Data["more"] != nil || !metav1.IsControlledBy(s, c) || s.Labels[credential.LabelKind] != credential.KindMounted {
		return errors.New("the mounted Secret is not as it was")
	}
	projection := client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: "client-" + before.Object.Hash()}
	if err := w.kube.Get(ctx, projection, s); err != nil {
		return err
	}
	return w.isReady(ctx, c)
}

// hint says what the webhook would: the server refused this client's credentials.
func (w *world) hint(c *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	w.hints().say(w.t.Context(), credential.Object{Namespace: c.Namespace, Name: c.Name}, hintRefused)
}

func (w *world) hints() *hintWriter {
	w.t.Helper()
	kube, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	return &hintWriter{
		events: kube.EventsV1().Events(w.config.WebhookNamespace), namespace: w.config.WebhookNamespace,
		instance: "test", clock: w.config.Clock, log: testr.New(w.t),
	}
}

func (w *world) update(o client.Object) {
	w.t.Helper()
	for {
		err := w.kube.Update(w.t.Context(), o)
		if err == nil {
			return
		}
		latest, ok := o.DeepCopyObject().(client.Object)
		if !ok || !apierrors.IsConflict(err) {
			w.t.Fatal(err)
		}
		// A status was written meanwhile: it is no part of what is declared.
		if err := w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(o), latest); err != nil {
			w.t.Fatal(err)
		}
		o.SetResourceVersion(latest.GetResourceVersion())
	}
}

func (w *world) deleteSecret(namespace, name string) {
	w.t.Helper()
	if err := w.kube.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
		w.t.Fatal(err)
	}
}

// A server that is down: a condition, nothing lost, nothing created twice.
func TestServerDownAndUpAgain(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	w.create(w.serverObject())
	server := w.serverObject()
	w.ready(server)
	// Writes only: the look at the server itself, whenever it comes, must not be first to fail,
	// or the client would say that its server is not Ready.
	remove := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching(http.MethodPost, "/admin/"), Undone: true, Status: 503, Body: keycloak.HTML})
	c := w.clientObject("orders")
	w.create(c)
	message := w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServerError)
	if strings.Contains(message, "<") {
		t.Errorf("a proxy's page stands in the condition: %s", message)
	}
	w.condition(c, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonServerError)
	remove()
	w.ready(c)
	w.oneRegistration(c)
}

func TestDeletion(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.IntrospectionClient)
		before func(w *world, c *v1alpha1.IntrospectionClient)
		check  func(w *world, c *v1alpha1.IntrospectionClient)
	}{
		"deletes all": {
			reason: "registration, mapping, Secrets",
			check:  func(w *world, c *v1alpha1.IntrospectionClient) { w.nothingLeft(c) },
		},
		"with an empty status": {
			reason: "after a restore: an empty status is no reason to skip",
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				c.Status = v1alpha1.IntrospectionClientStatus{ObservedGeneration: -1}
				if err := w.kube.Status().Update(w.t.Context(), c); err != nil {
					w.t.Fatal(err)
				}
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) { w.nothingLeft(c) },
		},
		"already gone": {
			reason: "404 is success",
			before: func(w *world, c *v1alpha1.IntrospectionClient) { w.idp.DeleteClient(c.Status.ClientID) },
			check:  func(w *world, c *v1alpha1.IntrospectionClient) { w.nothingLeft(c) },
		},
		"another's by now": {
			reason: "somebody made the client anew without our mark: it is left alone",
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(c.Status.ClientID, map[string]any{"attributes": map[string]any{}})
			},
			check: func(w *world, _ *v1alpha1.IntrospectionClient) {
				if w.idp.Client(w.tenant+".orders") == nil {
					w.t.Error("a client that is not ours was deleted")
				}
			},
		},
		"retains": {
			reason: "the registration and the Secret outlive the object",
			change: func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain },
			check: func(w *world, _ *v1alpha1.IntrospectionClient) {
				if w.idp.Client(w.tenant+".orders") == nil {
					w.t.Error("the registration is gone")
				}
				if s := w.secret(w.tenant, "orders"); len(s.OwnerReferences) > 0 {
					w.t.Error("garbage collection would delete the Secret")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*v1alpha1.IntrospectionClient)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			w, c := registered(t, change...)
			if tc.before != nil {
				tc.before(w, c)
			}
			if err := w.kube.Delete(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			w.gone(c)
			tc.check(w, c)
		})
	}
}

// A retained client that is declared again has the credentials that it had.
func TestRetainedAndDeclaredAgain(t *testing.T) {
	retain := func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
	w, c := registered(t, retain)
	before := w.record(c)
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	again := w.clientObject("orders", retain)
	w.create(again)
	w.ready(again)
	if err := w.whole(t.Context(), again, before); err != nil {
		t.Error(err)
	}
}

// A server is not deleted under its clients.
func TestServerInUse(t *testing.T) {
	w, c := registered(t)
	server := w.serverObject()
	if err := w.kube.Delete(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	message := w.condition(server, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInUse)
	if !strings.Contains(message, w.tenant+"/orders") {
		t.Errorf("who uses it? %s", message)
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	w.gone(server)
	w.nothingLeft(c)
}

// A look that finds nothing writes nothing, anywhere.
func TestAResyncThatFindsNothingWritesNothing(t *testing.T) {
	w := newWorld(t)
	stop := w.start(nil)
	w.create(w.serverObject())
	for i := range 3 {
		w.create(w.clientObject(fmt.Sprintf("orders-%d", i)))
	}
	for i := range 3 {
		w.ready(w.clientObject(fmt.Sprintf("orders-%d", i)))
	}
	stop()
	stop = w.start(nil) // what a client shows of its server is seen when it is looked at again
	w.eventually("the server's status shows what its clients have shown", func(ctx context.Context) error {
		server := w.serverObject()
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
			return err
		}
		if overlap := server.Status.Capabilities.Overlap; overlap != "None" {
			return errors.New(overlap)
		}
		return nil
	})
	stop()
	calls := len(w.idp.Calls())
	recorder := &recorder{}
	w.start(recorder.wrap)
	w.eventually("every client was looked at again", func(context.Context) error {
		if n := recorder.count("POST", "/introspect"); n < 3 {
			return fmt.Errorf("%d introspections", n)
		}
		return nil
	})
	for _, c := range w.idp.Calls()[calls:] {
		if c.Method != http.MethodGet && strings.HasPrefix(c.Path, "/admin/") {
			t.Errorf("a write at the server: %s", c)
		}
	}
	for _, write := range recorder.writes() {
		t.Errorf("a write at the API server: %s", write)
	}
}

// A process that starts knows the authority that another made: it would say of every
// client that it waits for one.
func TestTheAuthorityIsKnownBeforeItIsLookedAt(t *testing.T) {
	w, c := registered(t)
	started := &certificateReconciler{config: w.config, store: w.store(), clock: w.config.Clock}
	bundle, err := started.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if mounted := w.secret(c.Namespace, c.Name).Data["ca.crt"]; len(bundle) == 0 || !bytes.Equal(bundle, mounted) {
		t.Errorf("a process that started knows %q, and the Secret holds %q", bundle, mounted)
	}
}

func TestNothingOfASecretIsTold(t *testing.T) {
	w, c := registered(t)
	record := w.record(c)
	events := &corev1.EventList{}
	if err := w.kube.List(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	told := fmt.Sprintf("%+v %+v", c, events)
	for _, s := range []string{record.Current.Secret.Reveal(), record.Facade.Secret.Reveal(), operatorPass} {
		if strings.Contains(told, s) {
			t.Error("a secret stands in the object or in an Event")
		}
	}
}
