// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// Every Event of the operator is made here: none holds a secret or a token.

func eventRegistered(r events.EventRecorder, object runtime.Object, clientID string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "Registered", "Register", "Registered at the server as %s.", clientID)
}

func eventAdopted(r events.EventRecorder, object runtime.Object, clientID string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "Adopted", "Adopt", "Took over client %s, which nobody owned; it is given back when this object goes.", clientID)
}

func eventDriftRepaired(r events.EventRecorder, object runtime.Object, what string) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "DriftRepaired", "Repair", "%s", upperFirst(what))
}

func eventSecretWritten(r events.EventRecorder, object runtime.Object, name string) {
	r.Eventf(object, nil, corev1.EventTypeNormal, "SecretWritten", "Publish", "Secret %s was not as it should be, and was written.", name)
}

func eventRecordLost(r events.EventRecorder, object runtime.Object, clientID string, newRegistration bool) {
	if newRegistration {
		r.Eventf(object, nil, corev1.EventTypeWarning, "RecordLost", "Repair", "The operator's record of this client was gone, and with it the access to its registration %s: it is registered anew. Delete %s at the server.", clientID, clientID)
		return
	}
	r.Eventf(object, nil, corev1.EventTypeWarning, "RecordLost", "Repair", "The operator's record of this client was gone; it was made anew, with another credential at the server.")
}

func eventHinted(r events.EventRecorder, object runtime.Object) {
	r.Eventf(object, nil, corev1.EventTypeWarning, "CredentialsRefused", "Look", "The webhook says that the server refused this client's credentials; looking at the server.")
}
