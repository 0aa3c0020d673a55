// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

const canaryID, canaryPass = "canary", "the-canarys-own-secret"

// withCanary has a server name a canary, whose Secret it makes.
func (w *world) withCanary(id, secret string) func(*v1alpha1.ClusterAuthorizationServer) {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: "canary"},
		Data:       map[string][]byte{"client_id": []byte(id), "client_secret": []byte(secret)},
	})
	return func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Canary = &v1alpha1.SecretReference{SecretName: "canary"}
	}
}

// keycloakCanary makes the canary and a server object that names it.
func (w *world) keycloakCanary() *v1alpha1.ClusterAuthorizationServer {
	w.t.Helper()
	w.idp.AddClient(keycloak.Client{ID: canaryID, Secret: canaryPass})
	return w.serverObject(w.withCanary(canaryID, canaryPass))
}

func audienceMode(m v1alpha1.AudienceMode) func(*v1alpha1.IntrospectionClient) {
	return func(c *v1alpha1.IntrospectionClient) { c.Spec.Audience.Mode = m }
}

// lentTo says whether the canary has a client's mapping, as optional and not as default.
func (w *world) lentTo(canary, scope string) bool {
	defaults, optional := w.idp.Attached(canary)
	return slices.Contains(optional, scope) && !slices.Contains(defaults, scope)
}

// asks counts the canary's sign-ins.
func (w *world) asks() int {
	n := 0
	for _, call := range w.idp.Calls() {
		if strings.HasSuffix(call.Path, "/token") && strings.Contains(call.Body, "introspection%3A") {
			n++
		}
	}
	return n
}

// proofs are what the metric counts, by outcome.
func (w *world) proofs() map[string]float64 {
	return w.counts("introspection_controller_canary_proofs_total", "outcome")
}

func TestTheCanaryProvesTheMapping(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		mode    v1alpha1.AudienceMode
		want    string
		lent    bool
		counted string
	}{
		"Default":   {"the mapping is lent as optional, and a token asked for with it is active", v1alpha1.AudienceDefault, v1alpha1.ReasonMappingProven, true, proofProven},
		"OnRequest": {"as Default", v1alpha1.AudienceOnRequest, v1alpha1.ReasonMappingProven, true, proofProven},
		"Unmanaged": {"nothing is touched, so a token that names nobody proves nothing", v1alpha1.AudienceUnmanaged, v1alpha1.ReasonMappingUnproven, false, proofUnmanaged},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			server := w.keycloakCanary()
			server.Spec.Access.Audience.Modes = []v1alpha1.AudienceMode{tc.mode}
			server.Spec.Access.Audience.MaxPerTokenClient = 1
			w.create(server)
			w.start(nil)
			c := w.clientObject("orders", audienceMode(tc.mode))
			w.create(c)
			w.ready(c)
			w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, tc.want)
			w.condition(server, v1alpha1.ConditionCanaryAvailable, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if counted := w.proofs(); len(counted) != 1 || counted[tc.counted] == 0 {
				t.Errorf("counted %v, want some %s", counted, tc.counted)
			}
			scope := "introspection:" + c.Status.ClientID
			if got := w.lentTo(canaryID, scope); got != tc.lent {
				t.Errorf("lent: %t; %s", got, tc.reason)
			}
			before, calls := w.asks(), len(w.idp.Calls())
			if tc.lent && before == 0 {
				t.Error("the canary never asked for the mapping")
			}
			w.nudge(c)
			w.eventually("it is looked at again, to the question of whether the credential works", func(context.Context) error {
				for _, call := range w.idp.Calls()[calls:] {
					if strings.HasSuffix(call.Path, "/token/introspect") {
						return nil
					}
				}
				return errors.New("no question")
			})
			w.ready(c)
			if again := w.asks(); again != before {
				t.Errorf("the canary asked %d times, and %d before a look that found nothing new", again, before)
			}
			if err := w.kube.Delete(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			w.gone(c)
			if w.lentTo(canaryID, scope) {
				t.Error("the loan outlives the client")
			}
		})
	}
}

// Whatever is wrong with the mapping, the canary tells it, and says what to do.
func TestAnUnprovenMappingIsNotVerified(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		fault  fault.Fault
		words  string
	}{
		"token lacks aud": {
			"the server calls live tokens inactive",
			fault.Fault{Match: fault.Matching(http.MethodPost, "/token/introspect"), Status: http.StatusOK, Body: `{"active":false}`},
			"is inactive for this client",
		},
		"scope not granted": {
			"the server says that it attached the scope, and did not",
			fault.Fault{Match: fault.Matching(http.MethodPut, "/optional-client-scopes/"), Undone: true, Status: http.StatusNoContent},
			"refuses the canary a token with scope=introspection:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(w.keycloakCanary())
			remove := w.idp.Inject(tc.fault)
			w.start(nil)
			c := w.clientObject("orders")
			w.create(c)
			words := w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionFalse, v1alpha1.ReasonMappingUnproven)
			if !strings.Contains(words, tc.words) || !strings.Contains(words, "Look at client scope") {
				t.Errorf("it says: %s; want: %s", words, tc.reason)
			}
			if counted := w.proofs(); len(counted) != 1 || counted[proofUnproven] == 0 {
				t.Errorf("counted %v", counted)
			}
			if err := w.kube.Get(t.Context(), client.ObjectKey{Namespace: w.tenant, Name: "orders"}, &corev1.Secret{}); err == nil {
				t.Error("a credential is published that is good for nothing")
			}
			remove()
			w.nudge(c) // after the second look it is left in peace for a minute
			w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven)
			w.ready(c)
		})
	}
}

// The platform's canary is no tenant's trouble: clients stay Ready, and become so.
func TestACanaryThatGetsNoToken(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		spoil  func(w *world)
		words  string
	}{
		"deleted at the server": {"unknown there", func(w *world) { w.idp.DeleteClient(canaryID) }, "gets no token"},
		"secret rotated": {"the operator has the old one", func(w *world) {
			w.idp.EditClient(canaryID, map[string]any{"secret": "another"})
		}, "Put right Secret"},
		"no service account": {"it may not use the grant", func(w *world) {
			w.idp.EditClient(canaryID, map[string]any{"serviceAccountsEnabled": false})
		}, "client credentials grant"},
		"Secret deleted": {"nothing to sign in with", func(w *world) { w.deleteSecret(w.config.SystemNamespace, "canary") }, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			server := w.keycloakCanary()
			w.create(server)
			stop := w.start(nil)
			old := w.clientObject("orders")
			w.create(old)
			w.ready(old)
			stop()
			tc.spoil(w)
			w.start(nil)
			words := w.condition(server, v1alpha1.ConditionCanaryAvailable, metav1.ConditionFalse, v1alpha1.ReasonCanaryUnavailable)
			if !strings.Contains(words, tc.words) || strings.Contains(words, canaryPass) {
				t.Errorf("it says: %s; want: %s", words, tc.reason)
			}
			w.ready(server)
			c := w.clientObject("billing")
			w.create(c)
			w.ready(c)
			w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonCanaryUnavailable)
			if counted := w.proofs(); len(counted) != 1 || counted[proofUnavailable] == 0 {
				t.Errorf("counted %v", counted)
			}
			w.condition(old, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven) // an hour is not over
			w.ready(old)
		})
	}
}

// A canary is added, replaced and taken away: what was lent follows, and nothing of it is drift.
func TestTheLoanFollowsTheCanary(t *testing.T) {
	w, c := registered(t)
	for _, id := range []string{canaryID, "canary-2"} {
		w.idp.AddClient(keycloak.Client{ID: id, Secret: canaryPass})
	}
	scope := c.Status.AudienceScope
	server := w.changeServer(w.withCanary(canaryID, canaryPass))
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven)
	if !w.lentTo(canaryID, scope) {
		t.Fatal("nothing was lent")
	}
	secret := w.secret(w.config.SystemNamespace, "canary")
	secret.Data["client_id"] = []byte("canary-2")
	w.update(secret)
	w.eventually("the loan goes to the next canary", func(context.Context) error {
		w.nudge(c)
		if !w.lentTo("canary-2", scope) || w.lentTo(canaryID, scope) {
			return errors.New("not yet")
		}
		return nil
	})
	w.changeServer(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Canary = nil })
	w.eventually("the loan is taken back", func(context.Context) error {
		if w.lentTo("canary-2", scope) {
			return errors.New("still lent")
		}
		return nil
	})
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	w.eventually("the server says nothing of a canary", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
			return err
		}
		if words := describe(server.Status.Conditions); strings.Contains(words, v1alpha1.ConditionCanaryAvailable) {
			return errors.New(words)
		}
		return nil
	})
	for _, e := range w.tenantEvents() {
		if strings.Contains(e, "audience mapping was changed") {
			t.Errorf("an Event calls a loan drift: %s", e)
		}
	}
}

// nudge has a client looked at.
func (w *world) nudge(c *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	w.eventually("the client is nudged", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		c.Annotations = map[string]string{"nudged": rand.Text()}
		return w.kube.Update(ctx, c)
	})
}

// changeServer changes the server's spec.
func (w *world) changeServer(change func(*v1alpha1.ClusterAuthorizationServer)) *v1alpha1.ClusterAuthorizationServer {
	w.t.Helper()
	s := &v1alpha1.ClusterAuthorizationServer{}
	w.eventually("the server is changed", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKey{Name: w.server}, s); err != nil {
			return err
		}
		change(s)
		return w.kube.Update(ctx, s)
	})
	return s
}

// tenantEvents are the notes of the Events in the tenant's namespace.
func (w *world) tenantEvents() (notes []string) {
	w.t.Helper()
	list := &corev1.EventList{}
	if err := w.kube.List(w.t.Context(), list, client.InNamespace(w.tenant)); err != nil {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		notes = append(notes, list.Items[i].Message)
	}
	return notes
}

// Other servers: the canary asks in their way.
func TestTheCanaryElsewhere(t *testing.T) {
	type elsewhere struct {
		*v1alpha1.ClusterAuthorizationServer

		calls func() []fault.Call
	}
	host := func(w *world, canary duende.Client) elsewhere {
		idp, server := w.duendeServer(duende.Recorded())
		idp.AddClient(canary)
		w.withCanary(canary.ID, canary.Secret)(server)
		return elsewhere{server, idp.Calls}
	}
	byHand := func(s elsewhere) elsewhere { // its resource legacy-api is for billing.read
		s.Spec.Registration, s.Spec.Credentials, s.Spec.Access.Scopes = v1alpha1.RegistrationManual, nil, nil
		return s
	}
	brought := func(c *v1alpha1.IntrospectionClient) { c.Spec.ExistingSecretName = "brought" }
	for name, tc := range map[string]struct {
		reason string
		make   func(*world) elsewhere
		client func(*v1alpha1.IntrospectionClient)
		want   string
		asks   func(clientID string) url.Values // nil for nothing in particular
	}{
		"duende": {"the canary asks for a scope of the client's", func(w *world) elsewhere {
			return host(w, duende.Client{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope}, Reference: true})
		}, scoped, v1alpha1.ReasonMappingProven, func(string) url.Values { return url.Values{"scope": {ordersScope}} }},
		"duende without the right to the scope": {"another client's shortcoming fails nobody", func(w *world) elsewhere {
			return host(w, duende.Client{ID: "poor", Secret: "poor-secret", Scopes: []string{"billing.read"}})
		}, scoped, v1alpha1.ReasonCanaryUnavailable, func(string) url.Values { return url.Values{"scope": {ordersScope}} }},
		"duende on request": {"tokens name it only if they are asked for with its name", func(w *world) elsewhere {
			s := host(w, duende.Client{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope}})
			s.Spec.ClientIDTemplate = "https://apis.example.com/{namespace}/{name}"
			return s
		}, func(c *v1alpha1.IntrospectionClient) {
			scoped(c)
			audienceMode(v1alpha1.AudienceOnRequest)(c)
		}, v1alpha1.ReasonMappingProven, func(clientID string) url.Values {
			return url.Values{"scope": {ordersScope}, "resource": {clientID}}
		}},
		"duende by hand": {"whoever registered it knows its scopes, so the canary asks for all of its own", func(w *world) elsewhere {
			return byHand(host(w, duende.Client{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope, "billing.read"}}))
		}, brought, v1alpha1.ReasonMappingProven, nil},
		"duende by hand, of another's scope": {"nobody here maps it, so it proves nothing against the client", func(w *world) elsewhere {
			return byHand(host(w, duende.Client{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope}}))
		}, brought, v1alpha1.ReasonMappingUnproven, nil},
		"oauth": {"whoever is registered may look into any token", func(w *world) elsewhere {
			idp, server := w.oauthServer(oauth.Options{Clients: []oauth.Client{{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope}}}})
			w.withCanary("canary", "canary-secret")(server)
			return elsewhere{server, idp.Calls}
		}, scoped, v1alpha1.ReasonMappingProven, func(string) url.Values { return url.Values{"scope": {ordersScope}} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := tc.make(w)
			w.create(s.ClusterAuthorizationServer)
			w.bring("legacy-api", "legacy-secret")
			w.start(nil)
			c := w.clientObject("orders", tc.client)
			w.create(c)
			w.ready(c)
			w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, tc.want)
			if tc.asks == nil {
				return
			}
			want := tc.asks(c.Status.ClientID)
			if asked := wishes(s.calls()); !slices.ContainsFunc(asked, func(v url.Values) bool { return maps.EqualFunc(v, want, slices.Equal) }) {
				t.Errorf("the canary asked for %v, want %v: %s", asked, want, tc.reason)
			}
		})
	}
}

// wishes are what tokens were asked for with, by the client credentials grant.
func wishes(calls []fault.Call) (asked []url.Values) {
	for _, call := range calls {
		form, err := url.ParseQuery(call.Body)
		if err == nil && form.Get("grant_type") == "client_credentials" {
			maps.DeleteFunc(form, func(name string, _ []string) bool { return name != "scope" && name != "resource" })
			asked = append(asked, form)
		}
	}
	return asked
}

// A death at any call leaves the loan as it should be, and nothing behind.
func TestKilledAtEachCallOfACreationWithACanary(t *testing.T) {
	w := newWorld(t)
	w.create(w.keycloakCanary())
	foreign := w.strangers()
	var last client.Object
	w.lives("creation with a canary", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
				if _, optional := w.idp.Attached(canaryID); slices.ContainsFunc(optional, func(s string) bool { return strings.HasPrefix(s, "introspection:") }) {
					t.Errorf("left with the canary: %v", optional)
				}
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			return last
		},
		prepare: w.create,
		done: func(ctx context.Context, o client.Object) error {
			if err := w.isReady(ctx, o); err != nil {
				return err
			}
			if words := describe(conditionsOf(o)); !strings.Contains(words, v1alpha1.ReasonMappingProven) {
				return errors.New(words)
			}
			return nil
		},
		check: func(o client.Object) {
			c := o.(*v1alpha1.IntrospectionClient)
			w.oneRegistration(c)
			w.untouched(foreign)
			if !w.lentTo(canaryID, c.Status.AudienceScope) {
				t.Error("the canary has no loan")
			}
		},
	})
}
