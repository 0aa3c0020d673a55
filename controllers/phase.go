// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// phase is one step of a reconciliation. It opens with guards, changes its scope
// and the status in memory, and reports on exactly one condition.
type phase struct {
	condition string
	run       func(ctx context.Context) (outcome, error)
}

// aside says that a phase is about something beside what is declared, which goes on as it
// is: its condition is True while it is under way, and it does not gate Ready, unless the
// user must act.
func (p phase) aside() bool { return p.condition == v1alpha1.ConditionRotating }

// outcome is what a phase has to say when it went well.
type outcome struct{ reason, message string }

// verdict says who must act before a phase can go on.
type verdict int

const (
	// retry: nobody; it is tried again with a growing pause. The zero value, for what nobody foresaw.
	retry verdict = iota
	// later: the world; looked at again after a while.
	later
	// act: the user; Stalled.
	act
	// leave: nobody, and nothing is done: the object asks to be left as it is.
	leave
)

// halt ends a reconciliation at a phase.
type halt struct {
	verdict         verdict
	reason, message string
	after           time.Duration
	err             error
	// unlearned says that nothing was learned about the condition.
	unlearned bool
	// ready is what an object that is left as it is was found to be.
	ready bool
}

func (h *halt) Error() string {
	if h.err != nil && !strings.Contains(h.message, h.err.Error()) {
		return h.message + ": " + h.err.Error()
	}
	return h.message
}

func (h *halt) Unwrap() error { return h.err }

// userMustAct ends a reconciliation until somebody changes something.
func userMustAct(reason, format string, args ...any) error {
	return &halt{verdict: act, reason: reason, message: fmt.Sprintf(format, args...)}
}

// worldMustChange ends a reconciliation for a while.
func worldMustChange(after time.Duration, reason, format string, args ...any) error {
	return &halt{verdict: later, reason: reason, message: fmt.Sprintf(format, args...), after: after}
}

// othersFirst ends a reconciliation for a while, with nothing learned: something
// that it needs is not there yet.
func othersFirst(after time.Duration, reason, format string, args ...any) error {
	return &halt{verdict: later, reason: reason, message: fmt.Sprintf(format, args...), after: after, unlearned: true}
}

// tryAgain ends a reconciliation; the next comes after a growing pause.
func tryAgain(reason string, err error, format string, args ...any) error {
	return &halt{verdict: retry, reason: reason, message: fmt.Sprintf(format, args...), err: err}
}

// leftAlone ends a reconciliation of an object that asks for nothing to be done. An object that
// is not Ready then is Stalled: it does not become so by itself.
func leftAlone(ready bool, after time.Duration, reason, format string, args ...any) error {
	return &halt{verdict: leave, reason: reason, message: fmt.Sprintf(format, args...), after: after, ready: ready}
}

// stalledPause is when a stalled object is looked at again: what stalls it may
// have been mended where no watch sees it.
const stalledPause = 2 * time.Minute

// status is what a reconciliation writes into: an object's conditions.
type status struct {
	conditions *[]metav1.Condition
	generation int64
}

func (s status) set(conditionType string, value metav1.ConditionStatus, reason, message string) {
	apimeta.SetStatusCondition(s.conditions, metav1.Condition{
		Type: conditionType, Status: value, Reason: reason, Message: message, ObservedGeneration: s.generation,
	})
}

// run goes through the phases in order and translates the first error: into the
// phase's condition, into Ready, Reconciling and Stalled (kstatus), and into when
// to come back. It is the only place that does.
func (s status) run(ctx context.Context, interval time.Duration, phases ...phase) (ctrl.Result, error) {
	result := ctrl.Result{RequeueAfter: jitter(interval)}
	var pending error
	for i, p := range phases {
		done, err := p.run(ctx)
		if err == nil {
			if done.reason != "" {
				s.set(p.condition, metav1.ConditionTrue, done.reason, done.message)
			}
			continue
		}
		if h := haltOf(err); p.aside() && h.verdict != act {
			s.set(p.condition, metav1.ConditionTrue, h.reason, h.message)
			if h.verdict == later {
				result.RequeueAfter = min(result.RequeueAfter, jitter(h.after))
			} else {
				pending = err
			}
			continue
		}
		for _, next := range phases[i+1:] {
			if next.condition != p.condition && apimeta.FindStatusCondition(*s.conditions, next.condition) == nil {
				s.set(next.condition, metav1.ConditionUnknown, v1alpha1.ReasonPending, "Waits for "+p.condition+".")
			}
		}
		return s.halted(p.condition, err)
	}
	s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "All is as declared.")
	apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionReconciling)
	apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionStalled)
	if pending != nil { // with its own pause
		return ctrl.Result{}, pending
	}
	return result, nil
}

func (s status) halted(condition string, err error) (ctrl.Result, error) {
	h := haltOf(err)
	if h.verdict == leave {
		return s.left(h)
	}
	value := metav1.ConditionFalse
	if h.verdict == retry || h.unlearned {
		value = metav1.ConditionUnknown
	}
	s.set(condition, value, h.reason, h.message)
	s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, h.reason, h.message)
	if h.verdict == act {
		apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionReconciling)
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, h.reason, h.message)
		return ctrl.Result{RequeueAfter: jitter(cmp.Or(h.after, stalledPause))}, nil
	}
	apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionStalled)
	s.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, h.reason, h.message)
	if h.verdict == later {
		return ctrl.Result{RequeueAfter: jitter(h.after)}, nil
	}
	return ctrl.Result{}, err
}

func (s status) left(h *halt) (ctrl.Result, error) {
	apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionReconciling)
	if h.ready {
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, h.reason, h.message)
		apimeta.RemoveStatusCondition(s.conditions, v1alpha1.ConditionStalled)
	} else {
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, h.reason, h.message)
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, h.reason, h.message)
	}
	return ctrl.Result{RequeueAfter: jitter(h.after)}, nil
}

// haltOf makes a halt of any error. A conflict is news, not trouble: somebody
// wrote in between, and the plan is dropped.
func haltOf(err error) *halt {
	var h *halt
	switch {
	case errors.As(err, &h):
		return h
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return &halt{verdict: later, reason: v1alpha1.ReasonProgressing, message: "Something changed meanwhile; looking again.", after: time.Second, err: err}
	case apierrors.HasStatusCause(err, "NamespaceTerminating"):
		return &halt{verdict: later, reason: v1alpha1.ReasonNamespaceTerminating, message: "The namespace is being deleted; nothing is created in it.", after: time.Minute, err: err}
	default:
		return &halt{reason: v1alpha1.ReasonInternalError, message: "A call did not work; it is tried again: " + err.Error(), err: err}
	}
}

// jitter spreads what would come back at once: ±10 %.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // spreading load needs no secrecy
}
