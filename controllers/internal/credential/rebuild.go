// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// MountedSecretValue reads back the secret from a mounted Secret that is the
// object's, for a record that was lost; empty if there is none.
func (s *Store) MountedSecretValue(ctx context.Context, object Object, uid types.UID, name, key string) (provider.Secret, error) {
	if key == "" {
		key = "client_secret"
	}
	found := &corev1.Secret{}
	err := s.Reader.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading Secret %s: %w", name, err)
	}
	if !s.owns(found, object, uid) {
		return "", nil
	}
	return provider.Secret(found.Data[key]), nil
}
