// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels and annotations of our Secrets.
const (
	// LabelManagedBy marks what is ours, for watches.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is its value.
	ManagedBy = "introspection-operator"
	// LabelKind says which of our Secrets it is: record, client, server, mounted or tls.
	LabelKind = "introspection.dev/kind"
	// LabelObject is the hash of the object it belongs to.
	LabelObject = "introspection.dev/object-hash"
	// LabelInstance is the hash of the operator's instance.
	LabelInstance = "introspection.dev/instance-hash"
	// AnnotationObject is namespace/name of the object it belongs to.
	AnnotationObject = "introspection.dev/object"
)

// Kinds of our Secrets.
const (
	KindRecord  = "record"
	KindClient  = "client"
	KindServer  = "server"
	KindMounted = "mounted"
	KindTLS     = "tls"
)

const (
	keyRecord = "record.json"
	keyClient = "client.json"
	keyServer = "server.json"
)

// Store reads and writes our Secrets. It reads live: a cache's miss is never
// absence, and a stale credential would be written back.
type Store struct {
	// Reader reads from the API server itself.
	Reader client.Reader
	// Writer writes.
	Writer client.Writer
	// Watched shows the metadata of our Secrets as a watch tells them, if set: what did not change
	// since it was seen to be right is not read again.
	Watched client.Reader
	// SystemNamespace holds the records, WebhookNamespace the projections for the webhook.
	SystemNamespace, WebhookNamespace string
	// Clock says when a record was written.
	Clock clock.PassiveClock
	// Instance is this operator's, so that two on one cluster don't take each other's Secrets.
	Instance string

	written writes
}

// StoredRecord is a record and the version of the Secret it was read from.
type StoredRecord struct {
	Record

	secret *corev1.Secret
	wrote  time.Time // by this process; zero if it was only read
}

// WroteWithin says that this process wrote the record, at the version it had read, so short a time ago.
func (s *Store) WroteWithin(d time.Duration, r *StoredRecord) bool {
	return !r.wrote.IsZero() && s.Clock.Since(r.wrote) < d
}

// LoadRecord reads an object's record; nil if there is none.
func (s *Store) LoadRecord(ctx context.Context, object Object) (*StoredRecord, error) {
	secret, err := s.read(ctx, s.SystemNamespace, KindRecord+"-"+object.Hash())
	if secret == nil {
		return nil, err
	}
	record, err := decodeRecord(secret.Data[keyRecord])
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return &StoredRecord{Record: *record, secret: secret}, nil
}

// SaveRecord writes the record: creates it, or updates it at the version that was
// read. A conflict means that somebody else wrote: look again.
func (s *Store) SaveRecord(ctx context.Context, record *StoredRecord) error {
	if record.secret != nil {
		record.StoredAs = cmp.Or(record.StoredAs, string(record.secret.UID))
	}
	data, err := record.encode()
	if err != nil {
		return fmt.Errorf("encoding the record of %s: %w", record.Object, err)
	}
	if record.secret == nil {
		secret := s.blank(s.SystemNamespace, KindRecord, record.Object)
		secret.Data = map[string][]byte{keyRecord: data}
		if err := s.create(ctx, secret, contentSum{}); err != nil {
			return fmt.Errorf("creating the record of %s: %w", record.Object, err)
		}
		record.secret, record.wrote = secret, s.Clock.Now()
		return nil
	}
	if held := record.secret.Data; len(held) == 1 && bytes.Equal(held[keyRecord], data) && s.marked(record.secret, KindRecord, record.Object) {
		return nil
	}
	secret := record.secret.DeepCopy()
	s.mark(secret, KindRecord, record.Object)
	secret.Data = map[string][]byte{keyRecord: data}
	if err := s.update(ctx, secret, contentSum{}); err != nil {
		return fmt.Errorf("updating the record of %s: %w", record.Object, err)
	}
	record.secret, record.wrote = secret, s.Clock.Now()
	return nil
}

// DeleteRecord removes an object's record.
func (s *Store) DeleteRecord(ctx context.Context, object Object) error {
	return s.remove(ctx, s.SystemNamespace, KindRecord, object)
}

// SaveClient writes the webhook's view of a client, if it is not so already.
func (s *Store) SaveClient(ctx context.Context, c WebhookClient) error {
	_, err := s.RepairClient(ctx, c)
	return err
}

// RepairClient is SaveClient; it returns whether the view was not there, or others had changed it
// since this process wrote it.
func (s *Store) RepairClient(ctx context.Context, c WebhookClient) (repaired bool, err error) {
	data, err := c.encode()
	if err != nil {
		return false, fmt.Errorf("encoding the webhook's record of %s: %w", c.Object, err)
	}
	return s.save(ctx, KindClient, c.Object, map[string][]byte{keyClient: data})
}

// DeleteClient removes the webhook's view of a client.
func (s *Store) DeleteClient(ctx context.Context, object Object) error {
	return s.remove(ctx, s.WebhookNamespace, KindClient, object)
}

// SaveServer writes the webhook's view of a server, if it is not so already.
func (s *Store) SaveServer(ctx context.Context, server WebhookServer) error {
	data, err := server.encode()
	if err != nil {
		return fmt.Errorf("encoding the webhook's record of server %s: %w", server.Name, err)
	}
	_, err = s.save(ctx, KindServer, Object{Name: server.Name}, map[string][]byte{keyServer: data})
	return err
}

// SaveServerNamespaces brings the namespaces up to date in the webhook's view of a
// server, if there is one.
func (s *Store) SaveServerNamespaces(ctx context.Context, name string, namespaces []string) error {
	found, err := s.read(ctx, s.WebhookNamespace, KindServer+"-"+Object{Name: name}.Hash())
	if found == nil {
		return err
	}
	server, err := DecodeWebhookServer(found.Data)
	if err != nil {
		return nil //nolint:nilerr // a broken one is written anew when the server is reached, and serves nobody
	}
	server.Namespaces = namespaces
	return s.SaveServer(ctx, server)
}

// DeleteServer removes the webhook's view of a server.
func (s *Store) DeleteServer(ctx context.Context, name string) error {
	return s.remove(ctx, s.WebhookNamespace, KindServer, Object{Name: name})
}

// save writes a projection into the webhook's namespace. It returns whether it was not there, or others
// had changed it since this process wrote it.
func (s *Store) save(ctx context.Context, kind string, object Object, data map[string][]byte) (repaired bool, err error) {
	wanted := s.blank(s.WebhookNamespace, kind, object)
	wanted.Data = data
	sum := sumOf(wanted)
	if s.unchanged(ctx, wanted.Namespace, wanted.Name, sum) {
		return false, nil
	}
	found, err := s.read(ctx, wanted.Namespace, wanted.Name)
	if err != nil {
		return false, err
	}
	if found == nil {
		if err := s.create(ctx, wanted, sum); err != nil {
			return false, fmt.Errorf("creating the webhook's record of %s: %w", object, err)
		}
		return true, nil
	}
	changed := found.DeepCopy()
	s.mark(changed, kind, object)
	changed.Data = data
	if equality.Semantic.DeepEqual(changed, found) {
		s.written.remember(found, sum)
		return false, nil
	}
	repaired = s.written.byOthers(found)
	if err := s.update(ctx, changed, sum); err != nil {
		return false, fmt.Errorf("updating the webhook's record of %s: %w", object, err)
	}
	return repaired, nil
}

// read is a Secret as it is now; nil, and no error, if there is none.
func (s *Store) read(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // absence is no error, and there is nothing to return
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

func (s *Store) blank(namespace, kind string, object Object) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: kind + "-" + object.Hash()},
		Type:       corev1.SecretTypeOpaque,
	}
	s.mark(secret, kind, object)
	return secret
}

func (s *Store) mark(secret *corev1.Secret, kind string, object Object) {
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Labels[LabelManagedBy] = ManagedBy
	secret.Labels[LabelKind] = kind
	secret.Labels[LabelObject] = object.Hash()
	secret.Labels[LabelInstance] = s.instanceHash()
	secret.Annotations[AnnotationObject] = object.String()
}

// marked says that mark would change nothing.
func (s *Store) marked(secret *corev1.Secret, kind string, object Object) bool {
	l := secret.Labels
	return l[LabelManagedBy] == ManagedBy && l[LabelKind] == kind && l[LabelObject] == object.Hash() &&
		l[LabelInstance] == s.instanceHash() && secret.Annotations[AnnotationObject] == object.String()
}

func (s *Store) instanceHash() string { return Object{Name: s.Instance}.Hash() }

func (s *Store) remove(ctx context.Context, namespace, kind string, object Object) error {
	secret := s.blank(namespace, kind, object)
	if err := s.Writer.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the %s of %s: %w", kind, object, err)
	}
	return nil
}
