// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

func adopts(c *v1alpha1.IntrospectionClient) { c.Spec.AdoptionPolicy = v1alpha1.AdoptionUnowned }

func letsAdopt(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Adoption = v1alpha1.Allowed }

const theirSecret = "the-secret-that-people-made"

// idle is a client that people made and that can obtain no token, changed by members.
func (w *world) idle(clientID string, members map[string]any) map[string]any {
	w.t.Helper()
	w.idp.AddClient(keycloak.Client{ID: clientID, Secret: theirSecret, Attributes: map[string]string{"theirs": "kept"}})
	w.idp.EditClient(clientID, map[string]any{
		"name": "Theirs", "standardFlowEnabled": false, "directAccessGrantsEnabled": false, "serviceAccountsEnabled": false,
		"redirectUris": []any{"https://theirs.example.com/*"},
	})
	w.idp.EditClient(clientID, members)
	return w.idp.Client(clientID)
}

// A client that nobody owns is taken over with its secret, and is given back as it was; nothing else of it
// is touched, whatever the operator had to do meanwhile.
func TestAdoptionIsUndone(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	w.create(w.serverObject(letsAdopt))
	before := w.idle(w.tenant+".orders", nil)
	c := w.clientObject("orders", adopts, atServer)
	w.create(c)
	w.ready(c)
	w.marked(c)
	if got := string(w.secret(w.tenant, "orders").Data["client_secret"]); got != theirSecret {
		t.Error("the mounted secret is not the client's own")
	}
	if c.Status.Credential.Fingerprint != "" {
		t.Error("a secret that people made could be guessed from the fingerprint")
	}
	w.idp.EditClient(w.tenant+".orders", map[string]any{"standardFlowEnabled": true, "secret": "changed-by-hand"})
	c.Spec.DisplayName = "Another name"
	w.update(c)
	w.eventually("the flow is off again", func(context.Context) error {
		if is := w.idp.Client(w.tenant + ".orders"); is["standardFlowEnabled"] != false || is["secret"] != theirSecret {
			return errors.New("it is not")
		}
		return nil
	})
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	w.givenBack(c, before)
}

// A lost record is no reason to delete what people made: the server's mark says so, too.
func TestAdoptedOutlivesALostRecord(t *testing.T) {
	w := newWorld(t)
	stop := w.start(nil)
	w.create(w.serverObject(letsAdopt))
	w.idle(w.tenant+".orders", nil)
	c := w.clientObject("orders", adopts)
	w.create(c)
	w.ready(c)
	stop()
	w.deleteSecret(w.config.SystemNamespace, "record-"+w.record(c).Object.Hash())
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.start(nil)
	w.gone(c)
	is := w.idp.Client(w.tenant + ".orders")
	if is == nil {
		t.Fatal("it was deleted")
	}
	if attributes := is["attributes"].(map[string]any); attributes["introspection.dev/owner"] != nil || attributes["theirs"] != "kept" {
		t.Errorf("its attributes are %v", attributes)
	}
}

// What a tenant who cheats would have taken over: nothing is written at the server.
func TestAdoptionIsRefused(t *testing.T) {
	on := func(member string) map[string]any { return map[string]any{member: true} }
	for name, tc := range map[string]struct {
		members map[string]any
		prepare func(w *world, clientID string)
		server  serverChange
		client  clientChange
		reason  string
		says    string
	}{
		"a login client":           {members: on("standardFlowEnabled"), reason: v1alpha1.ReasonAdoptionRefused, says: "standardFlowEnabled"},
		"a client by password":     {members: on("directAccessGrantsEnabled"), reason: v1alpha1.ReasonAdoptionRefused, says: "directAccessGrantsEnabled"},
		"an implicit flow":         {members: on("implicitFlowEnabled"), reason: v1alpha1.ReasonAdoptionRefused, says: "implicitFlowEnabled"},
		"a service account":        {members: on("serviceAccountsEnabled"), reason: v1alpha1.ReasonAdoptionRefused, says: "serviceAccountsEnabled"},
		"a public client":          {members: on("publicClient"), reason: v1alpha1.ReasonAdoptionRefused, says: "publicClient"},
		"a client that is off":     {members: map[string]any{"enabled": false}, reason: v1alpha1.ReasonAdoptionRefused, says: "disabled"},
		"a client of another kind": {members: map[string]any{"protocol": "saml"}, reason: v1alpha1.ReasonAdoptionRefused, says: "protocol"},
		"a grant by attribute": {
			members: map[string]any{"attributes": map[string]any{"oauth2.some.new.grant.enabled": "true"}}, reason: v1alpha1.ReasonAdoptionRefused, says: "oauth2.some.new.grant.enabled",
		},
		"a client with roles": {
			prepare: func(w *world, clientID string) { w.idp.DefineRoles(clientID, "admin") }, reason: v1alpha1.ReasonAdoptionRefused, says: "client roles",
		},
		"another way to prove itself": {client: method(v1alpha1.MethodPrivateKeyJWT), reason: v1alpha1.ReasonAdoptionRefused, says: "authentication.method"},
		"another's client": {
			members: map[string]any{"attributes": map[string]any{"introspection.dev/owner": "eu-2/shop/orders"}}, reason: v1alpha1.ReasonOwnershipConflict, says: "belongs to eu-2/shop/orders",
		},
		"not asked":   {client: func(c *v1alpha1.IntrospectionClient) { c.Spec.AdoptionPolicy = v1alpha1.AdoptionNever }, reason: v1alpha1.ReasonOwnershipConflict, says: "set spec.adoptionPolicy Unowned"},
		"not allowed": {server: func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Adoption = "" }, reason: v1alpha1.ReasonAdoptionNotAllowed, says: "have the platform team allow it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clientID := w.tenant + ".orders"
			before := w.idle(clientID, tc.members)
			if tc.prepare != nil {
				tc.prepare(w, clientID)
			}
			s, c := w.serverObject(letsAdopt), w.clientObject("orders", adopts)
			if tc.server != nil {
				tc.server(s)
			}
			if tc.client != nil {
				tc.client(c)
			}
			w.start(nil)
			w.create(s)
			w.create(c)
			w.says(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, tc.reason, tc.says, true)
			if is := w.idp.Client(clientID); !reflect.DeepEqual(before, is) {
				t.Errorf("it was touched:\n was %v\n is  %v", before, is)
			}
			if err := w.kube.Delete(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			w.gone(c)
			if is := w.idp.Client(clientID); !reflect.DeepEqual(before, is) {
				t.Error("the deletion of the object touched it")
			}
		})
	}
}

// Exactly one registration, whatever crashes (adoption).
func TestKilledAtEachCallOfAnAdoption(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject(letsAdopt))
	foreign := w.strangers()
	var last client.Object
	var before map[string]any
	points := w.lives("adoption", story{
		between: func(n int) client.Object {
			if last != nil {
				w.giveUp(last)
				w.givenBack(last, before)
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n), adopts)
			before = w.idle(w.tenant+"."+last.GetName(), nil)
			return last
		},
		prepare: w.create,
		done:    w.isReady,
		check: func(o client.Object) {
			w.adopted(o)
			w.untouched(foreign)
		},
	})
	if points < 8 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// What was adopted is given back, whatever crashes (deletion).
func TestKilledAtEachCallOfAGivingBack(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject(letsAdopt))
	foreign := w.strangers()
	var before map[string]any
	points := w.lives("giving back", story{
		between: func(n int) client.Object {
			o := w.clientObject(fmt.Sprintf("orders-%d", n), adopts)
			before = w.idle(w.tenant+"."+o.Name, nil)
			w.create(o)
			w.ready(o)
			return o
		},
		prepare: w.delete,
		done:    w.isGone,
		check: func(o client.Object) {
			w.givenBack(o, before)
			w.untouched(foreign)
		},
	})
	if points < 4 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// giveUp deletes an object and waits for its end.
func (w *world) giveUp(o client.Object) {
	w.t.Helper()
	w.delete(o)
	w.gone(o)
}

// adopted asserts that a client is ours, and in use with its own secret.
func (w *world) adopted(o client.Object) {
	w.t.Helper()
	w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
	w.marked(o)
}

// marked asserts that a client bears our marks, and is else what it was.
func (w *world) marked(o client.Object) {
	w.t.Helper()
	is := w.idp.Client(o.GetNamespace() + "." + o.GetName())
	attributes := is["attributes"].(map[string]any)
	if attributes["introspection.dev/owner"] == nil || attributes["introspection.dev/adopted"] != "true" || attributes["theirs"] != "kept" {
		w.t.Errorf("its attributes are %v", attributes)
	}
	if is["secret"] != theirSecret || is["name"] != "Theirs" || w.record(o).Adopted == "" {
		w.t.Error("more than the marks was changed, or the record does not know that it was adopted")
	}
}

// givenBack asserts that a client is as it was, and that nothing of ours is left.
func (w *world) givenBack(o client.Object, before map[string]any) {
	w.t.Helper()
	clientID := o.GetNamespace() + "." + o.GetName()
	if is := w.idp.Client(clientID); !reflect.DeepEqual(before, is) {
		w.t.Errorf("it is not as it was:\n was %v\n is  %v", before, is)
	}
	if is := w.idp.Client(clientID); is != nil {
		w.idp.DeleteClient(clientID)
	}
	w.nothingLeft(o)
}
