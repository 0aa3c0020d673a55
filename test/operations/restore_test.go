// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// restores are the trials of docs/restore.md.
func restores() map[string]func(d *doing) {
	return map[string]func(d *doing){
		"What to back up":                     whatToBackUp,
		"In what order to restore":            restoreInOrder,
		"What happens":                        whatHappened,
		"A deletion while the server is down": letGo,
		"An object that is gone":              missing,
	}
}

func TestRestores(t *testing.T) { do(t, page{"restore.md", restores()}) }

func whatToBackUp(d *doing) {
	d.block()
	if mark := owner(d, w.idp.Client("shop.orders")); !strings.HasSuffix(d.output, strings.TrimSuffix(mark, "/shop/orders")) || !strings.Contains(d.output, "\nrecord-") {
		d.Errorf("the registration bears the mark %s, and it says %q", mark, d.output)
	}
}

// backedUp has the files that the page about operations makes.
func (d *doing) backedUp() {
	d.Helper()
	all := tasks(d.T, "operations.md")
	i := slices.IndexFunc(all, func(t task) bool { return t.title == "Back up" })
	if i < 0 {
		d.Fatal("no page says how to back up")
	}
	if out, err := w.bash(d.Context(), d.dir, all[i].blocks[0]); err != nil {
		d.Fatalf("%v\n%s", err, out)
	}
}

func restoreInOrder(d *doing) {
	d.backedUp()
	was := must(mount(d.Context(), &w.old))(d)
	registered := w.idp.Client("shop.orders")
	defer d.deployed(&w.old)()
	d.block()
	eventually(d.T, "the controller stops", func(context.Context) error {
		if w.runs(&w.old) {
			return errors.New("it runs")
		}
		return nil
	})
	w.old.lose(d)
	for range 3 { // the Secrets, the objects, the controller
		d.block()
	}
	eventually(d.T, "all is Ready", w.old.ready)
	eventually(d.T, "the workload's credential is good", was.ask)
	now := must(mount(d.Context(), &w.old))(d)
	if now.id != was.id || now.secret != was.secret {
		d.Error("the workload's credential is another one")
	}
	for _, member := range []string{"id", "secret"} {
		if is := w.idp.Client("shop.orders")[member]; is != registered[member] {
			d.Errorf("the registration's %s is another one", member)
		}
	}
	if note := w.old.told(d, "RecordRestored"); !strings.Contains(note, "backup") {
		d.Errorf("it says %q", note)
	}
}

// deployed has the controller's Deployment in a cluster, and stands for what runs it: the
// controller's process is there while the Deployment asks for a replica.
func (d *doing) deployed(c *cluster) (undo func()) {
	d.Helper()
	w.kubectl(d.T, "--context", c.name, "apply", "-f", filepath.Join(tree, "config", "manager", "deployment.yaml"))
	ctx, cancel := context.WithCancel(d.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := w.follow(ctx, c); err != nil && ctx.Err() == nil {
				d.Error(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
		w.kubectl(d.T, "--context", c.name, "delete", "-f", filepath.Join(tree, "config", "manager", "deployment.yaml"))
		if !w.runs(c) { // others need it
			if err := w.run(c.controllerLog(), c.controller...); err != nil {
				d.Error(err)
			}
		}
	}
}

// follow starts or stops the controller as its Deployment says.
func (w *world) follow(ctx context.Context, c *cluster) error {
	deployment := &appsv1.Deployment{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: "introspection-system", Name: "controller"}, deployment); err != nil {
		return err
	}
	switch wanted := *deployment.Spec.Replicas > 0; {
	case wanted && !w.runs(c):
		return w.run(c.controllerLog(), c.controller...)
	case !wanted:
		return w.halt(c.controllerLog())
	}
	return nil
}

// lose deletes all that a backup could bring back, and what is made of it.
func (c *cluster) lose(d *doing) {
	d.Helper()
	for _, list := range []client.ObjectList{&v1alpha1.IntrospectionClientList{}, &v1alpha1.TokenPolicyList{}, &v1alpha1.ClusterAuthorizationServerList{}, &corev1.SecretList{}} {
		if err := c.List(d.Context(), list); err != nil {
			d.Fatal(err)
		}
		if err := apimeta.EachListItem(list, func(item runtime.Object) error {
			o, ok := item.(client.Object)
			if !ok || o.GetNamespace() != "" && !slices.Contains([]string{"introspection-system", "introspection", "shop"}, o.GetNamespace()) {
				return nil
			}
			o.SetFinalizers(nil)
			return errors.Join(c.Update(d.Context(), o), c.Delete(d.Context(), o))
		}); err != nil {
			d.Fatal(err)
		}
	}
}

// forget deletes all Events: the next trial looks for its own.
func (c *cluster) forget(t *testing.T) {
	t.Helper()
	for _, namespace := range []string{"shop", "introspection-system"} {
		if err := c.DeleteAllOf(t.Context(), &corev1.Event{}, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
	}
}

// told waits for an Event, and returns its note.
func (c *cluster) told(d *doing, reason string) (note string) {
	d.Helper()
	eventually(d.T, "an Event "+reason, func(ctx context.Context) error {
		list := &corev1.EventList{}
		if err := c.List(ctx, list); err != nil {
			return err
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == reason {
				note = e.Message
				return nil
			}
		}
		return fmt.Errorf("%d Events, none of them", len(list.Items))
	})
	return note
}

func whatHappened(d *doing) {
	w.idp.DeleteClient("shop.orders") // as a server that is restored from before it
	w.old.told(d, "DriftRepaired")
	d.block()
	if !strings.Contains(d.output, "introspectionclient/orders") || !strings.Contains(d.output, "the same id and secret") {
		d.Errorf("it says %q", d.output)
	}
}

func letGo(d *doing) {
	was := must(mount(d.Context(), &w.old))(d)
	up := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/admin/"), Status: 503, Undone: true})
	defer up()
	w.kubectl(d.T, "-n", "shop", "delete", "ic", "orders", "--wait=false")
	w.old.told(d, "DeletionHeldUp")
	d.block()
	eventually(d.T, "the object is gone", w.old.withoutClient)
	up()
	if w.idp.Client("shop.orders") == nil {
		d.Error("the registration is gone before its hour")
	}
	w.begin(d.T) // it comes back within the hour
	if now := must(mount(d.Context(), &w.old))(d); now.secret != was.secret {
		d.Error("the workload's credential is another one")
	}
}

// vanish deletes the object past its finalizer, while no controller looks.
func (w *world) vanish(d *doing) {
	d.Helper()
	if err := w.halt(w.old.controllerLog()); err != nil {
		d.Fatal(err)
	}
	w.kubectl(d.T, "-n", "shop", "patch", "ic", "orders", "--type=merge", `--patch={"metadata":{"finalizers":null}}`)
	w.kubectl(d.T, "-n", "shop", "delete", "ic", "orders")
	if err := w.run(w.old.controllerLog(), w.old.controller...); err != nil {
		d.Fatal(err)
	}
}

func (c *cluster) withoutClient(ctx context.Context) error {
	clients := &v1alpha1.IntrospectionClientList{}
	if err := c.List(ctx, clients); err != nil {
		return err
	}
	if len(clients.Items) > 0 {
		return errors.New("it is there")
	}
	return nil
}

func missing(d *doing) {
	d.backedUp()
	was := must(mount(d.Context(), &w.old))(d)
	w.vanish(d)
	w.old.told(d, "ObjectMissing")
	d.block()
	if !strings.HasPrefix(d.output, "shop/orders 2") {
		d.Errorf("it says %q", d.output)
	}
	d.block()
	if now := must(mount(d.Context(), &w.old))(d); now.id != was.id || now.secret != was.secret {
		d.Error("the workload's credential is another one")
	}
	d.block()
	eventually(d.T, "nothing is left", w.old.empty)
	if w.idp.Client("shop.orders") != nil {
		d.Error("the registration is still there")
	}
}
