// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// vanished is a world with a clock and a client whose object is gone without a word: its
// finalizer was stripped while no operator ran. A test sets the clock by time.Now, as the API
// server does that stamped what is left: a clock that stood still since would be behind it.
func vanished(t *testing.T, change ...func(*v1alpha1.IntrospectionClient)) (*world, *v1alpha1.IntrospectionClient, *clocktesting.FakePassiveClock) {
	t.Helper()
	w := newWorld(t)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w.config.Clock = clock
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Retain = v1alpha1.Allowed }))
	c := w.clientObject("orders", change...)
	w.create(c)
	stop := w.start(nil)
	w.ready(c)
	stop()
	w.strip(c)
	return w, c, clock
}

// strip deletes an object past its finalizer.
func (w *world) strip(o client.Object) {
	w.t.Helper()
	if err := w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	o.SetFinalizers(nil)
	w.update(o)
	if err := w.kube.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// missed waits until the sweep has seen that an object is gone.
func (w *world) missed(o client.Object, kind string) {
	w.t.Helper()
	key := w.leftover(o, kind)
	w.eventually("it is missed", func(ctx context.Context) error {
		s := &corev1.Secret{}
		if err := w.kube.Get(ctx, key, s); err != nil {
			return err
		}
		if s.Annotations[credential.AnnotationMissing] == "" {
			return errors.New("not yet")
		}
		return w.orphaned(1)
	})
}

func (w *world) leftover(o client.Object, kind string) client.ObjectKey {
	key := client.ObjectKey{Namespace: w.config.SystemNamespace, Name: kind + "-" + credential.Object{Namespace: o.GetNamespace(), Name: o.GetName()}.Hash()}
	if kind == credential.KindClient {
		key.Namespace = w.config.WebhookNamespace
	}
	return key
}

// orphaned compares the metric.
func (w *world) orphaned(want float64) error {
	families, err := w.metrics.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if f.GetName() == "introspection_controller_orphans" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != want {
				return fmt.Errorf("%v orphans are told", got)
			}
			return nil
		}
	}
	return errors.New("no such metric")
}

// swept waits until nothing is left of an object.
func (w *world) swept(o client.Object) {
	w.t.Helper()
	w.eventually("it is swept", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, w.leftover(o, credential.KindRecord), &corev1.Secret{}); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("the record is there: %w", err)
		}
		return w.orphaned(0)
	})
	w.nothingLeft(o)
}

// sweptAll is swept, for a client whose ServiceAccount goes too.
func (w *world) sweptAll(c *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	w.swept(c)
	name := credential.ServiceAccountName(credential.Object{Namespace: c.Namespace, Name: c.Name})
	if err := w.kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: name}, &corev1.ServiceAccount{}); client.IgnoreNotFound(err) != nil || err == nil {
		w.t.Errorf("its ServiceAccount is still there (%v)", err)
	}
}

// said waits for an Event, and returns its note.
func (w *world) said(namespace, reason string) (note string) {
	w.t.Helper()
	w.eventually("an Event "+reason, func(ctx context.Context) error {
		list := &eventsv1.EventList{}
		if err := w.kube.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == reason {
				note = e.Note
				return nil
			}
		}
		return fmt.Errorf("%d Events, none of them", len(list.Items))
	})
	return note
}

// A stripped finalizer leaves nothing behind, an hour after it was seen, whatever restarts.
func TestWhatHasNoObjectIsSweptAfterItsGrace(t *testing.T) {
	w, c, clock := vanished(t)
	foreign := w.strangers()
	stop := w.start(nil)
	w.missed(c, credential.KindRecord)
	if note := w.said(w.config.SystemNamespace, "ObjectMissing"); !strings.Contains(note, w.tenant+"/orders") {
		t.Errorf("nobody knows what is missing: %s", note)
	}
	stop()

	clock.SetTime(time.Now().Add(orphanGrace - 10*time.Minute))
	stop = w.start(nil)
	w.missed(c, credential.KindRecord)
	if w.idp.Client(w.tenant+".orders") == nil {
		t.Fatal("it was not waited for")
	}
	stop()

	clock.SetTime(time.Now().Add(orphanGrace + time.Second))
	w.start(nil)
	w.swept(c)
	w.untouched(foreign)
	w.said(w.config.SystemNamespace, "Swept")
}

// An object that comes back is given what it had, and the next time begins anew.
func TestAnObjectThatComesBackTakesItsRecordUp(t *testing.T) {
	w, c, clock := vanished(t)
	before := w.record(c)
	stop := w.start(nil)
	w.missed(c, credential.KindRecord)
	again := w.clientObject("orders")
	w.create(again)
	w.ready(again)
	w.eventually("it is as it was", func(ctx context.Context) error { return w.whole(ctx, again, before) })
	w.eventually("the mark is gone", func(ctx context.Context) error {
		s := &corev1.Secret{}
		if err := w.kube.Get(ctx, w.leftover(c, credential.KindRecord), s); err != nil {
			return err
		}
		if s.Annotations[credential.AnnotationMissing] != "" {
			return errors.New("still missing")
		}
		return w.orphaned(0)
	})
	stop()

	w.strip(again)
	clock.SetTime(time.Now().Add(2 * orphanGrace))
	w.start(nil)
	w.missed(c, credential.KindRecord)
	if w.idp.Client(w.tenant+".orders") == nil {
		t.Error("the second time was not waited for: an old mark counted")
	}
}

// heldUp asserts that a sweep is held up, that the Event says so much, and that the registration stays.
func (w *world) heldUp(words ...string) {
	w.t.Helper()
	note := w.said(w.config.SystemNamespace, "SweepHeldUp")
	for _, word := range words {
		if !strings.Contains(note, word) {
			w.t.Errorf("it does not say %q: %s", word, note)
		}
	}
	if w.idp.Client(w.tenant+".orders") == nil {
		w.t.Error("the registration is gone")
	}
}

func TestSweep(t *testing.T) {
	serverIsBack := func() {}
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.IntrospectionClient)
		before func(w *world, c *v1alpha1.IntrospectionClient)
		kind   string
		check  func(w *world, c *v1alpha1.IntrospectionClient)
	}{
		"retained": {
			reason: "deletionPolicy Retain holds without the object: the registration and the record stay, the Secret too",
			change: func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain },
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.released(c)
				if w.idp.Client(w.tenant+".orders") == nil || w.record(c) == nil {
					w.t.Error("the registration or its record is gone")
				}
				if s := w.secret(w.tenant, "orders"); len(s.OwnerReferences) > 0 {
					w.t.Error("garbage collection would delete the Secret")
				}
			},
		},
		"the server is down": {
			reason: "it is told, and done when the server is back",
			before: func(w *world, _ *v1alpha1.IntrospectionClient) {
				serverIsBack = w.idp.Inject(keycloak.Fault{Match: keycloak.Matching(http.MethodDelete, "/admin/"), Undone: true, Status: 503, Body: keycloak.HTML})
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				if note := w.said(w.config.SystemNamespace, "SweepHeldUp"); !strings.Contains(note, v1alpha1.ReasonServerError) || strings.Contains(note, "<") {
					w.t.Errorf("it says %s", note)
				}
				if w.record(c) == nil || w.idp.Client(w.tenant+".orders") == nil {
					w.t.Fatal("something is gone, and the server did nothing")
				}
				serverIsBack()
				w.swept(c)
			},
		},
		"another's by now": {
			reason: "somebody made the client anew without our mark: it is left alone",
			before: func(w *world, _ *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(w.tenant+".orders", map[string]any{"attributes": map[string]any{}})
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.eventually("the record is gone", func(ctx context.Context) error {
					if w.recordNow(ctx, c) != nil {
						return errors.New("still there")
					}
					return nil
				})
				if w.idp.Client(w.tenant+".orders") == nil {
					w.t.Error("a client that is not ours was deleted")
				}
			},
		},
		"another instance's": {
			reason: "a copy of a cluster must not delete what the first one uses",
			before: func(w *world, _ *v1alpha1.IntrospectionClient) { w.config.Instance = "copy" },
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.heldUp("test/"+w.tenant+"/orders", "--instance")
				if w.record(c) == nil {
					w.t.Error("the record that the other one uses is gone")
				}
			},
		},
		"the record can't be read": {
			reason: "nobody knows whose registration it is: it is told, and nothing is touched",
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				record := w.secret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
				record.Data["record.json"] = []byte("{")
				w.update(record)
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.heldUp("Delete the client at the server yourself")
				w.secret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
			},
		},
		"its server is another by now": {
			reason: "a client that is not there says nothing about one at the old issuer",
			before: func(w *world, _ *v1alpha1.IntrospectionClient) {
				w.idp.AddRealm("other")
				w.idp.In("other").AddClient(keycloak.Operator(operatorID, operatorPass))
				w.strip(w.serverObject())
				w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
					s.Spec.Issuer = s.Spec.Issuer[:strings.LastIndex(s.Spec.Issuer, "/")+1] + "other"
				}))
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.heldUp(w.idp.Issuer(), "Create it again")
				if w.record(c) == nil {
					w.t.Error("the record is gone")
				}
			},
		},
		"the record came out of a backup": {
			reason: "its mark is as old as the backup, and its object may be about to follow",
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				record := w.secret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
				record.Annotations[credential.AnnotationMissing] = time.Now().Add(-2 * orphanGrace).UTC().Format(time.RFC3339)
				w.update(record)
			},
			check: (*world).sweptAll,
		},
		"a ServiceAccount of its own": {
			reason: "what stands for the client in the webhook's namespace goes with it",
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				if err := w.store().EnsureServiceAccount(w.t.Context(), credential.Object{Namespace: c.Namespace, Name: c.Name}); err != nil {
					w.t.Fatal(err)
				}
			},
			check: (*world).sweptAll,
		},
		"the record is lost too": {
			reason: "the webhook's view knows server and client id: where nothing may be retained, all goes",
			kind:   credential.KindClient,
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				server := w.serverObject()
				w.eventually("nothing may be retained", func(ctx context.Context) error {
					if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
						return err
					}
					server.Spec.Access.Retain = v1alpha1.Denied
					return w.kube.Update(ctx, server)
				})
				w.deleteSecret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
			},
			check: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.eventually("the webhook's view is gone", func(ctx context.Context) error {
					if err := w.kube.Get(ctx, w.leftover(c, credential.KindClient), &corev1.Secret{}); client.IgnoreNotFound(err) != nil || err == nil {
						return fmt.Errorf("still there: %w", err)
					}
					return nil
				})
				w.nothingLeft(c)
			},
		},
		"the record is lost too, and it may be retained": {
			reason: "nobody knows whether it was to be: the registration stays",
			kind:   credential.KindClient,
			before: func(w *world, c *v1alpha1.IntrospectionClient) {
				w.deleteSecret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
			},
			check: func(w *world, _ *v1alpha1.IntrospectionClient) {
				if note := w.said(w.config.WebhookNamespace, "Swept"); !strings.Contains(note, w.tenant+".orders") {
					w.t.Errorf("which client stays? %s", note)
				}
				if w.idp.Client(w.tenant+".orders") == nil {
					w.t.Error("the registration is gone")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			var change []func(*v1alpha1.IntrospectionClient)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			w, c, clock := vanished(t, change...)
			if tc.before != nil {
				tc.before(w, c)
			}
			if tc.kind == "" {
				tc.kind = credential.KindRecord
			}
			stop := w.start(nil)
			w.missed(c, tc.kind)
			stop()
			clock.SetTime(time.Now().Add(orphanGrace + time.Second))
			w.start(nil)
			tc.check(w, c)
		})
	}
}

// released waits until a record was let go.
func (w *world) released(o client.Object) {
	w.t.Helper()
	w.eventually("it is let go", func(ctx context.Context) error {
		s := &corev1.Secret{}
		if err := w.kube.Get(ctx, w.leftover(o, credential.KindRecord), s); err != nil {
			return err
		}
		if s.Annotations[credential.AnnotationReleased] == "" {
			return errors.New("not yet")
		}
		return w.orphaned(0)
	})
}

// A namespace that was deleted with the finalizers in it stripped: there is nowhere to write to.
func TestANamespaceThatIsGoneIsSwept(t *testing.T) {
	w, c, clock := vanished(t)
	w.deleteSecret(w.tenant, "orders") // as the namespace's end does
	if err := w.kube.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.tenant}}); err != nil {
		t.Fatal(err)
	}
	stop := w.start(nil)
	w.missed(c, credential.KindRecord)
	stop()
	clock.SetTime(time.Now().Add(orphanGrace + time.Second))
	w.start(nil)
	w.swept(c)
}

// A server is not deleted under a registration whose object is gone: nobody could delete it any more.
func TestAServerWaitsForTheSweep(t *testing.T) {
	w, c, clock := vanished(t)
	server := w.serverObject()
	stop := w.start(nil)
	w.missed(c, credential.KindRecord)
	if err := w.kube.Delete(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	if message := w.condition(server, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInUse); !strings.Contains(message, w.tenant+"/orders") {
		t.Errorf("what for? %s", message)
	}
	stop()
	clock.SetTime(time.Now().Add(orphanGrace + time.Second))
	stop = w.start(nil)
	w.swept(c)
	stop()
	w.start(nil) // it looks once a minute
	w.gone(server)
}

// What is there costs the sweep nothing, and what was let go next to nothing.
func TestTheSweepAsksNobodyAboutWhatIsThere(t *testing.T) {
	w, c, clock := vanished(t, func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	billing := w.clientObject("billing")
	w.create(billing)
	stop := w.start(nil)
	w.ready(billing)
	w.missed(c, credential.KindRecord)
	stop()
	clock.SetTime(time.Now().Add(orphanGrace + time.Second))
	stop = w.start(nil)
	w.released(c)
	stop()

	recorder := &recorder{}
	w.start(recorder.wrap)
	w.eventually("the client was looked at again", func(context.Context) error {
		if recorder.count("POST", "/introspect") == 0 {
			return errors.New("no introspection")
		}
		return nil
	})
	for _, name := range []string{"orders", "billing"} {
		if n := recorder.count("GET", "/introspectionclients/"+name); n > 0 {
			t.Errorf("%s was looked for %d times", name, n)
		}
	}
	for _, write := range recorder.writes() {
		if !strings.Contains(write, "/clusterauthorizationservers/") { // whose controller was stopped in the midst
			t.Errorf("a write at the API server: %s", write)
		}
	}
}

// Nothing is left behind of what has no object, whatever crashes.
func TestKilledAtEachCallOfASweep(t *testing.T) {
	w := newWorld(t)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w.config.Clock = clock
	w.create(w.serverObject())
	foreign := w.strangers()
	points := w.lives("sweep", story{
		between: func(n int) client.Object {
			o := w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(o)
			w.ready(o)
			return o
		},
		prepare: func(o client.Object) {
			w.strip(o)
			secret := &corev1.Secret{}
			if err := w.kube.Get(t.Context(), w.leftover(o, credential.KindRecord), secret); err != nil {
				t.Fatal(err)
			}
			secret.Annotations[credential.AnnotationMissing] = time.Now().UTC().Format(time.RFC3339)
			w.update(secret)
			clock.SetTime(time.Now().Add(orphanGrace + time.Second))
		},
		done: func(ctx context.Context, o client.Object) error {
			if err := w.kube.Get(ctx, w.leftover(o, credential.KindRecord), &corev1.Secret{}); client.IgnoreNotFound(err) != nil || err == nil {
				return fmt.Errorf("the record is there: %w", err)
			}
			return nil
		},
		check: func(o client.Object) {
			w.nothingLeft(o)
			w.untouched(foreign)
		},
	})
	if points < 4 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}
