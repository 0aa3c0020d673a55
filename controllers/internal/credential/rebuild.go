// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// MountedCaller reads back what a workload calls itself and shows, from a mounted Secret
// that is the object's, for a record that was lost; empty if there is none.
func (s *Store) MountedCaller(ctx context.Context, object Object, uid types.UID, name string, keys Keys) (id string, secret provider.Secret, err error) {
	found, err := s.read(ctx, object.Namespace, name)
	if found == nil || !s.owns(found, object, uid) {
		return "", "", err
	}
	id = string(found.Data[cmp.Or(keys.ClientID, KeyClientID)])
	if len(id) > maxBroughtID || !isText(id) {
		id = "" // a tenant wrote it
	}
	return id, provider.Secret(found.Data[cmp.Or(keys.ClientSecret, KeyClientSecret)]), nil
}
