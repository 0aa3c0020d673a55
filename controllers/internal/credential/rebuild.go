// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"context"
	"time"

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

// Restored says that the record came out of a backup: the Secret that it was written into is not
// the one that it was read from.
func (r *StoredRecord) Restored() bool {
	return r.secret != nil && r.StoredAs != "" && r.StoredAs != string(r.secret.UID)
}

// TakeUp makes a record that came out of a backup this cluster's. What was under way then is over:
// of a rotation nobody knows how far it came, and what was before it may be gone at the server.
func (r *StoredRecord) TakeUp() {
	r.StoredAs = string(r.secret.UID)
	if r.Current != nil {
		r.Next = nil
	}
	r.Abandon()
	r.Previous, r.EndTold = nil, true
}

// Outdated says that the record is older than what workloads mount. What it holds may have been
// retired since, or revoked, and must not come to life again: what is mounted goes on, if it is a
// secret of our endpoint, and next takes the place of the server's credential.
func (r *StoredRecord) Outdated(mounted *Value, next *Value) {
	if mounted != nil {
		r.Facade, r.PreviousFacade, r.PreviousEnds = *mounted, nil, time.Time{}
	}
	if next != nil {
		r.Current, r.Next = nil, next
	}
}
