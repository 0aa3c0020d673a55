// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// everybody grants the world's server to all namespaces.
func everybody(s *v1alpha1.ClusterAuthorizationServer) {
	s.Spec.Access.NamespaceSelector = &metav1.LabelSelector{}
}

// victim is another tenant's client, which works, and all that belongs to it.
type victim struct {
	w        *world
	object   *v1alpha1.IntrospectionClient
	clientID string
	before   possessions
}

// possessions are what a client has, as they are.
type possessions struct {
	Registration map[string]any
	Scope        map[string]any
	Secrets      map[string]map[string][]byte
	Versions     map[string]string
}

func (w *world) victim() *victim {
	w.t.Helper()
	bank := w.namespace("bank")
	v := &victim{w: w, clientID: bank + ".payments", object: &v1alpha1.IntrospectionClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: bank, Name: "payments"},
		Spec:       v1alpha1.IntrospectionClientSpec{AuthorizationServerRef: v1alpha1.ServerReference{Name: w.server}},
	}}
	w.create(v.object)
	w.ready(v.object)
	v.before = v.has()
	return v
}

func (v *victim) has() possessions {
	p := possessions{
		Registration: v.w.idp.Client(v.clientID), Scope: v.w.idp.Scope("introspection:" + v.clientID),
		Secrets: map[string]map[string][]byte{}, Versions: map[string]string{},
	}
	hash := credential.Object{Namespace: v.object.Namespace, Name: v.object.Name}.Hash()
	for namespace, name := range map[string]string{
		v.object.Namespace: "payments", v.w.config.SystemNamespace: "record-" + hash, v.w.config.WebhookNamespace: "client-" + hash,
	} {
		secret := v.w.secret(namespace, name)
		p.Secrets[name], p.Versions[name] = maps.Clone(secret.Data), secret.ResourceVersion
	}
	return p
}

// unharmed asserts that the victim has what it had, to the letter, and works.
func (v *victim) unharmed() {
	v.w.t.Helper()
	v.w.ready(v.object)
	if now := v.has(); !reflect.DeepEqual(v.before, now) {
		v.w.t.Errorf("the other tenant's client was touched:\n was %v\n is  %v", v.before.Versions, now.Versions)
	}
}

// A tenant who cheats gets nothing of another's, and what he did is said to him. Each row is a way to steer the
// operator's powers by what a tenant may write: objects, Secrets, Events, and statuses if somebody let him.
func TestATenantWhoCheats(t *testing.T) {
	type cheat struct {
		reason string
		// does it, and returns the object that is told; nil if there is none.
		does func(w *world, v *victim) *v1alpha1.IntrospectionClient
		// says is the reason of Registered, or of the condition that is named.
		condition, says string
	}
	claiming := func(id func(w *world, v *victim) string) func(*world, *victim) *v1alpha1.IntrospectionClient {
		return func(w *world, v *victim) *v1alpha1.IntrospectionClient {
			c := w.clientObject("thief", func(c *v1alpha1.IntrospectionClient) { c.Spec.ClientID = id(w, v) })
			w.create(c)
			return c
		}
	}
	for name, tc := range map[string]cheat{
		"another's client id": {
			"ids begin with the namespace's prefix", claiming(func(_ *world, v *victim) string { return v.clientID }), "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"another's client id, in capitals": {
			"prefixes are compared exactly", claiming(func(w *world, _ *victim) string { return strings.ToUpper(w.tenant) + ".payments" }), "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"the prefix of a longer namespace": {
			"a prefix ends in what no namespace has", claiming(func(w *world, _ *victim) string { return w.tenant + "-eu.payments" }), "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"the prefix alone": {
			"an id is more than its prefix", claiming(func(w *world, _ *victim) string { return w.tenant + "." }), "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"the operator's own client": {
			"nor that of the sign-in", claiming(func(*world, *victim) string { return operatorID }), "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"another's id under adoption": {
			"what is adopted is bound by the prefix too", func(w *world, v *victim) *v1alpha1.IntrospectionClient {
				c := w.clientObject("thief", adopts, func(c *v1alpha1.IntrospectionClient) { c.Spec.ClientID = v.clientID })
				w.create(c)
				return c
			}, "", v1alpha1.ReasonClientIDNotAllowed,
		},
		"a mounted Secret with another's marks": {
			"a Secret of ours is found by its namespace, not by its labels", func(w *world, v *victim) *v1alpha1.IntrospectionClient {
				w.forge(w.tenant, "payments", credential.KindMounted, v)
				return nil
			}, "", "",
		},
		"a record with another's marks": {
			"records are in the operator's namespace, whatever a label says", func(w *world, v *victim) *v1alpha1.IntrospectionClient {
				w.forge(w.tenant, "record", credential.KindRecord, v)
				w.forge(w.tenant, "client", credential.KindClient, v)
				return nil
			}, "", "",
		},
		"an existing Secret as the mounted one": {
			"a Secret of another type is nobody's but its owner's", func(w *world, _ *victim) *v1alpha1.IntrospectionClient {
				w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "thief"}, Data: map[string][]byte{"k": []byte("theirs")}})
				c := w.clientObject("thief")
				w.create(c)
				return c
			}, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict,
		},
		"another object's mounted Secret": {
			"one Secret is one client's", func(w *world, _ *victim) *v1alpha1.IntrospectionClient {
				first := w.clientObject("orders")
				w.create(first)
				w.ready(first)
				second := w.clientObject("thief", func(c *v1alpha1.IntrospectionClient) { c.Spec.Secret.Name = "orders" })
				w.create(second)
				w.condition(second, v1alpha1.ConditionPublished, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
				w.ready(first)
				return second
			}, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict,
		},
		"the cap of audiences, reached by another": {
			"it is the platform's, for all of them", func(w *world, _ *victim) *v1alpha1.IntrospectionClient {
				server := w.serverObject()
				w.ready(server)
				server.Spec.Access.Audience.MaxPerTokenClient = 1
				w.update(server)
				c := w.clientObject("thief")
				w.create(c)
				return c
			}, v1alpha1.ConditionAudienceMapped, v1alpha1.ReasonTooManyAudiences,
		},
		"a hint about another": {
			"hints are believed in the webhook's namespace only", func(w *world, _ *victim) *v1alpha1.IntrospectionClient {
				w.create(&eventsv1.Event{
					ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "hint"}, EventTime: metav1.NewMicroTime(time.Now()),
					ReportingController: hintReporter, ReportingInstance: "webhook", Action: "Introspect", Reason: hintRefused, Type: corev1.EventTypeWarning,
					Regarding: corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "IntrospectionClient", Namespace: w.tenant, Name: "orders"},
				})
				return nil
			}, "", "",
		},
		"a status, and the end of its object": {
			"a status is a report: nothing is deleted by it", func(w *world, v *victim) *v1alpha1.IntrospectionClient {
				c := w.clientObject("thief", func(c *v1alpha1.IntrospectionClient) { c.Spec.ClientID = v.clientID })
				w.create(c)
				w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
				c.Status.ClientID, c.Status.RegistrationID = v.clientID, v.object.Status.RegistrationID
				if err := w.kube.Status().Update(w.t.Context(), c); err != nil {
					w.t.Fatal(err)
				}
				if err := w.kube.Delete(w.t.Context(), c); err != nil {
					w.t.Fatal(err)
				}
				w.gone(c)
				return nil
			}, "", "",
		},
		"its own finalizer": {
			"the operator puts it back, and nobody else is concerned", func(w *world, _ *victim) *v1alpha1.IntrospectionClient {
				c := w.clientObject("orders")
				w.create(c)
				w.ready(c)
				c.Finalizers = nil
				w.update(c)
				w.eventually("it is back", func(ctx context.Context) error {
					if err := w.kube.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil || len(c.Finalizers) == 1 {
						return err
					}
					return errors.New("it is not")
				})
				return nil
			}, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(nil)
			w.create(w.serverObject(everybody, letsAdopt))
			v := w.victim()
			if c := tc.does(w, v); c != nil {
				condition := tc.condition
				if condition == "" {
					condition = v1alpha1.ConditionRegistered
				}
				w.condition(c, condition, metav1.ConditionFalse, tc.says)
			}
			probe := w.clientObject("probe") // what was written before it was seen before it
			w.create(probe)
			if name == "the cap of audiences, reached by another" {
				w.condition(probe, v1alpha1.ConditionAudienceMapped, metav1.ConditionFalse, v1alpha1.ReasonTooManyAudiences)
			} else {
				w.ready(probe)
			}
			t.Log(tc.reason)
			v.unharmed()
		})
	}
}

// forge makes a Secret that says it is the victim's, as far as anybody can write that.
func (w *world) forge(namespace, name, kind string, v *victim) {
	w.t.Helper()
	object := credential.Object{Namespace: v.object.Namespace, Name: v.object.Name}
	data := maps.Clone(v.before.Secrets["record-"+object.Hash()])
	for key := range data {
		data[key] = []byte(`{"clientID":"forged"}`)
	}
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels: map[string]string{
				credential.LabelKind: kind, credential.LabelObject: object.Hash(),
				credential.LabelInstance: credential.Object{Name: w.config.Instance}.Hash(),
			},
			Annotations:     map[string]string{credential.AnnotationObject: object.String()},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(v.object, v1alpha1.GroupVersion.WithKind("IntrospectionClient"))},
		},
		Type: credential.Type, Data: data,
	})
}

// What a tenant may ask of the Secret that workloads mount is bounded: our marks win, or the API server refuses it.
func TestATenantsLabelsAreNotOurs(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	w.create(w.serverObject())
	for _, key := range []string{credential.LabelKind, credential.LabelObject, credential.LabelInstance, "app.kubernetes.io/managed-by"} {
		t.Run(key, func(t *testing.T) {
			c := w.clientObject("labels", func(c *v1alpha1.IntrospectionClient) {
				c.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{key: "mine"}
			})
			if err := w.kube.Create(t.Context(), c); apierrors.IsInvalid(err) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			w.ready(c)
			if got := w.secret(w.tenant, "labels").Labels[key]; got == "mine" {
				t.Errorf("the label %s is a tenant's to set", key)
			}
			w.remove(c)
		})
	}
}

// A policy names clients of its own namespace: there is no word for another's.
func TestAPolicyNamesItsOwnNamespacesClients(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	w.create(w.serverObject(everybody))
	v := w.victim()
	p := w.policyObject(nil, "payments")
	w.create(p)
	w.says(p, v1alpha1.ConditionClientsReady, metav1.ConditionFalse, v1alpha1.ReasonClientNotFound, "in this namespace", false)
	v.unharmed()
}

// One tenant's many objects, each broken in a way that costs the server a call over and over, do not hold
// another's good one up.
func TestManyBrokenObjectsHoldNobodyUp(t *testing.T) {
	const broken = 300
	w := newWorld(t)
	w.config.Workers = 2
	w.create(w.serverObject(everybody))
	for i := range broken {
		name := fmt.Sprintf("broken-%d", i)
		if i%2 == 0 {
			w.idp.AddClient(keycloak.Client{ID: w.tenant + "." + name, Secret: "somebody-elses"})
		} else {
			w.idp.Inject(keycloak.Fault{Match: func(c keycloak.Call) bool {
				return c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/clients") && strings.Contains(c.Body, `"clientId":"`+w.tenant+"."+name+`"`)
			}, Undone: true, Status: 400, Body: `{"errorMessage":"no"}`})
		}
		w.create(w.clientObject(name))
	}
	bank := w.namespace("bank")
	good := &v1alpha1.IntrospectionClient{ObjectMeta: metav1.ObjectMeta{Namespace: bank, Name: "payments"}}
	good.Spec.AuthorizationServerRef.Name = w.server
	w.create(good)
	w.start(nil)
	w.ready(good)
	looked := map[string]bool{}
	for _, call := range w.idp.Calls() {
		for _, id := range append(call.Query["clientId"], call.Body) {
			for i := range broken {
				if name := fmt.Sprintf("%s.broken-%d", w.tenant, i); id == name || strings.Contains(id, `"`+name+`"`) {
					looked[name] = true
				}
			}
		}
	}
	t.Logf("looked at %d of the broken", len(looked))
	if len(looked) > broken/3 {
		t.Errorf("it waited for %d of %d broken objects of another namespace", len(looked), broken)
	}
}
