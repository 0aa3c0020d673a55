// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// managed is a registered client that is looked at all the time.
func managed(t *testing.T) (*world, *v1alpha1.IntrospectionClient) {
	t.Helper()
	w := newWorld(t)
	w.config.DriftInterval = 100 * time.Millisecond
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	w.create(c)
	w.ready(c)
	return w, c
}

// management sets spec.management.
func (w *world) management(c *v1alpha1.IntrospectionClient, m v1alpha1.Management) {
	w.t.Helper()
	c.Spec.Management = m
	w.update(c)
}

// writesAtServer are the operator's at the server since a number of calls, but for sign-ins and questions.
func (w *world) writesAtServer(since int) (found []string) {
	for _, call := range w.idp.Calls()[since:] {
		if call.Method != http.MethodGet && strings.Contains(call.Path, "/admin/") {
			found = append(found, call.String())
		}
	}
	return found
}

// What is only observed is told and left as it is, and put right when it is managed again.
func TestObserveTellsAndLeaves(t *testing.T) {
	w, c := managed(t)
	id := w.tenant + ".orders"
	w.management(c, v1alpha1.ManagementObserve)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonObserved)
	before, since := w.record(c), len(w.idp.Calls())

	w.idp.EditClient(id, map[string]any{"name": "By hand"})
	w.idp.DeleteScope("introspection:" + id)
	edited := w.secret(w.tenant, "orders")
	edited.Data["client_secret"] = []byte("by hand")
	w.update(edited)
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	for condition, says := range map[string]string{
		v1alpha1.ConditionRegistered: "client " + id + " at the server: name", v1alpha1.ConditionAudienceMapped: "the audience mapping",
		v1alpha1.ConditionPublished: "Secret orders",
	} {
		if message := w.condition(c, condition, metav1.ConditionTrue, v1alpha1.ReasonDriftFound); !strings.Contains(message, says) {
			t.Errorf("%s does not say %q: %s", condition, says, message)
		}
	}
	message := w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDriftFound)
	if !strings.Contains(message, "Secret orders") || !strings.Contains(message, "name") {
		t.Errorf("Ready names not all of it: %s", message)
	}
	if written := w.writesAtServer(since); len(written) > 0 {
		t.Errorf("it wrote at the server: %q", written)
	}
	if got := w.secret(w.tenant, "orders"); got.ResourceVersion != edited.ResourceVersion {
		t.Error("it wrote the mounted Secret")
	}
	if after := w.record(c); after.Rotated != before.Rotated || after.Facade.Secret != before.Facade.Secret {
		t.Error("it rotated")
	}

	w.management(c, v1alpha1.ManagementFull)
	w.rotated(c, "1")
	w.oneRegistration(c)
}

// What is suspended is not even looked at.
func TestSuspendedDoesNotLook(t *testing.T) {
	w, c := managed(t)
	id := w.tenant + ".orders"
	w.management(c, v1alpha1.ManagementSuspended)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	since := len(w.idp.Calls())
	w.idp.EditClient(id, map[string]any{"enabled": false})
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	other := w.clientObject("other") // what is looked at shows that time has passed for both
	w.create(other)
	w.ready(other)
	for _, call := range w.idp.Calls()[since:] {
		if strings.Contains(call.Query.Encode(), "orders") {
			t.Errorf("the server was asked: %s", call)
		}
	}
	if w.idp.Client(id)["enabled"] != false || w.record(c).Rotated == "1" {
		t.Error("it was put right, or rotated")
	}
	w.management(c, v1alpha1.ManagementFull)
	w.rotated(c, "1")
	w.oneRegistration(c)
}

// What was never made is not made, and no GitOps tool waits for it.
func TestNothingIsMadeUnlessManaged(t *testing.T) {
	for name, tc := range map[string]struct {
		management v1alpha1.Management
		reason     string
	}{
		"observe":   {v1alpha1.ManagementObserve, v1alpha1.ReasonNotRegistered},
		"suspended": {v1alpha1.ManagementSuspended, v1alpha1.ReasonSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(nil)
			w.create(w.serverObject())
			c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.Management = tc.management })
			w.create(c)
			w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, tc.reason)
			w.condition(c, v1alpha1.ConditionStalled, metav1.ConditionTrue, tc.reason)
			w.nothingLeft(c)
			w.management(c, v1alpha1.ManagementFull)
			w.ready(c)
		})
	}
}

// What vanishes under an observer is told.
func TestObserveTellsWhatIsGone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, c *v1alpha1.IntrospectionClient)
		reason string
	}{
		"the registration":   {func(w *world, _ *v1alpha1.IntrospectionClient) { w.idp.DeleteClient(w.tenant + ".orders") }, v1alpha1.ReasonNotRegistered},
		"the mounted Secret": {func(w *world, _ *v1alpha1.IntrospectionClient) { w.deleteSecret(w.tenant, "orders") }, v1alpha1.ReasonSecretNotFound},
		"the credential": {
			func(w *world, _ *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(w.tenant+".orders", map[string]any{"enabled": false})
			}, v1alpha1.ReasonCredentialsRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := managed(t)
			w.management(c, v1alpha1.ManagementObserve)
			w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonObserved)
			tc.change(w, c)
			w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, tc.reason)
			w.condition(c, v1alpha1.ConditionStalled, metav1.ConditionTrue, tc.reason)
			w.management(c, v1alpha1.ManagementFull)
			w.ready(c)
			w.eventually("one registration", func(context.Context) error {
				if w.idp.Client(w.tenant+".orders") == nil {
					return errors.New("there is none")
				}
				return nil
			})
		})
	}
}

// To delete an object is a word of its own: no management holds it, and what was made goes.
func TestDeletionWhateverTheManagement(t *testing.T) {
	for _, m := range []v1alpha1.Management{v1alpha1.ManagementObserve, v1alpha1.ManagementSuspended} {
		t.Run(string(m), func(t *testing.T) {
			w, c := managed(t)
			w.management(c, m)
			w.remove(c)
		})
	}
}

// GitOps tools see neither a failure nor an end of the wait in what is left as it is.
func TestManagementReadsAsWhatItIs(t *testing.T) {
	w := newWorld(t)
	w.config.DriftInterval = 100 * time.Millisecond
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	seen := w.watched(c)
	w.create(c)
	seen.then("created", progress, current)
	w.management(c, v1alpha1.ManagementObserve)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonObserved)
	seen.then("observed", current, progress, current)
	w.idp.EditClient(w.tenant+".orders", map[string]any{"name": "By hand"})
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDriftFound)
	seen.then("drifted", current)
	w.management(c, v1alpha1.ManagementSuspended)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	seen.then("suspended", current, progress, current)
	w.access(false)
	seen.then("access withdrawn", current, failed)
	w.access(true)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	seen.then("access is back", failed, current)
}
