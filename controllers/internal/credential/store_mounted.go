// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrForeign says that a Secret of that name is not ours.
var ErrForeign = errors.New("a Secret of that name exists and is not this object's")

// MountedSecret is the Secret that workloads mount, as it should be.
type MountedSecret struct {
	// Object is the IntrospectionClient, OwnerReference its controller reference.
	Object         Object
	OwnerReference metav1.OwnerReference
	// Name of the Secret, in the object's namespace.
	Name string
	// Data, Labels and Annotations. Foreign labels and annotations stay; foreign data goes.
	Data                map[string][]byte
	Labels, Annotations map[string]string
}

// SaveMounted writes the Secret that workloads mount, if it is not so already.
// It returns whether it repaired one that others had changed, or had to be made, and
// ErrForeign if the name is taken.
func (s *Store) SaveMounted(ctx context.Context, m MountedSecret) (repaired bool, err error) {
	sum := sumOf(m)
	if s.unchanged(ctx, m.Object.Namespace, m.Name, sum) {
		return false, nil
	}
	found, err := s.read(ctx, m.Object.Namespace, m.Name)
	if err != nil {
		return false, err
	}
	if found == nil {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: m.Object.Namespace, Name: m.Name}, Type: Type}
		s.shape(secret, m)
		if err := s.create(ctx, secret, sum); err != nil {
			return false, fmt.Errorf("creating Secret %s: %w", m.Name, err)
		}
		return true, nil
	}
	if !s.owns(found, m.Object, m.OwnerReference.UID) {
		return false, ErrForeign
	}
	changed := found.DeepCopy()
	s.shape(changed, m)
	if equality.Semantic.DeepEqual(changed, found) {
		s.written.remember(found, sum)
		return false, nil
	}
	repaired = !s.WroteLast(found)                  // else it is we who want it otherwise
	if found.Immutable != nil && *found.Immutable { // somebody's; it could never be put right again
		if err := s.Writer.Delete(ctx, found, client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}); err != nil {
			return false, fmt.Errorf("replacing Secret %s: %w", m.Name, err)
		}
		changed.UID, changed.ResourceVersion, changed.Immutable = "", "", nil
		return true, s.create(ctx, changed, sum)
	}
	if err := s.update(ctx, changed, sum); err != nil {
		return false, fmt.Errorf("updating Secret %s: %w", m.Name, err)
	}
	return repaired, nil
}

// MountedIs says whether the Secret that workloads mount is as it should be, and writes
// nothing. It returns ErrAbsent if there is none, and ErrForeign if the name is taken.
func (s *Store) MountedIs(ctx context.Context, m MountedSecret) (bool, error) {
	found, err := s.read(ctx, m.Object.Namespace, m.Name)
	switch {
	case err != nil:
		return false, err
	case found == nil:
		return false, ErrAbsent
	case !s.owns(found, m.Object, m.OwnerReference.UID):
		return false, ErrForeign
	}
	shaped := found.DeepCopy()
	s.shape(shaped, m)
	return equality.Semantic.DeepEqual(shaped, found), nil
}

// ReleaseMounted ends our ownership of the Secret: deletes it, or takes our owner
// reference off so that it outlives the object.
func (s *Store) ReleaseMounted(ctx context.Context, object Object, uid types.UID, name string, retain bool) error {
	found, err := s.read(ctx, object.Namespace, name)
	if found == nil || !s.owns(found, object, uid) {
		return err
	}
	if !retain {
		precondition := client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}
		return client.IgnoreNotFound(s.Writer.Delete(ctx, found, precondition))
	}
	if len(found.OwnerReferences) == 0 {
		return nil
	}
	found.OwnerReferences = nil
	return s.update(ctx, found, contentSum{})
}

// owns says whether a Secret is the object's: by its owner reference, or by our
// marks, since backup tools strip owner references. Both anybody in the namespace
// can set, so its type, which nobody can change, must be ours too.
func (s *Store) owns(secret *corev1.Secret, object Object, uid types.UID) bool {
	if secret.Type != Type {
		return false
	}
	if controller := metav1.GetControllerOf(secret); controller != nil && controller.UID == uid {
		return true
	}
	return secret.Labels[LabelKind] == KindMounted &&
		secret.Labels[LabelObject] == object.Hash() &&
		secret.Labels[LabelInstance] == s.instanceHash()
}

func (s *Store) shape(secret *corev1.Secret, m MountedSecret) {
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, m.Labels)
	if len(m.Annotations) > 0 {
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		maps.Copy(secret.Annotations, m.Annotations)
	}
	s.mark(secret, KindMounted, m.Object)
	secret.OwnerReferences = slices.DeleteFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.Controller != nil && *o.Controller // a stale one, of the object before a restore
	})
	secret.OwnerReferences = append(secret.OwnerReferences, m.OwnerReference)
	secret.Data = m.Data
	secret.StringData = nil
}
