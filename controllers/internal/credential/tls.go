// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	secret, err := s.read(ctx, namespace, name)
	if secret == nil && err == nil {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS}
	}
	return secret, err
}

// SaveTLS writes a Secret of certificates at the version it was read at.
func (s *Store) SaveTLS(ctx context.Context, secret *corev1.Secret) error {
	s.mark(secret, KindTLS, Object{Namespace: secret.Namespace, Name: secret.Name})
	if secret.ResourceVersion == "" {
		if err := s.create(ctx, secret, contentSum{}); err != nil {
			return fmt.Errorf("creating Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		return nil
	}
	if err := s.update(ctx, secret, contentSum{}); err != nil {
		return fmt.Errorf("updating Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
