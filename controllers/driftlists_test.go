// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// Of many clients a few lists tell; what is amiss in one is found there, looked at live and put right.
func TestDriftIsFoundInLists(t *testing.T) {
	w := newWorld(t)
	w.config.DriftInterval = 4 * time.Second
	seen := &recorder{}
	w.start(seen.wrap)
	w.create(w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Audience.MaxPerTokenClient = 100 }))
	clients := make([]*v1alpha1.IntrospectionClient, 64)
	for i := range clients {
		clients[i] = w.clientObject(fmt.Sprintf("orders-%d", i))
		w.create(clients[i])
	}
	for _, c := range clients {
		w.ready(c)
	}
	w.lists(2) // the second shows all as they are registered
	for i, tc := range []struct {
		reason, event string
		spoil         func(c *v1alpha1.IntrospectionClient)
		whole         func(c *v1alpha1.IntrospectionClient) bool
	}{
		{
			"disabled", "DriftRepaired",
			func(c *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(c.Status.ClientID, map[string]any{"enabled": false})
			},
			func(c *v1alpha1.IntrospectionClient) bool { return w.idp.Client(c.Status.ClientID)["enabled"] == true },
		},
		{
			"deleted: what a list does not show is not absent before somebody looked", "DriftRepaired",
			func(c *v1alpha1.IntrospectionClient) { w.idp.DeleteClient(c.Status.ClientID) },
			func(c *v1alpha1.IntrospectionClient) bool { return w.idp.Client(c.Status.ClientID) != nil },
		},
		{
			"another secret", "DriftRepaired",
			func(c *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(c.Status.ClientID, map[string]any{"secret": "by-hand"})
			},
			func(c *v1alpha1.IntrospectionClient) bool {
				return w.idp.Client(c.Status.ClientID)["secret"] == w.record(c).Current.Secret.Reveal()
			},
		},
		{
			"detached", "DriftRepaired",
			func(c *v1alpha1.IntrospectionClient) { w.idp.Detach(tokenClient, c.Status.AudienceScope) },
			func(c *v1alpha1.IntrospectionClient) bool { return w.attached(c) },
		},
		{
			"not ours", "",
			func(c *v1alpha1.IntrospectionClient) {
				w.idp.EditClient(c.Status.ClientID, map[string]any{"description": "by hand"})
			},
			func(c *v1alpha1.IntrospectionClient) bool {
				return w.idp.Client(c.Status.ClientID)["description"] == "by hand"
			},
		},
	} {
		c := clients[i]
		states := w.watched(c)
		tc.spoil(c)
		w.eventually(tc.reason, func(ctx context.Context) error {
			if !tc.whole(c) {
				return errors.New("it is not as it was")
			}
			return w.toldOnce(ctx, c, tc.event)
		})
		states.then(tc.reason+": it is Ready at every moment", current)
	}
	if diff := cmp.Diff(map[string]float64{"registration": 3, "audience": 1}, w.repairs()); diff != "" {
		t.Errorf("the metric of repairs (-want +got):\n%s", diff)
	}
	lookups, looks := w.lookups(), records(seen)
	w.lists(4)
	lookups, looks = w.lookups()-lookups, records(seen)-looks
	if looks < len(clients) || lookups*5 > looks {
		t.Errorf("%d looks took %d calls that look a client up", looks, lookups)
	}
}

// records is how many records were read: each look reads one.
func records(r *recorder) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, call := range r.calls {
		if strings.HasPrefix(call, http.MethodGet+" ") && strings.Contains(call, "/secrets/record-") {
			n++
		}
	}
	return n
}

// lists waits until the server's clients were listed some times more.
func (w *world) lists(more int) {
	w.t.Helper()
	listed := func() int {
		return w.calls(func(c keycloak.Call) bool { return c.Query.Get("max") == "100" && c.Query.Get("first") == "0" })
	}
	before := listed()
	w.eventually("the clients are listed", func(context.Context) error {
		if n := listed() - before; n < more {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
}

// lookups is how many calls looked a client up.
func (w *world) lookups() int {
	return w.calls(func(c keycloak.Call) bool { return c.Query.Get("clientId") != "" })
}

func (w *world) calls(which func(keycloak.Call) bool) int {
	n := 0
	for _, c := range w.idp.Calls() {
		if which(c) {
			n++
		}
	}
	return n
}

func (w *world) attached(c *v1alpha1.IntrospectionClient) bool {
	defaults, _ := w.idp.Attached(tokenClient)
	return slices.Contains(defaults, c.Status.AudienceScope)
}
