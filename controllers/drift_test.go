// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// spoiled is one thing that somebody does, and what becomes of it.
type spoiled struct {
	reason string
	spoil  func(w *world, c *v1alpha1.IntrospectionClient)
	// event and what are how the repair is told, on the object and in the metric; empty if nothing is
	// repaired.
	event, what string
	// hinted says that the webhook has noticed, and foreign are members of the client that stay as
	// somebody wrote them.
	hinted  bool
	foreign map[string]any
}

// atTheServer are changes that no watch tells of.
func atTheServer() map[string]spoiled {
	edit := func(members map[string]any) func(*world, *v1alpha1.IntrospectionClient) {
		return func(w *world, c *v1alpha1.IntrospectionClient) { w.idp.EditClient(c.Status.ClientID, members) }
	}
	const event = "DriftRepaired"
	return map[string]spoiled{
		"client deleted": {"with the same id and secret: nobody notices", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.idp.DeleteClient(c.Status.ClientID)
		}, event, "registration", true, nil},
		"secret changed": {"ours is put back", edit(map[string]any{"secret": "changed-by-hand"}), event, "registration", true, nil},
		"secret changed where secrets are masked": {"the refusal at introspection tells, since the server does not show it", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.idp.Mask(keycloak.MaskAlways)
			w.idp.EditClient(c.Status.ClientID, map[string]any{"secret": "changed-by-hand"})
		}, event, "registration", true, nil},
		"client disabled": {"enabled again", edit(map[string]any{"enabled": false}), event, "registration", true, nil},
		"flows switched on": {"a client that may ask about tokens can get none", edit(map[string]any{
			"standardFlowEnabled": true, "directAccessGrantsEnabled": true, "serviceAccountsEnabled": true,
			"redirectUris": []any{"https://elsewhere.example/*"}, "fullScopeAllowed": true,
		}), event, "registration", false, nil},
		"foreign members with ours": {
			"only ours are put right", edit(map[string]any{"enabled": false, "description": "by the platform team", "baseUrl": "https://orders.example"}),
			event, "registration", false,
			map[string]any{"description": "by the platform team", "baseUrl": "https://orders.example"},
		},
		"foreign members": {
			"they are nobody's business here", edit(map[string]any{"description": "by the platform team"}),
			"", "", false,
			map[string]any{"description": "by the platform team"},
		},
		"scope deleted": {"mapped again", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.idp.DeleteScope(c.Status.AudienceScope)
		}, event, "audience", true, nil},
		"mapper removed": {"tokens name the API again", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.idp.EditScope(c.Status.AudienceScope, map[string]any{"protocolMappers": []map[string]any{}})
		}, event, "audience", false, nil},
		"scope's attributes changed": {"the intent is among them", func(w *world, c *v1alpha1.IntrospectionClient) {
			attributes, _ := w.idp.Scope(c.Status.AudienceScope)["attributes"].(map[string]any)
			maps.Copy(attributes, map[string]any{"introspection.dev/token-clients": "mobile", "include.in.token.scope": "true"})
			w.idp.EditScope(c.Status.AudienceScope, map[string]any{"attributes": attributes})
		}, event, "audience", false, nil},
		"scope detached": {"attached again", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.idp.Detach(tokenClient, c.Status.AudienceScope)
		}, event, "audience", false, nil},
	}
}

// inTheCluster are changes of our Secrets.
func inTheCluster() map[string]spoiled {
	mounted := func(change func(s *corev1.Secret)) func(*world, *v1alpha1.IntrospectionClient) {
		return func(w *world, _ *v1alpha1.IntrospectionClient) {
			s := w.secret(w.tenant, "orders")
			change(s)
			w.update(s)
		}
	}
	const event = "SecretWritten"
	return map[string]spoiled{
		"mounted Secret deleted": {"the workload's secret is in the record", func(w *world, _ *v1alpha1.IntrospectionClient) {
			w.deleteSecret(w.tenant, "orders")
		}, event, "secret", false, nil},
		"mounted Secret edited":    {"its values are ours", mounted(func(s *corev1.Secret) { s.Data["client_secret"] = []byte("edited") }), event, "secret", false, nil},
		"a key deleted":            {"it is there again", mounted(func(s *corev1.Secret) { delete(s.Data, "client_secret") }), event, "secret", false, nil},
		"a key added":              {"the data is ours whole", mounted(func(s *corev1.Secret) { s.Data["more"] = []byte("more") }), event, "secret", false, nil},
		"its labels stripped":      {"known by its owner reference", mounted(func(s *corev1.Secret) { s.Labels = nil }), event, "secret", false, nil},
		"owner reference stripped": {"as a backup tool does: known by our marks", mounted(func(s *corev1.Secret) { s.OwnerReferences = nil }), event, "secret", false, nil},
		"a foreign label":          {"it stays, and is nothing to tell", mounted(func(s *corev1.Secret) { s.Labels["team"] = "orders" }), "", "", false, nil},
		"webhook's record deleted": {"a projection is made again", func(w *world, c *v1alpha1.IntrospectionClient) {
			w.deleteSecret(w.config.WebhookNamespace, "client-"+w.record(c).Object.Hash())
		}, "DriftRepaired", "projection", false, nil},
		"webhook's record edited": {"a projection is made of the record, and of nothing else", func(w *world, c *v1alpha1.IntrospectionClient) {
			s := w.secret(w.config.WebhookNamespace, "client-"+w.record(c).Object.Hash())
			s.Data = map[string][]byte{"client.json": []byte("{}")}
			w.update(s)
		}, "DriftRepaired", "projection", false, nil},
	}
}

// What somebody changes is put right and told once; the credentials stay what they were, nothing else
// is touched, and the object is Ready at every moment.
func TestDriftIsRepaired(t *testing.T) {
	all := atTheServer()
	maps.Copy(all, inTheCluster())
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			w, c := registered(t)
			before, strangers := w.record(c), w.strangers()
			want, scope := w.idp.Client(c.Status.ClientID), w.idp.Scope(c.Status.AudienceScope)
			maps.Copy(want, tc.foreign)
			seen := w.watched(c)
			tc.spoil(w, c)
			if tc.hinted {
				w.hint(c)
			}
			w.lookedAt(c)
			w.eventually(tc.reason, func(ctx context.Context) error {
				return errors.Join(w.whole(ctx, c, before), w.told(ctx, c, tc.event, tc.what))
			})
			w.lookedAt(c)
			if err := w.told(t.Context(), c, tc.event, tc.what); err != nil {
				t.Errorf("a look later: %v", err)
			}
			seen.then("it is Ready at every moment", current)
			w.untouched(strangers)
			times := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "client.secret.creation.time" })
			if diff := cmp.Diff(want, w.idp.Client(c.Status.ClientID), times); diff != "" {
				t.Errorf("the client (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(scope, w.idp.Scope(c.Status.AudienceScope)); diff != "" {
				t.Errorf("its scope (-before +after):\n%s", diff)
			}
		})
	}
}

// lookedAt has the client looked at, and waits until it was.
func (w *world) lookedAt(c *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	asked := w.asked()
	w.annotate(c, "example.com/looked-at", fmt.Sprint(time.Now().UnixNano()))
	w.eventually("it is looked at", func(context.Context) error {
		if w.asked() == asked {
			return errors.New("nobody asked the server")
		}
		return nil
	})
}

// asked is how many introspections there were.
func (w *world) asked() int { return w.calls(keycloak.Matching(http.MethodPost, "/token/introspect")) }

// told says what is wrong with how a repair was told: by one Event, once, and one count of the metric.
func (w *world) told(ctx context.Context, c client.Object, event, what string) error {
	w.t.Helper()
	counts := map[string]float64{}
	if event != "" {
		counts[what] = 1
	}
	if diff := cmp.Diff(counts, w.repairs()); diff != "" {
		return fmt.Errorf("the metric of repairs (-want +got):\n%s", diff)
	}
	return w.toldOnce(ctx, c, event)
}

// toldOnce says what is wrong with the Events of repairs on an object: one, once, or none.
func (w *world) toldOnce(ctx context.Context, c client.Object, event string) error {
	events := &corev1.EventList{}
	if err := w.kube.List(ctx, events, client.InNamespace(c.GetNamespace())); err != nil {
		return err
	}
	want, repairs := map[string]int32{}, map[string]int32{}
	if event != "" {
		want[event] = 1
	}
	for i := range events.Items {
		e := &events.Items[i]
		if e.InvolvedObject.Name == c.GetName() && slices.Contains([]string{"DriftRepaired", "SecretWritten", "RecordLost"}, e.Reason) {
			repairs[e.Reason] += max(e.Count, 1)
			if e.Series != nil {
				repairs[e.Reason] += e.Series.Count
			}
		}
	}
	if diff := cmp.Diff(want, repairs); diff != "" {
		return fmt.Errorf("the Events of repairs (-want +got):\n%s", diff)
	}
	return nil
}

// repairs are what the metric counts.
func (w *world) repairs() map[string]float64 {
	return w.counts("introspection_controller_drift_repairs_total", "what")
}

// counts are what a counter says, by one of its labels.
func (w *world) counts(name, by string) map[string]float64 {
	w.t.Helper()
	counts := map[string]float64{}
	families, err := prometheus.Gatherer(w.metrics).Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == by {
					counts[label.GetValue()] += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return counts
}

// The webhook's record of a server is made of its object, and of nothing else.
func TestAServersProjectionIsRepaired(t *testing.T) {
	w, _ := registered(t)
	name := "server-" + credential.Object{Name: w.server}.Hash()
	before := w.secret(w.config.WebhookNamespace, name).Data
	seen := w.watched(w.serverObject())
	for what, spoil := range map[string]func(){
		"deleted": func() { w.deleteSecret(w.config.WebhookNamespace, name) },
		"edited": func() {
			s := w.secret(w.config.WebhookNamespace, name)
			s.Data = map[string][]byte{"server.json": []byte("{}")}
			w.update(s)
		},
	} {
		spoil()
		w.eventually(what, func(ctx context.Context) error {
			s := &corev1.Secret{}
			err := w.kube.Get(ctx, client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: name}, s)
			if diff := cmp.Diff(before, s.Data); err == nil && diff != "" {
				err = errors.New(diff)
			}
			return err
		})
	}
	w.condition(w.serverObject(), v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)
	seen.then("it is Ready at every moment", current)
}
