// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// snapshotPause gathers what changes together into one snapshot.
const snapshotPause = 20 * time.Millisecond

// Hints writes what the webhook learned and the controller needs, as Events in
// the webhook's own namespace. The function is fit for engine.Options.Hints.
func Hints(mgr manager.Manager, namespace, pod string, now clock.PassiveClock) (engine.HintFunc, error) {
	kube, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for Events: %w", err)
	}
	w := &hintWriter{
		events: kube.EventsV1().Events(namespace), namespace: namespace, instance: pod,
		clock: now, log: mgr.GetLogger().WithName("hints"),
	}
	return func(ctx context.Context, ref token.Ref, reason string) {
		w.say(ctx, credential.Object{Namespace: ref.Namespace, Name: ref.Name}, reason)
	}, nil
}

// ReadClient reads the webhook's record of a client live, for an engine whose snapshot may
// lag behind a rotation. The function is fit for engine.Options.ReadClient.
func ReadClient(mgr manager.Manager, namespace string, now clock.PassiveClock) engine.ReadClientFunc {
	return readClientBy(mgr.GetAPIReader(), mgr.GetClient(), namespace, now)
}

func readClientBy(live client.Reader, cached client.Client, namespace string, now clock.PassiveClock) engine.ReadClientFunc {
	r := &snapshotReconciler{namespace: namespace, mint: newMint(cached, now)}
	return func(ctx context.Context, ref token.Ref) (state engine.ClientState, err error) {
		defer contain(&err)
		object := credential.Object{Namespace: ref.Namespace, Name: ref.Name}
		secret := &corev1.Secret{}
		if err := live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: credential.KindClient + "-" + object.Hash()}, secret); err != nil {
			return engine.ClientState{}, fmt.Errorf("reading the webhook's record of a client: %w", err)
		}
		c, err := credential.DecodeWebhookClient(secret.Data)
		if err != nil {
			return engine.ClientState{}, err
		}
		server := &corev1.Secret{}
		name := credential.KindServer + "-" + credential.Object{Name: c.Server}.Hash()
		if err := cached.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, server); err != nil {
			return engine.ClientState{}, fmt.Errorf("reading the webhook's record of a server: %w", err)
		}
		s, err := credential.DecodeWebhookServer(server.Data)
		if err != nil || secret.Labels[credential.LabelKind] != credential.KindClient || c.Object != object {
			return engine.ClientState{}, errors.Join(err, errors.New("it is no record of that client"))
		}
		return r.clientState(c, serverState(s))
	}
}

// SetupSnapshot registers the controller that feeds an engine, in the webhook's
// process. It returns the source of the serving certificate.
func SetupSnapshot(mgr manager.Manager, namespace string, e *engine.Engine, now clock.PassiveClock) (func() (*tls.Certificate, error), error) {
	r := &snapshotReconciler{
		Reader: mgr.GetClient(), namespace: namespace, mint: newMint(mgr.GetClient(), now), engine: e, clock: now,
		loaded: make(chan struct{}, 1),
	}
	confirm := &confirmer{reader: mgr.GetAPIReader(), clock: now, log: mgr.GetLogger().WithName("confirm"), confirm: e.Confirm}
	for _, run := range []manager.RunnableFunc{r.prepare, confirm.run} {
		if err := mgr.Add(run); err != nil {
			return nil, fmt.Errorf("registering what keeps the snapshot: %w", err)
		}
	}
	wake := func(q queue) { q.AddAfter(request("", "snapshot"), snapshotPause) }
	always := handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { wake(q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				wake(q)
			}
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { wake(q) },
	}
	err := builder.ControllerManagedBy(mgr).Named("snapshot").
		Watches(&v1alpha1.TokenPolicy{}, always, builder.WithPredicates(declared())).
		Watches(&corev1.Secret{}, always).
		WatchesRawSource(once("snapshot")).
		WithOptions(options(1)).
		Complete(r)
	if err != nil {
		return nil, fmt.Errorf("registering the snapshot's controller: %w", err)
	}
	return r.Certificate, nil
}

// KubeSystemUID is the default of Config.Instance: a cluster's own identity.
func KubeSystemUID(ctx context.Context, reader client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := reader.Get(ctx, types.NamespacedName{Name: "kube-system"}, namespace); err != nil {
		return "", fmt.Errorf("reading namespace kube-system for the instance's name: %w", err)
	}
	return string(namespace.UID), nil
}
