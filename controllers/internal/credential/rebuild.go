// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// MountedSecretValue reads back the secret from a mounted Secret that is the
// object's, for a record that was lost; empty if there is none.
func (s *Store) MountedSecretValue(ctx context.Context, object Object, uid types.UID, name, key string) (provider.Secret, error) {
	if key == "" {
		key = KeyClientSecret
	}
	found, err := s.read(ctx, object.Namespace, name)
	if found == nil || !s.owns(found, object, uid) {
		return "", err
	}
	return provider.Secret(found.Data[key]), nil
}
