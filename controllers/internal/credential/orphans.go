// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Annotations of a record, and of the webhook's view of a client, whose object is missing. They
// stand on the Secret, so that they survive the process.
const (
	// AnnotationMissing is since when the object is missing (RFC 3339).
	AnnotationMissing = "introspection.dev/missing-since"
	// AnnotationReleased is when a record was let go whose registration outlives its object (RFC 3339).
	AnnotationReleased = "introspection.dev/released-at"
)

// recordsAtOnce is a page of records.
const recordsAtOnce = 200

// orphanKinds are the Secrets that say of an object that there was one.
func (s *Store) orphanKinds(object Object) []types.NamespacedName {
	return []types.NamespacedName{
		{Namespace: s.SystemNamespace, Name: KindRecord + "-" + object.Hash()},
		{Namespace: s.WebhookNamespace, Name: KindClient + "-" + object.Hash()},
	}
}

// Released says, by what the watch shows, that an object's record was let go.
func (s *Store) Released(ctx context.Context, object Object) bool {
	return s.annotated(ctx, s.orphanKinds(object)[0])[AnnotationReleased] != ""
}

// Found takes the marks off an object's Secrets: it is there, or is there again. It costs a look
// at what the watch shows, unless there is a mark.
func (s *Store) Found(ctx context.Context, object Object) error {
	for _, key := range s.orphanKinds(object) {
		marks := s.annotated(ctx, key)
		if marks[AnnotationMissing] == "" && marks[AnnotationReleased] == "" {
			continue
		}
		secret, err := s.read(ctx, key.Namespace, key.Name)
		if err != nil {
			return err
		}
		if secret == nil {
			continue
		}
		delete(secret.Annotations, AnnotationMissing)
		delete(secret.Annotations, AnnotationReleased)
		if err := s.update(ctx, secret, contentSum{}); err != nil {
			return fmt.Errorf("taking the mark off Secret %s: %w", key, err)
		}
	}
	return nil
}

func (s *Store) annotated(ctx context.Context, key types.NamespacedName) map[string]string {
	reader := s.Watched
	if reader == nil {
		reader = s.Reader
	}
	now := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	if err := reader.Get(ctx, key, now); err != nil {
		return nil // not there, or not seen yet: then its event comes
	}
	return now.Annotations
}

// Orphan is what is left of an object that is missing.
type Orphan struct {
	// Record is the object's; nil if it is lost, or broken as Broken says.
	Record *StoredRecord
	Broken bool
	// View is what the webhook knows; nil if there is none, or it can't be read.
	View *WebhookClient
	// Since the object is missing; zero if that was not noted yet.
	Since time.Time

	secret *corev1.Secret
}

// LoadOrphan reads what is left of an object: its record, else the webhook's view. It returns nil
// if there is neither.
func (s *Store) LoadOrphan(ctx context.Context, object Object) (*Orphan, error) {
	keys := s.orphanKinds(object)
	secret, err := s.read(ctx, keys[0].Namespace, keys[0].Name)
	if err != nil {
		return nil, err
	}
	o := &Orphan{secret: secret}
	if secret != nil {
		record, err := decodeRecord(secret.Data[keyRecord])
		if o.Broken = err != nil; err == nil {
			o.Record = &StoredRecord{Record: *record, secret: secret}
		}
	} else {
		if o.secret, err = s.read(ctx, keys[1].Namespace, keys[1].Name); o.secret == nil {
			return nil, err
		}
		if view, err := DecodeWebhookClient(o.secret.Data); err == nil {
			o.View = &view
		}
	}
	if at, err := time.Parse(time.RFC3339, o.secret.Annotations[AnnotationMissing]); err == nil {
		o.Since = at
		// A Secret that came out of a backup begins anew: its object may be about to follow.
		if made := o.secret.CreationTimestamp.Time; made.After(at) {
			o.Since = made
		}
	}
	return o, nil
}

// Reference is the Secret that is left, without its data, for an Event to be about.
func (o *Orphan) Reference() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.secret.Namespace, Name: o.secret.Name, UID: o.secret.UID}}
}

// Missing notes since when the object is missing.
func (s *Store) Missing(ctx context.Context, o *Orphan, now time.Time) error {
	o.Since = now.UTC().Truncate(time.Second)
	return s.annotate(ctx, o, AnnotationMissing, now)
}

// Release notes that the record stays, and that nothing else is to be done about it.
func (s *Store) Release(ctx context.Context, o *Orphan, now time.Time) error {
	if o.Record != nil {
		o.secret = o.Record.secret // a fence may have been written
	}
	return s.annotate(ctx, o, AnnotationReleased, now)
}

func (s *Store) annotate(ctx context.Context, o *Orphan, key string, now time.Time) error {
	secret := o.secret.DeepCopy()
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[key] = now.UTC().Format(time.RFC3339)
	if err := s.update(ctx, secret, contentSum{}); err != nil {
		return fmt.Errorf("marking Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	o.secret = secret
	if o.Record != nil {
		o.Record.secret = secret
	}
	return nil
}

// Drop deletes the Secret that is left, unless somebody wrote it meanwhile: an object that came
// back has taken it up then.
func (s *Store) Drop(ctx context.Context, o *Orphan) error {
	secret := o.secret
	if o.Record != nil {
		secret = o.Record.secret
	}
	precondition := client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}
	if err := s.Writer.Delete(ctx, secret, precondition); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}

// ReleaseMountedOf is ReleaseMounted where nobody knows any more what the Secret was called: it is
// found by our labels.
func (s *Store) ReleaseMountedOf(ctx context.Context, object Object, uid types.UID, retain bool) error {
	list := &corev1.SecretList{}
	ours := client.MatchingLabels{LabelKind: KindMounted, LabelObject: object.Hash(), LabelInstance: s.instanceHash()}
	if err := s.Reader.List(ctx, list, client.InNamespace(object.Namespace), ours); err != nil {
		return fmt.Errorf("listing the Secrets of %s: %w", object, err)
	}
	for i := range list.Items {
		if err := s.ReleaseMounted(ctx, object, uid, list.Items[i].Name, retain); err != nil {
			return err
		}
	}
	return nil
}

// RegisteredWith finds a record of a registration of ours at a server, which goes with its object;
// nil if there is none.
func (s *Store) RegisteredWith(ctx context.Context, server, issuer string) (*Record, error) {
	list := &corev1.SecretList{}
	for {
		options := []client.ListOption{
			client.InNamespace(s.SystemNamespace), client.Limit(recordsAtOnce), client.Continue(list.Continue),
			client.MatchingLabels{LabelManagedBy: ManagedBy, LabelKind: KindRecord},
		}
		if err := s.Reader.List(ctx, list, options...); err != nil {
			return nil, fmt.Errorf("listing the records: %w", err)
		}
		for i := range list.Items {
			record, err := decodeRecord(list.Items[i].Data[keyRecord])
			if err == nil && record.Server == server && record.Issuer == issuer && s.holds(record) {
				return record, nil
			}
		}
		if list.Continue == "" {
			return nil, nil //nolint:nilnil // none is no error
		}
	}
}

// holds says that a record's registration is ours to delete at its server.
func (s *Store) holds(record *Record) bool {
	return strings.HasPrefix(record.Owner, s.Instance+"/") && record.DeletionPolicy != "Retain" && !record.Active().IsBrought()
}
