// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// fieldManager owns what the operator applies.
const fieldManager = "introspection-operator"

// ensureFinalizer adds our finalizer; it returns whether it had to.
func ensureFinalizer(ctx context.Context, c client.Client, object client.Object) (bool, error) {
	if slices.Contains(object.GetFinalizers(), v1alpha1.Finalizer) {
		return false, nil
	}
	return true, patchFinalizers(ctx, c, object, append(slices.Clone(object.GetFinalizers()), v1alpha1.Finalizer))
}

// removeFinalizer lets the object go.
func removeFinalizer(ctx context.Context, c client.Client, object client.Object) error {
	left := slices.DeleteFunc(slices.Clone(object.GetFinalizers()), func(f string) bool { return f == v1alpha1.Finalizer })
	if len(left) == len(object.GetFinalizers()) {
		return nil
	}
	return client.IgnoreNotFound(patchFinalizers(ctx, c, object, left))
}

// patchFinalizers is a merge patch with the version that was read: an apply can't
// take off a finalizer that another field manager owns too, as after a restore.
func patchFinalizers(ctx context.Context, c client.Client, object client.Object, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"finalizers": finalizers, "resourceVersion": object.GetResourceVersion(),
	}})
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	return c.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
}

// statusWriter writes the statuses of one kind.
type statusWriter struct {
	client.Client

	mu   sync.Mutex
	last map[types.NamespacedName]written
}

// written is a status as we wrote it last.
type written struct {
	sum [sha256.Size]byte
	// version is the object's with it, and content the status, until a read shows it.
	version string
	content []byte
}

func newStatusWriter(c client.Client) *statusWriter {
	return &statusWriter{Client: c, last: map[types.NamespacedName]written{}}
}

// newest replaces the status of an object that was read before our last write by what we
// wrote: a look that ends early would write the older one back, and forget what is known.
func newest[S any](w *statusWriter, object client.Object, status *S) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	last := w.last[key]
	if last.content == nil {
		return
	}
	var ours S
	if order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), last.version); err == nil && order < 0 && json.Unmarshal(last.content, &ours) == nil {
		*status = ours
		return
	}
	last.content = nil
	w.last[key] = last
}

// apply writes a status by server-side apply, all conditions each time, if it
// differs from the one that was read, or from the one that we wrote last: what was
// read may be older than that, and would make a mended object stay broken.
func (w *statusWriter) apply(ctx context.Context, object client.Object, before, after any) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(after)
	if err != nil {
		return fmt.Errorf("encoding the status: %w", err)
	}
	encoded, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encoding the status: %w", err)
	}
	key, sum := client.ObjectKeyFromObject(object), sha256.Sum256(encoded)
	if last, ok := w.written(key); equality.Semantic.DeepEqual(before, after) && (!ok || last.sum == sum) {
		return nil
	}
	gvk, err := apiutil.GVKForObject(object, w.Scheme())
	if err != nil {
		return fmt.Errorf("naming the object's kind: %w", err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(object.GetNamespace())
	u.SetName(object.GetName())
	u.SetUID(object.GetUID()) // an object of that name made anew is not this one
	err = w.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[key] = written{sum, u.GetResourceVersion(), encoded}
	return nil
}

func (w *statusWriter) written(key types.NamespacedName) (written, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.last[key]
	return last, ok
}

// forget drops what is known of an object that is gone; the error passes through,
// unless it says just that.
func (w *statusWriter) forget(key types.NamespacedName, err error) error {
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, key)
	return nil
}
