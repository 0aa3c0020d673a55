// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// A replica whose watch brings nothing any more takes the secrets of rotations all the same, and
// no others.
func TestALateWatchFailsNobody(t *testing.T) {
	w, c := registered(t)
	before := w.record(c)
	read := readClientBy(w.kube, w.kube, w.config.WebhookNamespace, clock.RealClock{})
	ref := token.Ref{Namespace: c.Namespace, Name: c.Name}
	then, err := read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	replica, err := engine.New(engine.Options{
		Clock: time.Now, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), ReadClient: read,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Close)
	replica.Load(engine.State{Clients: []engine.ClientState{then}, TakenAt: time.Now()})
	takes := func(secret string) bool {
		got, ok := replica.Authenticate(t.Context(), ref, before.ClientID, secret)
		return ok && got == ref
	}
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	w.rotated(c, "1")
	after := w.record(c)
	if !takes(after.Facade.Secret.Reveal()) || !takes(before.Facade.Secret.Reveal()) {
		t.Error("both secrets of an overlap are to be taken")
	}
	if takes("a guess") {
		t.Error("a guess is taken")
	}
	now, err := read(t.Context(), ref)
	if err != nil || len(now.FacadeSecrets) != 2 || now.UID != then.UID || now.Server != then.Server || len(now.Credentials) == 0 {
		t.Errorf("read %d secrets and %d credentials of %s at %s, %v", len(now.FacadeSecrets), len(now.Credentials), now.UID, now.Server, err)
	}
	if _, err := read(t.Context(), token.Ref{Namespace: c.Namespace, Name: "nobody"}); err == nil {
		t.Error("a client that does not exist was read")
	}
}

// Who still uses the secret from before a rotation is told while it works, once, and by nobody but
// the webhook.
func TestLateUseIsAnEvent(t *testing.T) {
	w, c := registered(t)
	object := credential.Object{Namespace: c.Namespace, Name: c.Name}
	w.annotate(c, v1alpha1.AnnotationRotate, "1")
	w.rotated(c, "1")
	first, another := w.hints(), w.hints()
	another.clock = laterBy(2 * time.Hour) // its Event is another one, and heard again all the same too soon
	first.say(t.Context(), object, hintPreviousUsed)
	another.say(t.Context(), object, hintPreviousUsed)
	var told []string
	w.eventually("it is told", func(ctx context.Context) error {
		told = nil
		events := &eventsv1.EventList{}
		if err := w.kube.List(ctx, events, client.InNamespace(w.tenant)); err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == hintPreviousUsed {
				told = append(told, e.Note)
			}
		}
		if len(told) == 0 {
			return errors.New("no Event")
		}
		return nil
	})
	if ends := w.record(c).PreviousEnds.Format(time.RFC3339); len(told) != 1 || !strings.Contains(told[0], ends) || !strings.Contains(told[0], "Secret orders") {
		t.Errorf("told %q, want once, with %s", told, ends)
	}
}

// The words that both processes know.
func TestHintsAreTheEngines(t *testing.T) {
	for ours, theirs := range map[string]string{hintRefused: engine.HintCredentialsRefused, hintPreviousUsed: engine.HintPreviousSecretUsed} {
		if _, said := sayings()[theirs]; ours != theirs || !said {
			t.Errorf("the engine says %s, the controller hears %s", theirs, ours)
		}
	}
}

// laterBy is a clock that is ahead.
type laterBy time.Duration

func (l laterBy) Now() time.Time                   { return time.Now().Add(time.Duration(l)) }
func (l laterBy) Since(at time.Time) time.Duration { return l.Now().Sub(at) }
