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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// bare is an object as a backup tool creates it: without what another API server gave it.
func bare[T client.Object](o T) T {
	c := o.DeepCopyObject().(T) //nolint:forcetypeassert // a copy is of its type
	c.SetUID("")
	c.SetResourceVersion("")
	c.SetOwnerReferences(nil)
	c.SetFinalizers(nil)
	c.SetGeneration(0)
	c.SetCreationTimestamp(metav1.Time{})
	return c
}

// backup is what a backup tool keeps of a client.
type backup struct {
	object          *v1alpha1.IntrospectionClient
	mounted, record *corev1.Secret
}

func (w *world) backUp(c *v1alpha1.IntrospectionClient) backup {
	w.t.Helper()
	if err := w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		w.t.Fatal(err)
	}
	b := backup{bare(c), bare(w.secret(w.tenant, "orders")), bare(w.secret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name))}
	b.object.Status = v1alpha1.IntrospectionClientStatus{}
	return b
}

// wipe takes all that a backup could bring back out of the cluster, and no operator sees it.
func (w *world) wipe(c *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	w.strip(c)
	w.deleteSecret(w.tenant, "orders")
	w.deleteSecret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
	w.deleteSecret(w.config.WebhookNamespace, w.leftover(c, credential.KindClient).Name)
}

// replace puts a Secret from a backup in the place of the one there is.
func (w *world) replace(s *corev1.Secret) {
	w.t.Helper()
	w.deleteSecret(s.Namespace, s.Name)
	w.create(s)
}

// works asserts one registration, whose credential the server takes.
func (w *world) works(c *v1alpha1.IntrospectionClient) *credential.StoredRecord {
	w.t.Helper()
	w.ready(c)
	w.oneRegistration(c)
	r := w.record(c)
	if !w.accepts(r.ClientID, r.Current.Secret.Reveal()) {
		w.t.Error("the server refuses the credential")
	}
	return r
}

// The realm thrown away and imported anew: with our sign-in, or with another one, which its people
// bring then.
func TestTheRealmIsImportedAnew(t *testing.T) {
	for name, tc := range map[string]struct{ reason, pass string }{
		"the same sign-in":  {"its token is not known any more: another is fetched", operatorPass},
		"another's sign-in": {"it is said whose secret to correct, and all goes on with it", "another-secret-of-the-operators"},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := registered(t)
			billing := w.clientObject("billing")
			w.create(billing)
			w.ready(billing)
			before, mounted := w.record(c), w.secret(w.tenant, "orders")
			w.idp.Reimport(keycloak.Operator(operatorID, tc.pass), keycloak.Client{ID: tokenClient, Secret: "web-secret"})
			w.hint(c)
			w.hint(billing)
			if tc.pass != operatorPass {
				w.condition(w.serverObject(), v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
				signIn := w.secret(w.config.SystemNamespace, "keycloak-operator")
				signIn.Data["client_secret"] = []byte(tc.pass)
				w.update(signIn)
			}
			w.eventually(tc.reason, func(ctx context.Context) error { return w.whole(ctx, c, before) })
			w.works(c)
			if after := w.secret(w.tenant, "orders"); after.ResourceVersion != mounted.ResourceVersion {
				t.Errorf("%s: the mounted Secret was written", tc.reason)
			}
			w.eventually("the other one too", func(ctx context.Context) error {
				if w.idp.Client(w.tenant+".billing") == nil {
					return errors.New("not registered")
				}
				return w.isReady(ctx, billing)
			})
		})
	}
}

// A record from before a rotation knows a secret that the server does not take any more, and not the
// one that workloads show.
func TestAStaleRecordIsRestored(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		before func(w *world, r *credential.StoredRecord)
		all    bool
	}{
		"alone":            {reason: "workloads go on with what they mount"},
		"with the objects": {reason: "all of them are of the same time", all: true},
		"in the midst of a rotation": {
			reason: "nobody knows how far it came: it is over",
			before: func(w *world, r *credential.StoredRecord) {
				next, facade := credential.NewValue(time.Now()), credential.NewValue(time.Now())
				r.Stage(&next, &facade, time.Now())
				if err := w.store().SaveRecord(w.t.Context(), r); err != nil {
					w.t.Fatal(err)
				}
			},
		},
		"in the midst of an overlap": {
			reason: "what was before may be gone at the server",
			before: func(w *world, r *credential.StoredRecord) {
				facade, previous := r.Facade, *r.Current
				r.Previous, r.PreviousFacade, r.PreviousEnds = &previous, &facade, time.Now().Add(time.Hour)
				*r.Previous = credential.NewValue(time.Now())
				if err := w.store().SaveRecord(w.t.Context(), r); err != nil {
					w.t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(w.serverObject())
			c := w.clientObject("orders")
			w.create(c)
			stop := w.start(nil)
			old := w.works(c)
			stop()
			if tc.before != nil {
				tc.before(w, w.record(c))
			}
			b := w.backUp(c)
			if tc.before != nil { // it went on after the backup
				w.replace(bare(b.record))
				if err := w.store().SaveRecord(t.Context(), unrotated(w.record(c), old)); err != nil {
					t.Fatal(err)
				}
			}
			stop = w.start(nil)
			w.annotate(c, v1alpha1.AnnotationRotate, "2")
			w.rotated(c, "2")
			w.annotate(c, v1alpha1.AnnotationRevokePrevious, "2")
			w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
			present := w.works(c)
			stop()

			if tc.all {
				w.wipe(c)
				w.create(b.mounted)
				w.create(b.record)
				w.create(b.object)
			} else {
				w.replace(b.record)
			}
			w.start(nil)
			w.said(w.tenant, "RecordRestored")
			again := w.clientObject("orders")
			w.eventually(tc.reason, func(ctx context.Context) error {
				r := w.recordNow(ctx, again)
				if r.Current == nil || r.Next != nil || !w.accepts(r.ClientID, r.Current.Secret.Reveal()) {
					return errors.New("the server does not take what the record holds")
				}
				return w.isReady(ctx, again)
			})
			after := w.works(again)
			wanted := present
			if tc.all {
				wanted = old
			}
			if after.Facade.Secret != wanted.Facade.Secret {
				t.Errorf("%s: the secret that workloads mount is replaced", tc.reason)
			}
			if (after.Current.Secret == old.Current.Secret) != tc.all {
				t.Errorf("%s: a secret that was revoked came to life: %t", tc.reason, !tc.all)
			}
			if after.Rotating() || after.Overlaps() {
				t.Errorf("%s: it rotates once more", tc.reason)
			}
		})
	}
}

// unrotated is a record as if nothing were under way.
func unrotated(r, as *credential.StoredRecord) *credential.StoredRecord {
	r.Abandon()
	r.Retire()
	r.Next, r.Current, r.Facade, r.StoredAs = nil, as.Current, as.Facade, ""
	return r
}

// A rebuilt cluster: its kube-system has another UID, and --instance says whose place it takes.
func TestTheClusterIsRebuilt(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, instance string
		ours             bool
	}{
		"the same instance": {"its registrations are its own", "test", true},
		"another instance":  {"they may be in use elsewhere", "rebuilt", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(w.serverObject())
			c := w.clientObject("orders")
			w.create(c)
			stop := w.start(nil)
			before := w.works(c)
			stop()
			b := w.backUp(c)
			w.wipe(c)
			w.config.Instance = tc.instance
			w.create(b.object)
			w.start(nil)
			again := w.clientObject("orders")
			if tc.ours {
				if after := w.works(again); after.RegistrationID != before.RegistrationID {
					t.Errorf("%s: registered a second time", tc.reason)
				}
				return
			}
			message := w.condition(again, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOwnershipConflict)
			if !strings.Contains(message, "belongs to test/"+w.tenant+"/orders") || !strings.Contains(message, "--instance test") {
				t.Errorf("%s: whose is it, and what is to be done? %s", tc.reason, message)
			}
			if got := w.idp.Client(before.ClientID)["secret"]; got != before.Current.Secret.Reveal() {
				t.Errorf("%s: it was touched", tc.reason)
			}
			if err := w.kube.Delete(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			w.gone(again)
			if w.idp.Client(before.ClientID) == nil {
				t.Errorf("%s: it was deleted", tc.reason)
			}
		})
	}
}

// A deletion waits for a server that was down before it, and says so: that the object was not Ready is
// no news, that its deletion hangs is.
func TestADeletionSaysThatItWaitsForAnOutageFromBefore(t *testing.T) {
	w, c := registered(t)
	w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/admin/"), Undone: true, Status: http.StatusServiceUnavailable, Body: keycloak.HTML})
	w.hint(c)
	w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServerError)
	w.delete(c)
	w.said(w.tenant, "DeletionHeldUp")
}

// A deletion, of a namespace or of an object, while the server is down: it hangs and says so, and
// ends when the server is back; or at once for who takes the finalizer off, and the sweep does the rest.
func TestDeletedWhileTheServerIsDown(t *testing.T) {
	for name, stripped := range map[string]bool{"waits": false, "let go at once": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clock := clocktesting.NewFakePassiveClock(time.Now())
			w.config.Clock = clock
			w.create(w.serverObject())
			c := w.clientObject("orders")
			w.create(c)
			stop := w.start(nil)
			w.ready(c)
			back := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/admin/"), Undone: true, Status: http.StatusServiceUnavailable, Body: keycloak.HTML})
			if err := w.kube.Delete(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			message := w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServerError)
			if !strings.Contains(message, w.tenant+".orders") || !strings.Contains(message, v1alpha1.Finalizer) {
				t.Errorf("what hangs, and what can be done? %s", message)
			}
			w.said(w.tenant, "DeletionHeldUp")
			if stripped {
				c.Finalizers = nil
				w.update(c)
				w.gone(c)
				w.missed(c, credential.KindRecord)
				stop()
				clock.SetTime(time.Now().Add(orphanGrace + time.Second))
				w.start(nil)
				w.said(w.config.SystemNamespace, "SweepHeldUp")
				back()
				w.swept(c)
				return
			}
			back()
			w.gone(c)
			w.nothingLeft(c)
		})
	}
}

// A record that is lost in the midst of a rotation: workloads keep what they mount.
func TestALostRecordInTheMidstOfARotation(t *testing.T) {
	for name, endpoint := range map[string]v1alpha1.Endpoint{"behind the facade": v1alpha1.EndpointWebhook, "at the server": v1alpha1.EndpointServer} {
		for where, policy := range map[string]*keycloak.Rotation{"one secret": nil, "a policy": policed()} {
			t.Run(name+", "+where, func(t *testing.T) {
				w, c := registered(t, func(c *v1alpha1.IntrospectionClient) { c.Spec.Endpoint = endpoint })
				w.idp.SetRotation(policy)
				w.annotate(c, v1alpha1.AnnotationRotate, "1")
				w.rotated(c, "1") // and its overlap runs
				before := w.record(c)
				mounted := string(w.secret(w.tenant, "orders").Data["client_secret"])
				w.deleteSecret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
				w.said(w.tenant, "RecordLost")
				w.eventually("it works again", func(ctx context.Context) error {
					r := w.recordNow(ctx, c)
					if r == nil || r.Current == nil || r.Current.Secret == before.Current.Secret {
						return errors.New("no record with another credential")
					}
					if !w.accepts(r.ClientID, r.Current.Secret.Reveal()) {
						return errors.New("the server refuses it")
					}
					holds := string(w.secret(w.tenant, "orders").Data["client_secret"])
					if want := r.Current.Secret.Reveal(); endpoint == v1alpha1.EndpointServer && holds != want {
						return errors.New("workloads don't have it")
					}
					if endpoint == v1alpha1.EndpointWebhook && holds != mounted {
						t.Fatal("the workloads' secret was replaced")
					}
					return w.isReady(ctx, c)
				})
				if w.record(c).Rotated != "1" {
					t.Error("it would rotate again")
				}
			})
		}
	}
}

// The record and the mounted Secret lost: one registration, and another credential throughout.
func TestALostRecordAndMountedSecret(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	w.create(c)
	stop := w.start(nil)
	before := w.works(c)
	stop()
	w.deleteSecret(w.config.SystemNamespace, w.leftover(c, credential.KindRecord).Name)
	w.deleteSecret(w.tenant, "orders")
	w.start(nil)
	w.said(w.tenant, "RecordLost")
	w.eventually("it works again", func(ctx context.Context) error {
		if r := w.recordNow(ctx, c); r == nil || r.Current == nil {
			return errors.New("no record in use")
		}
		return w.isReady(ctx, c)
	})
	after := w.works(c)
	if after.RegistrationID != before.RegistrationID || after.Facade.Secret == before.Facade.Secret {
		t.Error("another registration, or a secret from nowhere")
	}
}

// Exactly one registration, whatever crashes while a vanished one is made again.
func TestKilledAtEachCallOfARestore(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	var last client.Object
	var before *credential.StoredRecord
	points := w.lives("restore", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(last)
			w.ready(last)
			return last
		},
		prepare: func(o client.Object) {
			before = w.record(o)
			w.idp.DeleteClient(before.ClientID)
			w.idp.DeleteScope("introspection:" + before.ClientID)
		},
		done: func(ctx context.Context, o client.Object) error {
			if w.idp.Client(before.ClientID) == nil || w.idp.Scope("introspection:"+before.ClientID) == nil {
				return errors.New("not registered")
			}
			if defaults, _ := w.idp.Attached(tokenClient); count(defaults, "introspection:"+before.ClientID) == 0 {
				return errors.New("not mapped")
			}
			return w.isReady(ctx, o)
		},
		check: func(o client.Object) {
			w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
			if after := w.record(o); after.Current.Secret != before.Current.Secret || after.Facade.Secret != before.Facade.Secret {
				t.Error("it has another credential")
			}
		},
	})
	if points < 2 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// One credential, and the workloads' secret, whatever crashes while a lost record is made again.
func TestKilledAtEachCallOfALostRecord(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	var last client.Object
	var before *credential.StoredRecord
	points := w.lives("lost record", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(last)
			w.ready(last)
			return last
		},
		prepare: func(o client.Object) {
			before = w.record(o)
			w.deleteSecret(w.config.SystemNamespace, w.leftover(o, credential.KindRecord).Name)
		},
		done: func(ctx context.Context, o client.Object) error {
			r := w.recordNow(ctx, o)
			if r == nil || r.Current == nil || r.Next != nil || w.idp.Client(before.ClientID)["secret"] != r.Current.Secret.Reveal() {
				return errors.New("no credential in use that the server has")
			}
			view, err := credential.DecodeWebhookClient(w.secret(w.config.WebhookNamespace, w.leftover(o, credential.KindClient).Name).Data)
			if err != nil || !view.Verified || len(view.Credentials) != 1 || view.Credentials[0].Secret != r.Current.Secret {
				return errors.Join(err, errors.New("the webhook does not know it"))
			}
			return w.isReady(ctx, o)
		},
		check: func(o client.Object) {
			w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
			if w.record(o).Facade.Secret != before.Facade.Secret {
				t.Error("workloads are locked out")
			}
		},
	})
	if points < 2 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// A copy of a cluster, with its records: what is deleted in the copy stays in use by the first one.
func TestACopyOfAClusterDeletesNothingOfTheFirst(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	w.create(c)
	stop := w.start(nil)
	before := w.works(c)
	stop()
	w.config.Instance = "copy"
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.start(nil)
	w.gone(c)
	if got := w.idp.Client(before.ClientID); got == nil || got["secret"] != before.Current.Secret.Reveal() {
		t.Error("the registration of the first one is gone, or touched")
	}
}
