// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/gitops"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// witness sees every state of one object that the API server tells, and what GitOps tools
// make of each.
type witness struct {
	w      *world
	object client.Object
	judges *gitops.Judges

	mu       sync.Mutex
	sequence []kstatus.Status // without repetition
	faults   []error
	closed   bool
}

// watched starts before the object is made, so that no state is missed.
func (w *world) watched(object client.Object) *witness {
	w.t.Helper()
	judges, err := gitops.Load("../config/argocd/argocd-cm.yaml", "../config/flux/kustomization-example.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	kube, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: w.kube.Scheme()})
	if err != nil {
		w.t.Fatal(err)
	}
	gvk, err := apiutil.GVKForObject(object, w.kube.Scheme())
	if err != nil {
		w.t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	ctx, cancel := context.WithCancel(context.Background()) // t's own ends before its cleanup
	told, err := kube.Watch(ctx, list, client.InNamespace(object.GetNamespace()),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", object.GetName())})
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	s := &witness{w: w, object: object, judges: judges}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range told.ResultChan() {
			s.see(ctx, e)
		}
	}()
	w.t.Cleanup(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		cancel()
		told.Stop()
		<-done
		for _, fault := range s.faults {
			w.t.Error(fault)
		}
	})
	return s
}

func (s *witness) see(ctx context.Context, e watch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	u, ok := e.Object.(*unstructured.Unstructured)
	if !ok || e.Type == watch.Error {
		s.faults = append(s.faults, fmt.Errorf("the watch ended: %v", e.Object))
		return
	}
	verdict := kstatus.NotFoundStatus
	if e.Type != watch.Deleted {
		var err error
		if verdict, err = s.judges.Compute(ctx, u); err == nil {
			err = agrees(u, verdict)
		}
		if err != nil {
			s.faults = append(s.faults, fmt.Errorf("generation %d: %w\n%v", u.GetGeneration(), err, u.Object["status"]))
		}
	}
	if len(s.sequence) == 0 || s.sequence[len(s.sequence)-1] != verdict {
		s.sequence = append(s.sequence, verdict)
	}
}

// agrees says what is wrong with a verdict, from what the conditions are documented to mean.
func agrees(u *unstructured.Unstructured, verdict kstatus.Status) error {
	read := struct {
		Status struct {
			ObservedGeneration int64              `json:"observedGeneration"`
			Conditions         []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &read); err != nil {
		return err
	}
	holds := func(conditionType string) bool {
		c := apimeta.FindStatusCondition(read.Status.Conditions, conditionType)
		return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == u.GetGeneration()
	}
	ready, reconciling, stalled := holds(v1alpha1.ConditionReady), holds(v1alpha1.ConditionReconciling), holds(v1alpha1.ConditionStalled)
	want := kstatus.InProgressStatus
	switch {
	case u.GetDeletionTimestamp() != nil:
		want = kstatus.TerminatingStatus
	case read.Status.ObservedGeneration != u.GetGeneration():
	case ready:
		want = kstatus.CurrentStatus
	case stalled:
		want = kstatus.FailedStatus
	}
	if n := slices.DeleteFunc([]bool{ready, reconciling, stalled}, func(b bool) bool { return !b }); want != kstatus.TerminatingStatus && read.Status.ObservedGeneration == u.GetGeneration() && len(n) != 1 {
		return errors.New("of Ready, Reconciling and Stalled, exactly one is to be true")
	}
	if verdict != want {
		return fmt.Errorf("it reads as %s, and is %s", verdict, want)
	}
	return nil
}

// then waits until the object's last state is the last of these, and holds all that came
// since it was asked last to them.
func (s *witness) then(reason string, want ...kstatus.Status) {
	s.w.t.Helper()
	s.w.eventually(reason, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.sequence) < len(want) || s.sequence[len(s.sequence)-1] != want[len(want)-1] {
			return fmt.Errorf("%v", s.sequence)
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.sequence); diff != "" {
		s.w.t.Errorf("%s (- want, + got):\n%s", reason, diff)
	}
	s.sequence = s.sequence[len(s.sequence)-1:]
}

// change updates an object as its user does.
func change[O client.Object](w *world, o O, change func(O)) {
	w.t.Helper()
	if err := w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	change(o)
	w.update(o)
}

func (w *world) delete(o client.Object) {
	w.t.Helper()
	if err := w.kube.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

const (
	progress, failed, current = kstatus.InProgressStatus, kstatus.FailedStatus, kstatus.CurrentStatus
	terminating, notFound     = kstatus.TerminatingStatus, kstatus.NotFoundStatus
)

func (w *world) down() (up func()) {
	return w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/"), Undone: true, Status: http.StatusServiceUnavailable, Body: keycloak.HTML})
}

func TestAServerReadsAsWhatItIs(t *testing.T) {
	w := newWorld(t)
	up := w.down()
	w.start(nil)
	server := w.serverObject()
	seen := w.watched(server)
	w.create(server)
	w.condition(server, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable)
	seen.then("created, and does not answer", progress)
	up()
	seen.then("answers", progress, current)
	change(w, server, func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Keycloak.TokenClients = []string{tokenClient, "mobile"}
	})
	seen.then("changed", current, progress, current)
	up = w.down()
	change(w, server, func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Keycloak.TokenClients = []string{tokenClient} })
	w.condition(server, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable)
	seen.then("changed while it does not answer", current, progress)
	up()
	seen.then("answers again", progress, current)
	change(w, server, func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Connection.URL = w.idp.URL() + "/realms/none" })
	seen.then("called where nobody is", current, progress, failed)
	change(w, server, func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Connection.URL = "" })
	seen.then("mended", failed, progress, current)
	w.delete(server)
	seen.then("deleted", current, terminating, notFound)
}

func TestAClientReadsAsWhatItIs(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	c, server := w.clientObject("orders"), w.serverObject()
	seen := w.watched(c)
	w.create(c)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServerNotFound)
	seen.then("applied before its server", progress)
	w.create(server)
	seen.then("the server follows", progress, current)
	change(w, c, func(c *v1alpha1.IntrospectionClient) { c.Spec.DisplayName = "Orders" })
	seen.then("changed", current, progress, current)
	change(w, c, func(c *v1alpha1.IntrospectionClient) { c.Spec.Audience.TokenClients = []string{"nobody"} })
	seen.then("names a token client that it may not", current, progress, failed)
	change(w, c, func(c *v1alpha1.IntrospectionClient) { c.Spec.Audience.TokenClients = nil })
	seen.then("mended", failed, progress, current)
	up := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/admin/"), Undone: true, Status: http.StatusServiceUnavailable, Body: keycloak.HTML})
	w.delete(c)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServerError)
	seen.then("deleted while the server does not answer", current, terminating)
	up()
	seen.then("the server answers", terminating, notFound)
}

func TestAPolicyReadsAsWhatItIs(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	p, c := w.policyObject(nil, "orders"), w.clientObject("orders")
	seen := w.watched(p)
	w.create(p)
	w.condition(p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonClientNotFound)
	seen.then("applied before its client", progress)
	w.create(c)
	w.create(w.serverObject())
	seen.then("the others follow", progress, current)
	change(w, p, func(p *v1alpha1.TokenPolicy) {
		p.Spec.Require.Rules = []v1alpha1.Rule{{Name: "broken", Expression: "claims.sub =="}}
	})
	seen.then("does not compile", current, progress, failed)
	change(w, p, func(p *v1alpha1.TokenPolicy) { p.Spec.Require.Rules = nil })
	seen.then("mended", failed, progress, current)
	w.delete(p)
	seen.then("deleted: it has no finalizer", current, notFound)
}

// Looks that find nothing, and processes that start, are nothing that a GitOps tool sees.
func TestWhatIsReadyStaysCurrent(t *testing.T) {
	w := newWorld(t)
	w.config.DriftInterval = 100 * time.Millisecond
	stop := w.start(nil)
	server, c, p := w.serverObject(), w.clientObject("orders"), w.policyObject(nil, "orders")
	objects := []client.Object{server, c, p}
	var seen []*witness
	for _, o := range objects {
		seen = append(seen, w.watched(o))
		w.create(o)
	}
	for _, s := range seen {
		s.then("created", progress, current)
	}
	for life := range 3 {
		before := len(w.idp.Calls())
		w.eventually("server and client are looked at again", func(context.Context) error {
			looks, questions := 0, 0
			for _, call := range w.idp.Calls()[before:] {
				switch {
				case keycloak.Matching(http.MethodGet, "/.well-known/openid-configuration")(call):
					looks++
				case keycloak.Matching(http.MethodPost, "/token/introspect")(call):
					questions++
				}
			}
			if looks < 2 || questions < 2 {
				return fmt.Errorf("life %d: %d looks at the server, %d by the client", life, looks, questions)
			}
			return nil
		})
		stop()
		stop = w.start(nil)
	}
	for _, o := range objects {
		w.ready(o)
	}
	for _, s := range seen {
		s.then("looked at again, by three processes", current)
	}
}
