// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writes remembers the version of each Secret that we wrote last: a watch tells us
// of our own writes too, and each would cost a look at the authorization server.
type writes struct {
	mu   sync.Mutex
	last map[types.NamespacedName]string
}

func (w *writes) remember(o client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[types.NamespacedName]string{}
	}
	w.last[client.ObjectKeyFromObject(o)] = o.GetResourceVersion()
}

// WroteLast says that an object is as this process wrote it.
func (s *Store) WroteLast(o client.Object) bool {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	return s.written.last[client.ObjectKeyFromObject(o)] == o.GetResourceVersion()
}

// Forget drops what is remembered of an object that is gone.
func (s *Store) Forget(o client.Object) {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	delete(s.written.last, client.ObjectKeyFromObject(o))
}

func (s *Store) create(ctx context.Context, secret *corev1.Secret) error {
	if err := s.Writer.Create(ctx, secret); err != nil {
		return err
	}
	s.written.remember(secret)
	return nil
}

func (s *Store) update(ctx context.Context, secret *corev1.Secret) error {
	if err := s.Writer.Update(ctx, secret); err != nil {
		return err
	}
	s.written.remember(secret)
	return nil
}
