// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Finalizer holds an object until the operator has cleaned up after it.
const Finalizer = "introspection.dev/finalizer"

// AnnotationRegisterAgain on an IntrospectionClient, with the value of status.registrationAttempt, registers
// it once more after a registration whose outcome nobody knows.
const AnnotationRegisterAgain = "introspection.dev/register-again"

// Annotations of an IntrospectionClient that act once for each new value.
const (
	// AnnotationRotate replaces the credentials now.
	AnnotationRotate = "introspection.dev/rotate"
	// AnnotationRevokePrevious ends the overlap of the last rotation now.
	AnnotationRevokePrevious = "introspection.dev/revoke-previous"
)
