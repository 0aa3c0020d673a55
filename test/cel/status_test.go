// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// condition is a condition of a status.
func condition(kind, status, reason, message string) any {
	return map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": "2026-11-24T12:00:00Z", "observedGeneration": int64(1),
	}
}

// TestStatus: whoever may edit an object can't say what the operator found, and
// a status that is lost reads as not looked at, never as healthy.
func TestStatus(t *testing.T) {
	t.Parallel()
	healthy := map[string]any{"observedGeneration": int64(1), "conditions": []any{condition("Ready", "True", "Ready", "")}}
	other := map[string]edits{
		serverKind: {"spec.clientIDTemplate": "x.{namespace}.{name}"},
		clientKind: {"spec.displayName": "Another"},
		policyKind: {"spec.freshness.maxAge": "1h"},
	}
	for kind := range minimal {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			object := keep(t, edited(t, kind, edits{"status": healthy}))
			if diff := cmp.Diff(value(t, unlooked), object.Object["status"]); diff != "" {
				t.Errorf("created with a status (-want +got):\n%s", diff)
			}
			object.Object["status"] = healthy
			if err := cluster.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value(t, unlooked), object.Object["status"]); diff != "" {
				t.Errorf("updated with a status (-want +got):\n%s", diff)
			}

			spec, generation := object.Object["spec"], object.GetGeneration()
			object.Object["status"], object.Object["spec"] = healthy, edit(t, object, other[kind]).Object["spec"]
			if err := cluster.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{healthy, spec, generation}, []any{object.Object["status"], object.Object["spec"], object.GetGeneration()}); diff != "" {
				t.Errorf("status, spec and generation after a status update (-want +got):\n%s", diff)
			}

			for name, lost := range map[string]any{"empty": map[string]any{}, "null": nil} {
				object.Object["status"] = lost
				if err := cluster.Status().Update(t.Context(), object); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(value(t, unlooked), object.Object["status"]); diff != "" {
					t.Errorf("%s status (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestStatusOfTwoManagers: conditions are merged by type, so that another
// controller's condition on our object survives ours.
func TestStatusOfTwoManagers(t *testing.T) {
	t.Parallel()
	for kind := range minimal {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			object := keep(t, edited(t, kind, nil))
			for manager, c := range map[string]any{"introspection-operator": condition("Ready", "True", "Ready", ""), "other": condition("Seen", "True", "Seen", "")} {
				mine := parse(t, minimal[kind])
				mine.SetName(object.GetName())
				delete(mine.Object, "spec")
				mine.Object["status"] = map[string]any{"conditions": []any{c}}
				if err := cluster.Status().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(mine), client.FieldOwner(manager)); err != nil {
					t.Fatal(err)
				}
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				t.Fatal(err)
			}
			if n := len(object.Object["status"].(map[string]any)["conditions"].([]any)); n != 2 {
				t.Errorf("%d conditions, want the two managers' one each", n)
			}
		})
	}
}
