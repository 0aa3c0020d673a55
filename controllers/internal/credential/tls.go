// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names of the Secrets of our certificates.
const (
	// AuthorityName is the authority's, in the operator's namespace: nobody else reads its key.
	AuthorityName = "webhook-ca"
	// ServingName is the serving certificate's, in the webhook's namespace.
	ServingName = "webhook-tls"
)

// LoadTLS reads a Secret of certificates; a new one, not stored yet, if there is none.
func (s *Store) LoadTLS(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

// SaveTLS writes a Secret of certificates at the version it was read at.
func (s *Store) SaveTLS(ctx context.Context, secret *corev1.Secret) error {
	s.mark(secret, KindTLS, Object{Namespace: secret.Namespace, Name: secret.Name})
	if secret.ResourceVersion == "" {
		if err := s.create(ctx, secret); err != nil {
			return fmt.Errorf("creating Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		return nil
	}
	if err := s.update(ctx, secret); err != nil {
		return fmt.Errorf("updating Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
