// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// A server that chooses ids shows nobody what it made. Whatever crashes, a client is never registered twice:
// what nobody knows the end of is told, and is the user's to settle.
func TestKilledAtEachCallOfAnOAuthRegistration(t *testing.T) {
	w := newWorld(t)
	idp, server := w.oauthServer(oauth.Options{NewRegistrationToken: true})
	w.create(server)
	var last *v1alpha1.IntrospectionClient
	ambiguous := 0
	points := w.lives("registration", story{
		between: func(n int) client.Object {
			if last != nil {
				w.settle(idp, last)
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n), scoped)
			return last
		},
		prepare: w.create,
		done: func(ctx context.Context, o client.Object) error {
			err := w.isReady(ctx, o)
			if isAmbiguous(o) {
				return nil
			}
			return err
		},
		check: func(o client.Object) {
			record := w.record(o)
			registered := idp.Registered()
			switch {
			case isAmbiguous(o):
				ambiguous++
				if len(registered) > 1 || record.ClientID != "" {
					t.Errorf("%d registrations, client id %q in the record", len(registered), record.ClientID)
				}
			case len(registered) != 1 || registered[0] != record.ClientID || record.Current == nil || record.Next != nil:
				t.Errorf("registered %q, recorded %q", registered, record.ClientID)
			}
		},
	})
	if points < 7 || ambiguous == 0 || ambiguous > points/2 {
		t.Errorf("killed at %d points, %d of them ambiguous: the harness does not see the calls, or too much is left to users", points, ambiguous)
	}
}

func isAmbiguous(o client.Object) bool {
	for _, c := range conditionsOf(o) {
		if c.Type == v1alpha1.ConditionRegistered && c.Reason == v1alpha1.ReasonRegistrationAmbiguous {
			return true
		}
	}
	return false
}

// settle does what the condition says, and removes the client.
func (w *world) settle(idp *oauth.Server, o *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	if isAmbiguous(o) {
		for _, id := range idp.Registered() {
			idp.Remove(id)
		}
		w.eventually("the annotation is taken", func(ctx context.Context) error {
			if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return err
			}
			if o.Status.RegistrationAttempt == "" && w.isReady(ctx, o) == nil {
				return nil
			}
			o.Annotations = map[string]string{v1alpha1.AnnotationRegisterAgain: o.Status.RegistrationAttempt}
			return errors.Join(w.kube.Update(ctx, o), errors.New(describe(o.Status.Conditions)))
		})
	}
	if err := w.kube.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	w.gone(o)
	if left := idp.Registered(); len(left) > 0 {
		w.t.Errorf("left at the server: %q", left)
	}
}
