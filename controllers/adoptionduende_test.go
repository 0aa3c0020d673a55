// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
)

// Our secret stands beside the host's own, and goes alone; the mapping is undone.
func TestAdoptionAtDuendeIsUndone(t *testing.T) {
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	letsAdopt(server)
	w.create(server)
	name := w.tenant + ".orders"
	before := ofTheHost(idp, name)
	w.start(nil)
	c := w.clientObject("orders", adopts)
	w.create(c)
	w.says(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonAdoptionRefused, "scope orders.read", true)
	scoped(c)
	w.update(c)
	w.ready(c)
	if is, _ := idp.Resource(name); len(is.Secrets) != 2 || is.RequireResourceIndicator {
		t.Errorf("adopted: %d secrets, by name only: %t", len(is.Secrets), is.RequireResourceIndicator)
	}
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	is, _ := idp.Resource(name)
	if diff := cmp.Diff(before, is); diff != "" {
		t.Errorf("given back (-was +is):\n%s", diff)
	}
}

// ofTheHost is a resource that people made.
func ofTheHost(idp *duende.Server, name string) duende.Resource {
	idp.AddResource(duende.Resource{
		Name: name, Scopes: []string{ordersScope}, RequireResourceIndicator: true,
		Secrets: []duende.Secret{{Type: "SharedSecret", Value: duende.Hash("of the host")}},
	})
	made, _ := idp.Resource(name)
	return made
}

// adopting is a Duende host that lets resources be adopted, and what makes the next of them.
func adopting(t *testing.T) (s *site, idp *duende.Server, next func(n int) (*v1alpha1.IntrospectionClient, duende.Resource)) {
	t.Helper()
	s, idp = duendeHost(t)
	letsAdopt(s.server)
	s.create(s.server)
	last := ""
	return s, idp, func(n int) (*v1alpha1.IntrospectionClient, duende.Resource) {
		idp.RemoveResource(last)
		c := s.clientObject(fmt.Sprintf("orders-%d", n), adopts, scoped)
		last = s.tenant + "." + c.Name
		return c, ofTheHost(idp, last)
	}
}

// Whatever crashes: one registration, which works, and the host's own secret beside ours.
func TestKilledAtEachCallOfAnAdoptionAtDuende(t *testing.T) {
	s, idp, next := adopting(t)
	var last *v1alpha1.IntrospectionClient
	var before duende.Resource
	points := s.lives("adoption", story{
		between: func(n int) client.Object {
			if last != nil {
				s.giveUp(last)
			}
			last, before = next(n)
			return last
		},
		prepare: s.create,
		done:    s.isReady,
		check: func(client.Object) {
			s.one(last)
			if is, _ := idp.Resource(before.Name); len(is.Secrets) != 2 || !slices.Contains(is.Secrets, before.Secrets[0]) {
				t.Errorf("%d secrets: the host's and one of ours are to be there", len(is.Secrets))
			}
		},
	})
	if points < 5 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// Whatever crashes: what was adopted is given back as it was.
func TestKilledAtEachCallOfAGivingBackAtDuende(t *testing.T) {
	s, idp, next := adopting(t)
	var before duende.Resource
	points := s.lives("giving back", story{
		between: func(n int) client.Object {
			var c *v1alpha1.IntrospectionClient
			c, before = next(n)
			s.create(c)
			s.ready(c)
			return c
		},
		prepare: s.delete,
		done:    s.isGone,
		check: func(client.Object) {
			is, _ := idp.Resource(before.Name)
			if diff := cmp.Diff(before, is); diff != "" {
				t.Errorf("given back (-was +is):\n%s", diff)
			}
		},
	})
	if points < 3 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}
