// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// Hints are Events in the webhook's own namespace, where no tenant can forge
// them, about a client: the webhook says what it learned, the controller looks.
const (
	hintReporter = "introspection.dev/webhook"
	// The reasons, as the webhook's engine names them.
	hintRefused      = "CredentialsRefused"
	hintPreviousUsed = "PreviousSecretUsed"
	// hintTimeout bounds the writing of one.
	hintTimeout = 5 * time.Second
)

// saying is how one kind of hint is said.
type saying struct {
	// pause is how often it is said of a client, by all replicas together, and heard.
	pause time.Duration
	note  string
}

// sayings are the hints there are, by their reasons.
func sayings() map[string]saying {
	return map[string]saying{
		hintRefused:      {time.Minute, "The authorization server refused the credentials of this client."},
		hintPreviousUsed: {time.Hour, "A workload shows the secret of this client from before the last rotation."},
	}
}

// hintWriter says hints, in the webhook's process.
type hintWriter struct {
	events    eventsclient.EventInterface
	namespace string
	instance  string // the pod's name
	clock     clock.PassiveClock
	log       logr.Logger
}

// say writes a hint about a client. The Event's name is the client, the reason and the time,
// so that replicas say it once.
func (h *hintWriter) say(ctx context.Context, object credential.Object, reason string) {
	said, ok := sayings()[reason]
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hintTimeout)
	defer cancel()
	now := h.clock.Now()
	_, err := h.events.Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: h.namespace,
			Name:      fmt.Sprintf("hint-%s-%s-%d", object.Hash(), strings.ToLower(reason), now.Unix()/int64(said.pause/time.Second)),
		},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: hintReporter,
		ReportingInstance:   h.instance,
		Action:              "Introspect",
		Reason:              reason,
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "IntrospectionClient",
			Namespace: object.Namespace, Name: object.Name,
		},
		Note: said.note,
		Type: corev1.EventTypeWarning,
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		h.log.Error(err, "writing a hint", "client", object.String()) // only a hint: the drift interval is the safety
	}
}

// hintWatcher hears hints, in the controller's process.
type hintWatcher struct {
	events eventsclient.EventInterface
	heard  func(ctx context.Context, client types.NamespacedName, reason string)
	clock  clock.PassiveClock
	log    logr.Logger

	mu   sync.Mutex
	last map[heardHint]time.Time
}

// heardHint is what was heard of whom.
type heardHint struct {
	client types.NamespacedName
	reason string
}

// Start watches until the context ends. Nothing is stored, and what was said
// before it began is not news.
func (h *hintWatcher) Start(ctx context.Context) error {
	version := ""
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		var err error
		if version, err = h.watch(ctx, version); err != nil && ctx.Err() == nil {
			h.log.Error(err, "watching hints")
		}
	}, time.Second)
	return nil
}

// watch goes on from a version, or from now; it returns the version to go on from.
func (h *hintWatcher) watch(ctx context.Context, version string) (string, error) {
	if version == "" {
		list, err := h.events.List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return "", fmt.Errorf("asking for the version to watch from: %w", err)
		}
		version = list.ResourceVersion
	}
	w, err := h.events.Watch(ctx, metav1.ListOptions{
		ResourceVersion: version,
		FieldSelector:   fields.Set{"reportingController": hintReporter}.String(),
		TimeoutSeconds:  new(int64(600)),
	})
	if err != nil {
		return "", fmt.Errorf("opening a watch: %w", err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			return "", fmt.Errorf("watching: %w", apierrors.FromObject(e.Object)) // the version is too old by now
		}
		said, ok := e.Object.(*eventsv1.Event)
		if !ok {
			continue
		}
		version = said.ResourceVersion
		if e.Type == watch.Added { // its end, by age, is no news
			h.hear(ctx, heardHint{types.NamespacedName{Namespace: said.Regarding.Namespace, Name: said.Regarding.Name}, said.Reason})
		}
	}
	return version, nil
}

func (h *hintWatcher) hear(ctx context.Context, hint heardHint) {
	all := sayings()
	if _, known := all[hint.reason]; !known {
		return
	}
	now := h.clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for other, at := range h.last {
		if now.Sub(at) >= all[other.reason].pause {
			delete(h.last, other)
		}
	}
	if _, recent := h.last[hint]; recent {
		return
	}
	h.last[hint] = now
	h.heard(ctx, hint.client, hint.reason)
}
