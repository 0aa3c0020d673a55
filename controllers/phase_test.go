// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// An error says who must act; the loop alone makes conditions and a result of it.
func TestVerdicts(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("no"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		reason      string
		err         error
		value       metav1.ConditionStatus
		stalled     bool
		reconciling bool
		after       bool // comes back by itself
		backoff     bool // comes back by the growing pause
	}{
		"nothing":      {"all is well: Ready, and neither of the others", nil, metav1.ConditionTrue, false, false, true, false},
		"user":         {"somebody must act: Stalled, and looked at again in case they did where no watch sees it", userMustAct("R", "m"), metav1.ConditionFalse, true, false, true, false},
		"world":        {"the world must change: waits", worldMustChange(time.Minute, "R", "m"), metav1.ConditionFalse, false, true, true, false},
		"others first": {"nothing was learned about it", othersFirst(time.Minute, "R", "m"), metav1.ConditionUnknown, false, true, true, false},
		"trouble":      {"tried again with a growing pause", tryAgain("R", errors.New("x"), "m"), metav1.ConditionUnknown, false, true, false, true},
		"unforeseen":   {"what nobody foresaw is trouble", errors.New("x"), metav1.ConditionUnknown, false, true, false, true},
		"conflict":     {"somebody wrote meanwhile: news, not trouble", apierrors.NewConflict(schema.GroupResource{}, "x", nil), metav1.ConditionFalse, false, true, true, false},
		"going away":   {"a terminating namespace is waited for", terminating, metav1.ConditionFalse, false, true, true, false},
		"wrapped":      {"found through wrapping", errors.Join(errors.New("y"), userMustAct("R", "m")), metav1.ConditionFalse, true, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			conditions := []metav1.Condition{
				{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue}, {Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue},
			}
			s := status{conditions: &conditions, generation: 7}
			result, err := s.run(t.Context(), time.Hour,
				phase{"A", func(context.Context) (outcome, error) { return outcome{"Done", "done"}, tc.err }},
				phase{"B", func(context.Context) (outcome, error) { return outcome{"Done", "done"}, nil }},
			)
			a, b := apimeta.FindStatusCondition(conditions, "A"), apimeta.FindStatusCondition(conditions, "B")
			if a.Status != tc.value || a.ObservedGeneration != 7 {
				t.Errorf("%s: A is %s of generation %d", tc.reason, a.Status, a.ObservedGeneration)
			}
			if (b.Status == metav1.ConditionTrue) != (tc.err == nil) {
				t.Errorf("%s: B, after it, is %s", tc.reason, b.Status)
			}
			if ready := apimeta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady); ready != (tc.err == nil) {
				t.Errorf("%s: Ready is %t", tc.reason, ready)
			}
			stalled := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionStalled) != nil
			reconciling := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling) != nil
			if stalled != tc.stalled || reconciling != tc.reconciling {
				t.Errorf("%s: Stalled is there: %t, Reconciling: %t", tc.reason, stalled, reconciling)
			}
			if (result.RequeueAfter > 0) != tc.after || (err != nil) != tc.backoff {
				t.Errorf("%s: comes back after %s, error %v", tc.reason, result.RequeueAfter, err)
			}
		})
	}
}
