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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestOAuthIsReadyAndRestored(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{NewRegistrationToken: true})
	w.create(server)
	stop := w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	first, mounted := w.record(c), w.secret(w.tenant, "orders")
	if len(idp.Registered()) != 1 || first.ClientID != idp.Registered()[0] || c.Status.ClientID != first.ClientID {
		t.Fatalf("registered %q, recorded %q, told %q", idp.Registered(), first.ClientID, c.Status.ClientID)
	}
	if !strings.Contains(first.State.Reveal(), "registration_access_token") {
		t.Error("the record lacks the whole answer")
	}
	w.eventually("the server shows that it introspects JWTs", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
			return err
		}
		if jwt := server.Status.Capabilities.TokenForms.JWT; jwt != "Yes" {
			return errors.New(jwt)
		}
		return nil
	})
	stop()
	if !idp.Remove(first.ClientID) {
		t.Fatal("there was nothing to remove")
	}
	w.start(nil)
	w.eventually("it is registered again", func(ctx context.Context) error {
		if again := w.recordNow(ctx, c); again.ClientID == "" || again.ClientID == first.ClientID || again.Current == nil {
			return fmt.Errorf("client id %q", again.ClientID)
		}
		return nil
	})
	if again := w.secret(w.tenant, "orders"); again.ResourceVersion != mounted.ResourceVersion {
		t.Error("workloads got another Secret")
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	if left := idp.Registered(); len(left) != 0 {
		t.Errorf("left at the server: %q", left)
	}
}

// The answer to a registration is lost, and nobody can look: it is never made twice, and
// whoever looked says how to go on.
func TestOAuthAmbiguousRegistration(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{})
	remove := idp.Inject(fault.Fault{Match: func(c fault.Call) bool {
		return c.Method == http.MethodPost && strings.Contains(c.Body, "software_id")
	}, Drop: true})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders")
	w.create(c)
	words := w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonRegistrationAmbiguous)
	if len(idp.Registered()) != 1 || c.Status.RegistrationAttempt == "" || !strings.Contains(words, c.Status.RegistrationAttempt) {
		t.Fatalf("registered %q, attempt %q: %s", idp.Registered(), c.Status.RegistrationAttempt, words)
	}
	remove()
	idp.Remove(idp.Registered()[0])
	c.Annotations = map[string]string{v1alpha1.AnnotationRegisterAgain: c.Status.RegistrationAttempt}
	w.update(c)
	w.ready(c)
	if n := len(idp.Registered()); n != 1 || c.Status.RegistrationAttempt != "" {
		t.Errorf("%d registrations, attempt %q", n, c.Status.RegistrationAttempt)
	}
}

func TestOAuthWithoutManagement(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{NoManagement: true})
	server.Spec.Access.Retain = v1alpha1.Allowed
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders")
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonManagementUnsupported)
	c.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	w.update(c)
	w.ready(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionTrue, v1alpha1.ReasonManagementUnsupported)
	if n := len(idp.Registered()); n != 1 {
		t.Errorf("%d registrations", n)
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
}

func TestOAuthChoosesIDs(t *testing.T) {
	w := newWorld(t)
	_, server := w.oauthServer(oauth.Options{})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.ClientID = w.tenant + ".orders" })
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	p := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "orders"},
		Spec:       v1alpha1.TokenPolicySpec{Accept: []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "orders"}}}},
	}
	w.create(p)
	w.condition(p, v1alpha1.ConditionClientsReady, metav1.ConditionFalse, v1alpha1.ReasonAudienceRequired)
}

// A server that registers and then never takes the credential makes one client, and no more.
func TestOAuthThatNeverAcceptsItsClients(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{NoManagement: true})
	server.Spec.Access.Retain = v1alpha1.Allowed
	idp.Inject(fault.Fault{Match: fault.Matching(http.MethodPost, "/introspect"), Status: http.StatusUnauthorized, Undone: true})
	w.create(server)
	recorder := &recorder{}
	w.start(recorder.wrap)
	c := w.clientObject("orders", func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.create(c)
	words := w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionUnknown, v1alpha1.ReasonNotYetAccepted)
	w.eventually("it was asked again and again", func(context.Context) error {
		if n := recorder.count("POST", "/introspect"); n < 4 {
			return fmt.Errorf("%d introspections", n)
		}
		return nil
	})
	if n := len(idp.Registered()); n != 1 {
		t.Errorf("%d registrations", n)
	}
	if attempt := w.record(c).Attempt; !strings.Contains(words, attempt) {
		t.Errorf("it does not say how to register again: %s", words)
	}
}

// What stands in front of a server answers for it: that is no word about a client.
func TestOAuthBehindAProxyThatRefuses(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{})
	w.create(server)
	stop := w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	before := w.record(c)
	stop()
	remove := idp.Inject(fault.Fault{
		Match: func(c fault.Call) bool { // what is asked about this client, or nobody comes to ask about it
			return strings.Contains(c.Path, before.ClientID) || strings.HasSuffix(c.Path, "/introspect")
		},
		Status: http.StatusUnauthorized, Body: fault.HTML, Undone: true,
	})
	calls := len(idp.Calls())
	w.start(nil)
	w.eventually("the client was looked for", func(context.Context) error {
		for _, call := range idp.Calls()[calls:] {
			if strings.Contains(call.Path, before.ClientID) {
				return nil
			}
		}
		return errors.New("not yet")
	})
	remove()
	w.ready(c)
	if after := w.record(c); after.ClientID != before.ClientID || after.Current.Secret != before.Current.Secret || len(idp.Registered()) != 1 {
		t.Errorf("registered %q, before that %s", idp.Registered(), before.ClientID)
	}
}

// An object whose registration nobody knows the end of can be deleted.
func TestAmbiguousRegistrationsCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{})
	idp.Inject(fault.Fault{Match: func(c fault.Call) bool {
		return c.Method == http.MethodPost && strings.Contains(c.Body, "software_id")
	}, Drop: true})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders")
	w.create(c)
	w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonRegistrationAmbiguous)
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	words := w.condition(c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRegistrationAmbiguous)
	if !strings.Contains(words, c.Status.RegistrationAttempt) {
		t.Fatalf("it does not say how to go on: %s", words)
	}
	c.Annotations = map[string]string{v1alpha1.AnnotationRegisterAgain: c.Status.RegistrationAttempt}
	w.update(c)
	w.gone(c)
}

// Two leaders: an intent that somebody else wrote after is dropped, and an answer is not.
func TestKeepUnderAnotherWriter(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		issued provider.Issued
		others string // what the other one wrote into the state
		kept   bool
	}{
		"intent":                 {"both would register", provider.Issued{State: "mine", Intent: true}, "", false},
		"answer":                 {"it can't be had again", provider.Issued{ClientID: "c1", State: "mine"}, "", true},
		"answer after an answer": {"the later one is the server's last word", provider.Issued{State: "mine"}, "theirs", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			store := w.store()
			object := credential.Object{Namespace: w.tenant, Name: "orders"}
			record := &credential.StoredRecord{Record: credential.Record{Object: object, Attempt: "a", Next: &credential.Value{}, Facade: credential.NewValue(time.Now())}}
			if err := store.SaveRecord(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			s := &clientScope{
				clientReconciler: &clientReconciler{store: store, clock: w.config.Clock},
				object:           w.clientObject("orders"), record: record,
			}
			other := w.recordNow(t.Context(), s.object)
			other.Fence, other.State = "theirs", provider.Secret(tc.others)
			if err := store.SaveRecord(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			err := s.Keep(t.Context(), tc.issued)
			if stored := w.recordNow(t.Context(), s.object); (err == nil) != tc.kept || (stored.State == "mine") != tc.kept {
				t.Errorf("%s: kept %t, %v", tc.reason, stored.State == "mine", err)
			}
		})
	}
}
