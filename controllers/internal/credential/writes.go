// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writes remembers each Secret as we wrote it last, or saw it to be right. A watch tells us of our
// own writes too, and each would cost a look at the authorization server; and what did not change
// need not be read.
type writes struct {
	mu       sync.Mutex
	last     map[types.NamespacedName]seen
	underWay map[types.NamespacedName]chan struct{} // closed when the write is done
}

// seen is a Secret at one version.
type seen struct {
	version string
	sum     contentSum
}

// contentSum stands for what a Secret should hold. The zero value stands for nothing.
type contentSum [sha256.Size]byte

func sumOf(content any) contentSum {
	encoded, err := json.Marshal(content)
	if err != nil {
		return contentSum{}
	}
	return sha256.Sum256(encoded)
}

func (w *writes) remember(o client.Object, sum contentSum) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[types.NamespacedName]seen{}
	}
	w.last[client.ObjectKeyFromObject(o)] = seen{o.GetResourceVersion(), sum}
}

// begin says that a write is under way, until done is called.
func (w *writes) begin(o client.Object) (done func()) {
	key, over := client.ObjectKeyFromObject(o), make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.underWay == nil {
		w.underWay = map[types.NamespacedName]chan struct{}{}
	}
	w.underWay[key] = over
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.underWay[key] == over {
			delete(w.underWay, key)
		}
		close(over)
	}
}

// WroteLast says that an object is as this process wrote it, or saw it to be right.
func (s *Store) WroteLast(o client.Object) bool {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	return s.written.last[client.ObjectKeyFromObject(o)].version == o.GetResourceVersion()
}

// byOthers says that an object is not as this process knew it. Of one that it never saw nobody can say.
func (w *writes) byOthers(o client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, known := w.last[client.ObjectKeyFromObject(o)]
	return known && last.version != o.GetResourceVersion()
}

// UnderWay is closed when the write of an object is done that this process is at; nil if there is
// none. A watch may tell of it before the call returns.
func (s *Store) UnderWay(o client.Object) <-chan struct{} {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	return s.written.underWay[client.ObjectKeyFromObject(o)]
}

// Forget drops what is remembered of an object that is gone.
func (s *Store) Forget(o client.Object) {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	delete(s.written.last, client.ObjectKeyFromObject(o))
}

// unchanged says that a Secret is as it was when it held what sums up so. One that the watch does
// not show, or shows otherwise, is to be read live.
func (s *Store) unchanged(ctx context.Context, namespace, name string, sum contentSum) bool {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	s.written.mu.Lock()
	last := s.written.last[key]
	s.written.mu.Unlock()
	if s.Watched == nil || sum == (contentSum{}) || last.sum != sum {
		return false
	}
	now := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	return s.Watched.Get(ctx, key, now) == nil && now.ResourceVersion == last.version
}

func (s *Store) create(ctx context.Context, secret *corev1.Secret, sum contentSum) error {
	defer s.written.begin(secret)()
	if err := s.Writer.Create(ctx, secret); err != nil {
		return err
	}
	s.written.remember(secret, sum)
	return nil
}

func (s *Store) update(ctx context.Context, secret *corev1.Secret, sum contentSum) error {
	defer s.written.begin(secret)()
	if err := s.Writer.Update(ctx, secret); err != nil {
		return err
	}
	s.written.remember(secret, sum)
	return nil
}
