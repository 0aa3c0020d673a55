// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// Every Event of the operator is made here: none holds a secret or a token. When it is made and, after
// "Do:", what its reader has to do: docs/reference/conditions.md is made of these comments.

// eventRegistered: a client was registered at the server.
// Do: nothing.
func eventRegistered(r events.EventRecorder, object runtime.Object, clientID string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "Registered", "Register", "Registered at the server as %s.", clientID)
}

// eventAdopted: a client that nobody owned was taken over.
// Do: nothing, if that was meant; else delete the object, which gives it back.
func eventAdopted(r events.EventRecorder, object runtime.Object, clientID string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "Adopted", "Adopt", "Took over client %s, which nobody owned; it is given back when this object goes.", clientID)
}

// eventDriftRepaired: somebody changed what the operator had registered, and it was put right.
// Do: find who changes it, if it goes on: a script, or a second operator with the same --instance.
func eventDriftRepaired(r events.EventRecorder, object runtime.Object, what string) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "DriftRepaired", "Repair", "%s", upperFirst(what))
}

// eventSecretWritten: the mounted Secret was changed or deleted by somebody, and was written again.
// Do: find who changes it, if it goes on.
func eventSecretWritten(r events.EventRecorder, object runtime.Object, name string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "SecretWritten", "Publish", "Secret %s was not as it should be, and was written.", name)
}

// eventRecordLost: the operator's own Secret of this client was deleted.
// Do: delete at the server the client that the message names, if it names one; workloads with endpoint Server read their Secret again.
func eventRecordLost(r events.EventRecorder, object runtime.Object, clientID string, newRegistration bool) {
	if newRegistration {
		r.Eventf(object, nil, corev1.EventTypeWarning, "RecordLost", "Repair", "The operator's record of this client was gone, and with it the access to its registration %s: it is registered anew. Delete %s at the server.", clientID, clientID)
		return
	}
	r.Eventf(object, nil, corev1.EventTypeWarning, "RecordLost", "Repair", "The operator's record of this client was gone; it was made anew, with another credential at the server.")
}

// eventRecordRestored: the record is one that came out of a backup.
// Do: nothing.
func eventRecordRestored(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "RecordRestored", "Repair", "The operator's record of this client came out of a backup: it goes on. Where workloads mount a later secret than it knows, that one stays, and the credential at the server is replaced.")
}

// eventTakenUp: a registration of this operator's was there without a record, and goes on.
// Do: nothing.
func eventTakenUp(r events.EventRecorder, object runtime.Object, clientID string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "TakenUp", "Register", "Client %s at the server was registered by this operator for an object of this name: it goes on, with another credential.", clientID)
}

// eventContinued: a record of an earlier object of this name was there, and goes on.
// Do: nothing.
func eventContinued(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "Continued", "Register", "An object of this name was here before: its registration and its credentials go on.")
}

// eventDeletionHeldUp: a deletion can't be done yet, and why.
// Do: what the message says; the finalizer comes off by itself then.
func eventDeletionHeldUp(r events.EventRecorder, object runtime.Object, why *halt) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "DeletionHeldUp", "Delete", "The deletion waits (%s): %s", why.reason, why.message)
}

// eventRotationBegins: a rotation began, and why.
// Do: nothing.
func eventRotationBegins(r events.EventRecorder, object runtime.Object, why string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "RotationStarted", "Rotate", "The credentials are rotated: %s.", why)
}

// eventRotated: the mounted Secret holds the new credential.
// Do: nothing; workloads that read it once at their start want a restart before the time in the message.
func eventRotated(r events.EventRecorder, object runtime.Object, secret string, ends time.Time, overlaps bool) {
	if !overlaps {
		r.Eventf(object, nil, corev1.EventTypeNormal, "Rotated", "Rotate", "Secret %s holds the new credential; the one before it works no more.", secret)
		return
	}
	r.Eventf(object, nil, corev1.EventTypeNormal, "Rotated", "Rotate", "Secret %s holds the new credential; the one before it works until %s.", secret, ends.UTC().Format(time.RFC3339))
}

// eventRotationKept: a rotation was asked for, and the server keeps its secret.
// Do: endpoint Webhook, where workloads have a secret of their own.
func eventRotationKept(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "NotRotated", "Rotate", "The server chooses secrets itself and keeps the one that it has, whatever is asked: nothing was rotated. Behind endpoint Webhook workloads have a secret of their own, which is rotated on any server.")
}

// eventRotationWindow: a rotation with endpoint Server at a server that takes one credential at a time.
// Do: restart workloads that did not read the Secret again.
func eventRotationWindow(r events.EventRecorder, object runtime.Object, window time.Duration) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "OverlapUnavailable", "Rotate", "The server takes one credential at a time: for %s at most the old one was refused and the new one not published. Workloads fail until they have read the Secret again.", window.Round(time.Millisecond))
}

// eventRetired: the credential from before the last rotation works no more.
// Do: nothing.
func eventRetired(r events.EventRecorder, object runtime.Object, revoked bool) {
	if revoked {
		r.Eventf(object, nil, corev1.EventTypeNormal, "PreviousRevoked", "Retire", "The credential from before the last rotation was ended, as the annotation %s asks.", v1alpha1.AnnotationRevokePrevious)
		return
	}
	r.Eventf(object, nil, corev1.EventTypeNormal, "PreviousRetired", "Retire", "The overlap is over: the credential from before the last rotation works no more.")
}

// eventAccessWithdrawn: the namespace lost access to the server, and its registration was taken out of use.
// Do: label the namespace again, or widen access, if that was not meant.
func eventAccessWithdrawn(r events.EventRecorder, object runtime.Object, clientID, did string) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "AccessWithdrawn", "Withhold", "The namespace may not use the server any more: client %s was %s there.", clientID, did)
}

// eventAccessBack: the namespace has access again, and its registration works again.
// Do: nothing.
func eventAccessBack(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "AccessRestored", "Release", "The namespace may use the server again: its registration is in use again.")
}

// eventDriftLeft: something differs from what is declared, and spec.management is Observe.
// Do: put it right at the server, or set spec.management to Full.
func eventDriftLeft(r events.EventRecorder, object runtime.Object, what string) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "DriftFound", "Look", "%s", upperFirst(what))
}

// eventPreviousUsed: a workload still shows the secret from before the last rotation.
// Do: restart it, or have it read the Secret again, before the time in the message.
func eventPreviousUsed(r events.EventRecorder, object runtime.Object, ends time.Time, secret string) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "PreviousSecretUsed", "Rotate", "A workload still shows the secret from before the last rotation, which works until %s and no longer. Have it read Secret %s again: restart it, if it reads it once at its start.", ends.UTC().Format(time.RFC3339), secret)
}

// eventHinted: the server refused this client's credentials when the webhook used them.
// Do: nothing: the controller looks at once and repairs it, or the conditions say why it can't.
func eventHinted(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "CredentialsRefused", "Look", "The webhook says that the server refused this client's credentials; looking at the server.")
}

// eventObjectMissing: an object is gone, and its finalizer did not do its work.
// Do: create the object again if it was deleted by mistake.
func eventObjectMissing(r events.EventRecorder, left runtime.Object, object string, until time.Time) {
	r.Eventf(left, nil, corev1.EventTypeWarning, "ObjectMissing", "Sweep", "IntrospectionClient %s is gone, and nothing was cleaned up after it. If it is not back by %s, its registration and its Secrets are deleted.", object, until.UTC().Format(time.RFC3339))
}

// eventSweepHeldUp: what is left of an object that is gone can't be cleaned up yet, and why.
// Do: what the message says.
func eventSweepHeldUp(r events.EventRecorder, left runtime.Object, object string, why *halt) {
	r.Eventf(left, nil, corev1.EventTypeWarning, "SweepHeldUp", "Sweep", "IntrospectionClient %s is gone, and can't be cleaned up after (%s): %s", object, why.reason, why.message)
}

// eventSwept: what was left of an object that was gone was cleaned up.
// Do: nothing.
func eventSwept(r events.EventRecorder, left runtime.Object, object, clientID string, retained bool) {
	if retained {
		r.Eventf(left, nil, corev1.EventTypeNormal, "Swept", "Sweep", "IntrospectionClient %s is gone; its Secrets were cleaned up, and client %s stays at the server.", object, clientID)
		return
	}
	r.Eventf(left, nil, corev1.EventTypeNormal, "Swept", "Sweep", "IntrospectionClient %s is gone; client %s was deleted at the server, and what was made for it.", object, clientID)
}
