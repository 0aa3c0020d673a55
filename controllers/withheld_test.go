// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// access grants the world's server to its tenant, or to nobody.
func (w *world) access(granted bool) {
	w.t.Helper()
	labels := map[string]string{"kubernetes.io/metadata.name": w.tenant}
	if !granted {
		labels = map[string]string{"nobody": "has-this"}
	}
	w.eventually("access is changed", func(ctx context.Context) error {
		server := &v1alpha1.ClusterAuthorizationServer{}
		if err := w.kube.Get(ctx, client.ObjectKey{Name: w.server}, server); err != nil {
			return err
		}
		server.Spec.Access.NamespaceSelector.MatchLabels = labels
		return w.kube.Update(ctx, server)
	})
}

// withheld waits until a client says that it is out of use, and how.
func (w *world) withheld(c client.Object, how string) {
	w.t.Helper()
	w.eventually("it is withheld", func(ctx context.Context) error { return w.isWithheld(ctx, c, how) })
}

func (w *world) isWithheld(ctx context.Context, c client.Object, how string) error {
	if err := w.kube.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
		return err
	}
	all := conditionsOf(c)
	registered, verified := apimeta.FindStatusCondition(all, v1alpha1.ConditionRegistered), apimeta.FindStatusCondition(all, v1alpha1.ConditionVerified)
	for _, said := range []*metav1.Condition{registered, verified} {
		if said == nil || said.Status != metav1.ConditionFalse || said.Reason != v1alpha1.ReasonAccessDenied || !strings.Contains(said.Message, how) {
			return errors.New(describe(all))
		}
	}
	if !apimeta.IsStatusConditionTrue(all, v1alpha1.ConditionStalled) {
		return errors.New("a GitOps tool would wait: " + describe(all))
	}
	return nil
}

// A namespace that loses access loses the use of its registration, whatever the object says, and has it again
// when access is back: with the same Secret.
func TestAccessIsWithdrawn(t *testing.T) {
	for name, tc := range map[string]struct {
		reason     string
		management v1alpha1.Management
		back       string // the reason of Ready when access is back
	}{
		"full":      {"everything is kept as declared", v1alpha1.ManagementFull, v1alpha1.ReasonReady},
		"observe":   {"it would be looked at only", v1alpha1.ManagementObserve, v1alpha1.ReasonObserved},
		"suspended": {"it would not even be looked at", v1alpha1.ManagementSuspended, v1alpha1.ReasonSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.config.DriftInterval = 200 * time.Millisecond
			w.start(nil)
			w.create(w.serverObject())
			c := w.clientObject("orders")
			w.create(c)
			w.ready(c)
			c.Spec.Management = tc.management
			w.update(c)
			w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, tc.back)
			secret, id := w.secret(w.tenant, "orders"), w.tenant+".orders"
			before := w.record(c).Current.Secret.Reveal()

			w.access(false)
			w.withheld(c, "disabled there")
			if w.idp.Client(id)["enabled"] != false || w.accepts(id, before) {
				t.Errorf("%s: the server still takes its credential", tc.reason)
			}
			w.idp.EditClient(id, map[string]any{"enabled": true, "name": "By hand"})
			w.eventually("it is disabled again", func(context.Context) error {
				if w.idp.Client(id)["enabled"] != false {
					return errors.New("enabled")
				}
				return nil
			})
			if got := w.idp.Client(id)["name"]; got != "By hand" {
				t.Errorf("%s: more than its use was changed: the name is %v", tc.reason, got)
			}

			w.idp.EditClient(id, map[string]any{"name": id})
			w.access(true)
			w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, tc.back)
			if w.idp.Client(id)["enabled"] != true || !w.accepts(id, before) {
				t.Errorf("%s: the server does not take the credential again", tc.reason)
			}
			if w.secret(w.tenant, "orders").ResourceVersion != secret.ResourceVersion {
				t.Errorf("%s: the mounted Secret was written", tc.reason)
			}
			w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

			w.access(false)
			w.withheld(c, "disabled there")
			w.remove(c)
		})
	}
}

func TestAccessIsWithdrawnAtADuende(t *testing.T) {
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	before := w.record(c)
	w.access(false)
	w.withheld(c, "disabled there")
	if r, there := idp.Resource(before.ClientID); !there || !r.Disabled {
		t.Error("it is still enabled")
	}
	w.access(true)
	w.ready(c)
	if r, _ := idp.Resource(before.ClientID); r.Disabled {
		t.Error("it is not enabled again")
	}
	if after := w.record(c); after.Current.Secret != before.Current.Secret || after.Withheld {
		t.Error("it has another credential, or still counts as withheld")
	}
}

// RFC 7592 has nothing to disable a client by: it is deleted. Behind the facade workloads keep their secret.
func TestAccessIsWithdrawnAtAnOAuthServer(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	before, secret := w.record(c), w.secret(w.tenant, "orders")
	w.access(false)
	w.withheld(c, "deleted there")
	if left := idp.Registered(); len(left) > 0 {
		t.Errorf("still registered: %q", left)
	}
	w.access(true)
	w.ready(c)
	after := w.record(c)
	if after.ClientID == before.ClientID || len(idp.Registered()) != 1 || idp.Registered()[0] != after.ClientID {
		t.Errorf("registered %q, recorded %q", idp.Registered(), after.ClientID)
	}
	now := w.secret(w.tenant, "orders")
	for _, key := range []string{"client_id", "client_secret"} {
		if string(now.Data[key]) != string(secret.Data[key]) {
			t.Errorf("workloads have another %s", key)
		}
	}
}

// A server without RFC 7592 can't be made to forget: that is said, for somebody to act.
func TestAccessIsWithdrawnWhereNothingCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	_, server := w.oauthServer(oauth.Options{NoManagement: true})
	server.Spec.Access.Retain = v1alpha1.Allowed
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped, func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.create(c)
	w.ready(c)
	w.access(false)
	w.says(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "deleted there by hand", true)
}

// What bears another's mark now is left alone.
func TestAnothersIsNotWithheld(t *testing.T) {
	w, c := registered(t)
	id := w.tenant + ".orders"
	w.idp.EditClient(id, map[string]any{"attributes": map[string]any{"introspection.dev/owner": "eu-2/shop/orders"}})
	before := w.idp.Client(id)
	w.access(false)
	w.withheld(c, "")
	if after := w.idp.Client(id); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it was touched:\n was %v\n is  %v", before, after)
	}
}

// Whoever has no access costs the server no call.
func TestWithoutAccessNoServerIsAsked(t *testing.T) {
	w := newWorld(t)
	w.config.DriftInterval = 100 * time.Millisecond
	w.start(nil)
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access = nil }))
	c := w.clientObject("orders")
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	c.Spec.DisplayName = "Looked at again"
	w.update(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	for _, call := range w.idp.Calls() {
		if strings.Contains(call.Path, "/clients") && strings.Contains(call.Query.Encode(), "orders") {
			t.Errorf("it was asked: %s %s?%s", call.Method, call.Path, call.Query.Encode())
		}
	}
}

// Out of use, whatever crashes.
func TestKilledAtEachCallOfAWithdrawal(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	foreign := w.strangers()
	var last client.Object
	points := w.lives("withdrawal", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			w.access(true)
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(last)
			w.ready(last)
			return last
		},
		prepare: func(client.Object) { w.access(false) },
		done:    func(ctx context.Context, o client.Object) error { return w.isWithheld(ctx, o, "disabled there") },
		check: func(o client.Object) {
			id := o.GetNamespace() + "." + o.GetName()
			if record := w.record(o); !record.Withheld || w.idp.Client(id)["enabled"] != false || w.accepts(id, record.Current.Secret.Reveal()) {
				t.Error("it is still in use")
			}
			w.untouched(foreign)
		},
	})
	if points < 2 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// In use again, whatever crashes.
func TestKilledAtEachCallOfAGrantAfterAWithdrawal(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	var last client.Object
	points := w.lives("grant", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			w.access(true)
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(last)
			w.ready(last)
			w.access(false)
			w.withheld(last, "disabled there")
			return last
		},
		prepare: func(client.Object) { w.access(true) },
		done:    w.isReady,
		check: func(o client.Object) {
			w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
			id := o.GetNamespace() + "." + o.GetName()
			if record := w.record(o); record.Withheld || !w.accepts(id, record.Current.Secret.Reveal()) {
				t.Error("it is not in use again")
			}
		},
	})
	if points < 2 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}
