// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// policed is a realm whose client policy rotates secrets.
func policed() *keycloak.Rotation { return keycloak.DefaultRotation() }

// annotate sets an annotation of a client.
func (w *world) annotate(o client.Object, key, value string) {
	w.t.Helper()
	w.eventually("annotating "+o.GetName(), func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		a := o.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a[key] = value
		o.SetAnnotations(a)
		return w.kube.Update(ctx, o)
	})
}

// accepts asks the server itself whether it takes a client's secret.
func (w *world) accepts(clientID, secret string) bool {
	w.t.Helper()
	form := url.Values{"token": {"x"}, "client_id": {clientID}, "client_secret": {secret}}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.idp.Issuer()+"/protocol/openid-connect/token/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// projected is what the webhook knows of a client.
func (w *world) projected(c client.Object) credential.WebhookClient {
	w.t.Helper()
	hash := credential.Object{Namespace: c.GetNamespace(), Name: c.GetName()}.Hash()
	p, err := credential.DecodeWebhookClient(w.secret(w.config.WebhookNamespace, "client-"+hash).Data)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// rotated waits until a rotation that was asked for is published.
func (w *world) rotated(c *v1alpha1.IntrospectionClient, value string) {
	w.t.Helper()
	w.eventually("it is rotated", func(ctx context.Context) error { return w.hasRotated(ctx, c, value) })
}

func (w *world) hasRotated(ctx context.Context, c client.Object, value string) error {
	if err := w.isReady(ctx, c); err != nil {
		return err
	}
	r := w.recordNow(ctx, c)
	said := c.(*v1alpha1.IntrospectionClient).Status.Credential
	inUse := r.Facade
	if c.(*v1alpha1.IntrospectionClient).Spec.Endpoint == v1alpha1.EndpointServer {
		inUse = *r.Current
	}
	if r.Rotated != value || r.Rotating() || r.Overlaps() && !r.EndTold ||
		said.Fingerprint != inUse.Fingerprint() || (said.PreviousExpiresAt != nil) != r.Overlaps() {
		return fmt.Errorf("handled %q, under way %t, end told %t, said %+v:%s", r.Rotated, r.Rotating(), r.EndTold, said, describe(conditionsOf(c)))
	}
	return nil
}

func TestRotationOnDemand(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		policy   *keycloak.Rotation
		endpoint v1alpha1.Endpoint
		overlaps bool // at the server
		says     string
	}{
		"single secret":                   {"behind the facade nobody notices", nil, v1alpha1.EndpointWebhook, false, v1alpha1.ReasonOverlap},
		"a policy":                        {"both work at the server too", policed(), v1alpha1.EndpointWebhook, true, v1alpha1.ReasonOverlap},
		"single secret, its endpoint":     {"the old one ends at once, and that is said", nil, v1alpha1.EndpointServer, false, v1alpha1.ReasonNotRotating},
		"a policy, the server's endpoint": {"both work there", policed(), v1alpha1.EndpointServer, true, v1alpha1.ReasonOverlapUnproven},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := registered(t, func(c *v1alpha1.IntrospectionClient) { c.Spec.Endpoint = tc.endpoint })
			w.idp.SetRotation(tc.policy)
			before := w.record(c)
			w.annotate(c, v1alpha1.AnnotationRotate, "1")
			w.rotated(c, "1")
			value := metav1.ConditionTrue
			if tc.says == v1alpha1.ReasonNotRotating {
				value = metav1.ConditionFalse
			}
			w.condition(c, v1alpha1.ConditionRotating, value, tc.says)
			after := w.record(c)
			if after.Current.Secret == before.Current.Secret || !w.accepts(after.ClientID, after.Current.Secret.Reveal()) {
				t.Errorf("%s: the server has no new secret that it takes", tc.reason)
			}
			if got := w.accepts(after.ClientID, before.Current.Secret.Reveal()); got != tc.overlaps {
				t.Errorf("%s: the server takes the old secret: %t", tc.reason, got)
			}
			w.holds(c, after, before, tc.endpoint)

			w.annotate(c, v1alpha1.AnnotationRevokePrevious, "leaked")
			w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
			w.eventually("nothing of before is left", func(ctx context.Context) error {
				if r := w.recordNow(ctx, c); r.Overlaps() || r.Revoked != "leaked" {
					return errors.New("the record still knows it")
				}
				return nil
			})
			if w.accepts(after.ClientID, before.Current.Secret.Reveal()) {
				t.Errorf("%s: the server takes a secret that was revoked", tc.reason)
			}
			if p := w.projected(c); len(p.FacadeSecrets) != 1 || len(p.Credentials) != 1 {
				t.Errorf("%s: the webhook knows %d secrets and %d credentials", tc.reason, len(p.FacadeSecrets), len(p.Credentials))
			}
			if w.ready(c); c.Status.Credential.PreviousExpiresAt != nil {
				t.Errorf("%s: the status still tells an end", tc.reason)
			}
		})
	}
}

// holds asserts what the mounted Secret, the webhook and the status say after a rotation.
func (w *world) holds(c *v1alpha1.IntrospectionClient, after, before *credential.StoredRecord, endpoint v1alpha1.Endpoint) {
	w.t.Helper()
	mounted := string(w.secret(c.Namespace, c.Name).Data["client_secret"])
	if endpoint == v1alpha1.EndpointServer {
		if mounted != after.Current.Secret.Reveal() {
			w.t.Error("the mounted Secret is not the new one")
		}
		return
	}
	if mounted != after.Facade.Secret.Reveal() || after.Facade.Secret == before.Facade.Secret {
		w.t.Error("the mounted Secret is not the new one")
	}
	p := w.projected(c)
	want := []credential.FacadeSecret{
		{SHA256: credential.HashSecret(after.Facade.Secret)},
		{SHA256: credential.HashSecret(before.Facade.Secret), NotAfter: after.PreviousEnds},
	}
	if len(p.FacadeSecrets) != 2 || p.FacadeSecrets[0] != want[0] || p.FacadeSecrets[1] != want[1] {
		w.t.Errorf("the webhook knows %v, want %v", p.FacadeSecrets, want)
	}
	if at := c.Status.Credential.PreviousExpiresAt; at == nil || !at.Time.Equal(after.PreviousEnds) {
		w.t.Errorf("the status says %v, the record %s", at, after.PreviousEnds)
	}
	if left := time.Until(after.PreviousEnds); left < 23*time.Hour || left > 24*time.Hour {
		w.t.Errorf("the overlap ends in %s", left)
	}
	if c.Status.Credential.Fingerprint != after.Facade.Fingerprint() {
		w.t.Error("the status tells another fingerprint")
	}
}

// A value of an annotation acts once; and one that was there from the start does not.
func TestAnAnnotationRotatesOnce(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "0", v1alpha1.AnnotationRevokePrevious: "0"}
	})
	first := w.record(c)
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	w.rotated(c, "1")
	second := w.record(c)
	if second.PreviousFacade == nil || second.PreviousFacade.Secret != first.Facade.Secret {
		t.Fatal("it was rotated at its creation")
	}
	w.annotate(c, "example.com/other", "1")
	w.annotate(c, v1alpha1.AnnotationRotate, "2")
	message := w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionTrue, v1alpha1.ReasonOverlap)
	if third := w.record(c); third.Facade.Secret != second.Facade.Secret {
		t.Errorf("a second rotation began inside the overlap of the first: %s", message)
	}
	w.annotate(c, v1alpha1.AnnotationRevokePrevious, "1") // a leak: what waits to be replaced goes with it
	w.rotated(c, "2")
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
	w.eventually("only the newest works", func(ctx context.Context) error {
		if r := w.recordNow(ctx, c); r.Overlaps() || r.Revoked != "1" || r.Facade.Secret == second.Facade.Secret {
			return fmt.Errorf("revoked %q, overlaps %t, replaced %t", r.Revoked, r.Overlaps(), r.Facade.Secret != second.Facade.Secret)
		}
		return nil
	})
	if p := w.projected(c); len(p.FacadeSecrets) != 1 {
		t.Errorf("the webhook still takes %d secrets", len(p.FacadeSecrets))
	}
}

func TestRotationByTheClock(t *testing.T) {
	w := newWorld(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	w.config.Clock = now
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) {
		c.Spec.Rotation = &v1alpha1.ClientRotation{Interval: &metav1.Duration{Duration: 100 * time.Hour}, Overlap: &metav1.Duration{Duration: time.Hour}}
	})
	w.create(c)
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
	first := w.record(c)
	next := c.Status.Credential.NextRotationAt
	if next == nil || next.Sub(first.Facade.IssuedAt) < 90*time.Hour || next.Sub(first.Facade.IssuedAt) > 100*time.Hour {
		t.Fatalf("made at %s, to be rotated at %v", first.Facade.IssuedAt, next)
	}
	look := func(at time.Time) { // a process that starts looks at once
		t.Helper()
		now.SetTime(at)
		w.annotate(c, "example.com/look", at.Format(time.RFC3339Nano))
	}
	look(next.Add(-2 * time.Second))
	look(next.Time)
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionTrue, v1alpha1.ReasonOverlap)
	second := w.record(c)
	if second.PreviousFacade == nil || second.PreviousFacade.Secret != first.Facade.Secret || !second.PreviousEnds.Equal(next.Add(time.Hour).UTC()) {
		t.Errorf("the overlap ends at %s, rotated at %s", second.PreviousEnds, next)
	}
	if second.Facade.IssuedAt.Before(next.Time) {
		t.Errorf("rotated at %s, before %s", second.Facade.IssuedAt, next)
	}
	look(second.PreviousEnds)
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
	if third := w.record(c); third.Overlaps() || third.Facade.Secret != second.Facade.Secret {
		t.Error("the overlap did not end, or another rotation began")
	}
}

// Where workloads ask the server themselves and it takes one secret at a time, an interval
// would break them over and over.
func TestNoIntervalWithoutAnOverlap(t *testing.T) {
	w := newWorld(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	w.config.Clock = now
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) {
		c.Spec.Endpoint = v1alpha1.EndpointServer
		c.Spec.Rotation = &v1alpha1.ClientRotation{Interval: &metav1.Duration{Duration: 100 * time.Hour}}
	})
	w.create(c)
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonOverlapUnavailable)
	first := w.record(c)
	now.SetTime(now.Now().Add(200 * time.Hour))
	w.annotate(c, v1alpha1.AnnotationRotate, "1") // on demand it does
	w.rotated(c, "1")
	if second := w.record(c); second.Current.Secret == first.Current.Secret {
		t.Error("it was not rotated on demand")
	}
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonOverlapUnavailable)
}

// Keys stand side by side everywhere.
func TestKeysAreRotated(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) {
		c.Spec.Authentication.Method = v1alpha1.MethodPrivateKeyJWT
		c.Spec.Endpoint = v1alpha1.EndpointServer
	})
	before := w.record(c)
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	w.rotated(c, "1")
	after := w.record(c)
	keys := func() string { return fmt.Sprint(w.idp.Client(after.ClientID)["attributes"]) }
	if !strings.Contains(keys(), before.Current.KeyID) || !strings.Contains(keys(), after.Current.KeyID) || after.Current.KeyID == before.Current.KeyID {
		t.Errorf("the server has not both keys: %s", keys())
	}
	if got := string(w.secret(c.Namespace, c.Name).Data["key_id"]); got != after.Current.KeyID {
		t.Errorf("the mounted Secret holds key %s", got)
	}
	w.annotate(c, v1alpha1.AnnotationRevokePrevious, "1")
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionFalse, v1alpha1.ReasonNotRotating)
	if strings.Contains(keys(), before.Current.KeyID) {
		t.Error("the server still has the old key")
	}
}

// A server that chooses secrets decides; behind the facade it does not matter.
func TestRotationWhereTheServerChooses(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		options oauth.Options
		anew    bool
	}{
		"it keeps its secret": {"the facade's is rotated all the same", oauth.Options{}, false},
		"one at a time":       {"the webhook knows both", oauth.Options{NewSecret: true}, true},
		"side by side":        {"as where we choose", oauth.Options{NewSecret: true, KeepOldSecret: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, server := w.oauthServer(tc.options)
			w.create(server)
			w.start(nil)
			c := w.clientObject("orders", scoped)
			w.create(c)
			w.ready(c)
			before := w.record(c)
			w.annotate(c, v1alpha1.AnnotationRotate, "1")
			w.rotated(c, "1")
			after := w.record(c)
			if anew := after.Current.Secret != before.Current.Secret; anew != tc.anew {
				t.Errorf("%s: the server's secret is another one: %t", tc.reason, anew)
			}
			w.holds(c, after, before, v1alpha1.EndpointWebhook)
		})
	}
}

// A rotation that the server holds up is told, and the client stays Ready: what it has works.
func TestARotationThatIsHeldUp(t *testing.T) {
	w, c := registered(t, func(c *v1alpha1.IntrospectionClient) {
		c.Spec.Rotation = &v1alpha1.ClientRotation{Interval: &metav1.Duration{Duration: 100 * time.Hour}}
	})
	before := w.record(c)
	remove := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching(http.MethodPut, "/admin/"), Undone: true, Status: 503, Body: keycloak.HTML})
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	w.condition(c, v1alpha1.ConditionRotating, metav1.ConditionTrue, v1alpha1.ReasonServerError)
	if w.ready(c); c.Status.Credential.NextRotationAt == nil {
		t.Error("the status forgot when the next one is due")
	}
	if r := w.record(c); r.Current.Secret != before.Current.Secret || !r.Rotating() {
		t.Error("it was taken into use before the server took it")
	}
	if got := string(w.secret(c.Namespace, c.Name).Data["client_secret"]); got != before.Facade.Secret.Reveal() {
		t.Error("it was published before the server took it")
	}
	remove()
	w.rotated(c, "1")
}

// Whatever crashes in a rotation: it ends with one credential in use, the one before it in
// its overlap, and nothing published that does not work.
func TestKilledAtEachCallOfARotation(t *testing.T) {
	for name, policy := range map[string]*keycloak.Rotation{"a single secret": nil, "a policy": policed()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.idp.SetRotation(policy)
			w.create(w.serverObject())
			foreign := w.strangers()
			before := map[string]*credential.StoredRecord{}
			var last client.Object
			points := w.lives("rotation", story{
				between: func(n int) client.Object {
					if last != nil { // a token client carries so many audiences only
						w.remove(last)
					}
					o := w.clientObject(fmt.Sprintf("orders-%d", n))
					w.create(o)
					w.ready(o)
					before[o.Name], last = w.record(o), o
					return o
				},
				prepare: func(o client.Object) { w.annotate(o, v1alpha1.AnnotationRotate, "1") },
				done:    func(ctx context.Context, o client.Object) error { return w.hasRotated(ctx, o, "1") },
				check: func(o client.Object) {
					c, was := o.(*v1alpha1.IntrospectionClient), before[o.GetName()]
					w.oneRegistration(c)
					now := w.record(c)
					w.holds(c, now, was, v1alpha1.EndpointWebhook)
					if got, want := w.accepts(now.ClientID, was.Current.Secret.Reveal()), policy != nil; got != want {
						t.Errorf("the server takes the old secret: %t", got)
					}
					w.untouched(foreign)
				},
			})
			if points < 4 {
				t.Errorf("killed at %d points only: the harness does not see the calls", points)
			}
		})
	}
}

// Whatever crashes while an overlap is ended: it ends, everywhere.
func TestKilledAtEachCallOfARevocation(t *testing.T) {
	w := newWorld(t)
	w.idp.SetRotation(policed())
	w.create(w.serverObject())
	before := map[string]*credential.StoredRecord{}
	var last client.Object
	points := w.lives("revocation", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			o := w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(o)
			w.ready(o)
			before[o.Name], last = w.record(o), o
			w.annotate(o, v1alpha1.AnnotationRotate, "1")
			w.rotated(o, "1")
			return o
		},
		prepare: func(o client.Object) { w.annotate(o, v1alpha1.AnnotationRevokePrevious, "1") },
		done: func(ctx context.Context, o client.Object) error {
			if r := w.recordNow(ctx, o); r.Revoked != "1" || r.Overlaps() {
				return errors.New("it overlaps")
			}
			return w.hasRotated(ctx, o, "1")
		},
		check: func(o client.Object) {
			w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
			if r := w.record(o); w.accepts(r.ClientID, before[o.GetName()].Current.Secret.Reveal()) || !w.accepts(r.ClientID, r.Current.Secret.Reveal()) {
				t.Error("the server takes the revoked secret, or not the one in use")
			}
			if p := w.projected(o); len(p.FacadeSecrets) != 1 {
				t.Error("the webhook takes both")
			}
		},
	})
	if points < 4 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}
