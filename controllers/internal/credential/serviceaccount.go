// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ServiceAccountName is the name of a client's ServiceAccount in the webhook's namespace.
func ServiceAccountName(object Object) string { return "client-" + object.Hash() }

// EnsureServiceAccount makes a client's ServiceAccount, if there is none. It has no
// rights: it is a name that tokens are made for.
func (s *Store) EnsureServiceAccount(ctx context.Context, object Object) error {
	account := s.serviceAccount(object)
	if err := s.Writer.Create(ctx, account); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the ServiceAccount of %s: %w", object, err)
	}
	return nil
}

// DeleteServiceAccount removes a client's ServiceAccount, if there is one.
func (s *Store) DeleteServiceAccount(ctx context.Context, object Object) error {
	if err := s.Writer.Delete(ctx, s.serviceAccount(object)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the ServiceAccount of %s: %w", object, err)
	}
	return nil
}

func (s *Store) serviceAccount(object Object) *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.WebhookNamespace, Name: ServiceAccountName(object),
			Labels:      map[string]string{LabelManagedBy: ManagedBy, LabelKind: KindClient, LabelObject: object.Hash(), LabelInstance: s.instanceHash()},
			Annotations: map[string]string{AnnotationObject: object.String()},
		},
		AutomountServiceAccountToken: &no,
	}
}
