// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// doing is one task under way.
type doing struct {
	*testing.T

	blocks []string
	dir    string
	next   int
	output string // of the last block
}

// block runs the page's next block, as it stands.
func (d *doing) block() {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), 2*patience)
	defer cancel()
	if d.next == len(d.blocks) {
		d.Fatal("the page has fewer blocks than the test does")
	}
	var err error
	if d.output, err = w.bash(ctx, d.dir, d.blocks[d.next]); err != nil {
		d.Fatalf("%v\n%s\n%s", err, d.blocks[d.next], d.output)
	}
	d.next++
}

func (d *doing) file(name string) string {
	d.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.Fatal(err)
	}
	return string(content)
}

// trials are those of docs/operations.md.
func trials() map[string]func(d *doing) {
	return map[string]func(d *doing){
		"Back up":                                   backUp,
		"Rotate the operator's own sign-in":         rotateSignIn,
		"Rotate a client's credential":              rotateClient,
		"End a leaked secret now":                   endLeaked,
		"Move a client between clusters":            move,
		"A client that is stuck in deletion":        stuck,
		"The authorization server is gone for ever": gone,
		"Uninstall":                                 uninstall,
	}
}

func TestTasks(t *testing.T) { do(t, page{"operations.md", trials()}) }

// do runs a page from top to bottom.
func do(t *testing.T, p page) {
	t.Helper()
	for _, task := range tasks(t, p.file) {
		t.Run(task.title, func(t *testing.T) {
			w.begin(t)
			w.old.forget(t)
			d := &doing{T: t, blocks: task.blocks, dir: t.TempDir()}
			p.trials[task.title](d)
			if d.next != len(d.blocks) {
				t.Errorf("%d blocks of %d were run", d.next, len(d.blocks))
			}
		})
	}
}

func backUp(d *doing) {
	d.block()
	for file, whole := range map[string][]string{
		"objects.json": {`"kind": "ClusterAuthorizationServer"`, `"kind": "IntrospectionClient"`, `"kind": "TokenPolicy"`},
		"secrets.json": {`"introspection.dev/object": "shop/orders"`, `"name": "keycloak-operator"`},
	} {
		content := d.file(file)
		for _, sign := range whole {
			if !strings.Contains(content, sign) {
				d.Errorf("%s lacks %s", file, sign)
			}
		}
	}
	if mark := owner(d, w.idp.Client("shop.orders")); mark != d.file("instance")+"/shop/orders" {
		d.Errorf("the registration bears the mark %s, the backup has the instance %s", mark, d.file("instance"))
	}
}

func rotateSignIn(d *doing) {
	loaded := must(mount(d.Context(), &w.old))(d)
	stop := loaded.working(d.T)
	d.block()
	stop()
	if status, err := signIn(d.Context(), "introspection-operator", signInSecret, &struct{}{}); err != nil || status != http.StatusUnauthorized {
		d.Errorf("the old secret: HTTP %d, %v", status, err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "client_secret")); !errors.Is(err, os.ErrNotExist) {
		d.Error("the secret lies about in a file")
	}
	// The operator works on with the new one: what it needs its rights for is done.
	w.idp.SignOut()
	if err := w.signInKcadm(d.Context()); err != nil {
		d.Fatal(err)
	}
	w.idp.DeleteClient("shop.orders")
	eventually(d.T, "the client is registered again", func(context.Context) error {
		if w.idp.Client("shop.orders") == nil {
			return errors.New("it is not there")
		}
		return nil
	})
	eventually(d.T, "the server is Ready", w.old.ready)
}

func rotateClient(d *doing) {
	was := must(mount(d.Context(), &w.old))(d)
	stop := was.working(d.T)
	d.block()
	if !strings.Contains(d.output, "\nthe one before works until 2") {
		d.Errorf("it says %q", d.output)
	}
	now := must(mount(d.Context(), &w.old))(d)
	if now.secret == was.secret {
		d.Error("the Secret holds the old one")
	}
	// The old one works beside the new one.
	for _, l := range []*workload{was, now} {
		if err := l.ask(d.Context()); err != nil {
			d.Error(err)
		}
	}
	stop()
}

func endLeaked(d *doing) {
	was := must(mount(d.Context(), &w.old))(d)
	d.block()
	if err := was.ask(d.Context()); !errors.Is(err, errRefused) {
		d.Errorf("the leaked secret: %v", err)
	}
	if err := must(mount(d.Context(), &w.old))(d).ask(d.Context()); err != nil {
		d.Errorf("the new one: %v", err)
	}
}

func move(d *doing) {
	was := must(mount(d.Context(), &w.old))(d)
	registered := w.idp.Client("shop.orders")
	stop := was.working(d.T)
	for range 4 { // suspended, copied, marked, applied
		d.block()
	}
	now := must(mount(d.Context(), &w.young))(d)
	eventually(d.T, "the new cluster answers", now.ask)
	if now.id != was.id || now.secret != was.secret {
		d.Error("the workload's credential is another one")
	}
	stop()
	d.block()
	for _, member := range []string{"id", "clientId", "secret"} {
		if is := w.idp.Client("shop.orders")[member]; is != registered[member] {
			d.Errorf("the registration's %s is another one", member)
		}
	}
	eventually(d.T, "nothing is left in the old cluster", w.old.empty)
	if err := now.ask(d.Context()); err != nil {
		d.Errorf("after the old object is gone: %v", err)
	}
	eventually(d.T, "all is Ready in the new cluster", w.young.ready)
	w.young.remove(d.T)
	if w.idp.Client("shop.orders") != nil {
		d.Error("the new cluster does not own it: it did not delete it")
	}
}

func stuck(d *doing) {
	up := w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/admin/"), Status: http.StatusBadGateway, Undone: true})
	defer up()
	w.kubectl(d.T, "-n", "shop", "delete", "ic", "orders", "--wait=false")
	eventually(d.T, "it says why", func(ctx context.Context) error {
		c := &v1alpha1.IntrospectionClient{}
		if err := w.old.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "orders"}, c); err != nil {
			return err
		}
		return notReady(c.Status.Conditions)
	})
	d.block()
	if !strings.HasPrefix(d.output, v1alpha1.ReasonServerError+": ") {
		d.Errorf("it says %q", d.output)
	}
	up()
	d.block()
	if w.idp.Client("shop.orders") != nil {
		d.Error("the registration is still there")
	}
}

func gone(d *doing) {
	back := w.idp.Inject(keycloak.Fault{Drop: true, Undone: true})
	defer back()
	eventually(d.T, "the server is missed", func(ctx context.Context) error {
		s := &v1alpha1.ClusterAuthorizationServer{}
		if err := w.old.Get(ctx, client.ObjectKey{Name: "corporate"}, s); err != nil {
			return err
		}
		return notReady(s.Status.Conditions)
	})
	d.block()
	eventually(d.T, "nothing is left", w.old.empty)
	if err := w.old.Get(d.Context(), client.ObjectKey{Name: "corporate"}, &v1alpha1.ClusterAuthorizationServer{}); !apierrors.IsNotFound(err) {
		d.Errorf("the server object: %v", err)
	}
	w.idp.DeleteClient("shop.orders") // what the page asks for, if it comes back
	w.idp.DeleteScope("introspection:shop.orders")
}

func uninstall(d *doing) {
	d.block()
	eventually(d.T, "nothing is left", w.old.empty)
	if w.idp.Client("shop.orders") != nil || w.idp.Scope("introspection:shop.orders") != nil {
		d.Error("the registration is still there")
	}
}

func owner(d *doing, registration map[string]any) string {
	attributes, _ := registration["attributes"].(map[string]any)
	mark, ok := attributes["introspection.dev/owner"].(string)
	if !ok {
		d.Fatalf("there is no owner in %v", attributes)
	}
	return mark
}

// must is for what a test can't go on without.
func must[T any](value T, err error) func(d *doing) T {
	return func(d *doing) T {
		d.Helper()
		if err != nil {
			d.Fatal(err)
		}
		return value
	}
}

// eventually waits for a state, and fails with what is missing.
func eventually(t *testing.T, what string, reached func(ctx context.Context) error) {
	t.Helper()
	harness.Eventually(t, patience, what, reached)
}

// empty says what of the client is left in a cluster.
func (c *cluster) empty(ctx context.Context) error {
	clients, secrets := &v1alpha1.IntrospectionClientList{}, &corev1.SecretList{}
	if err := errors.Join(c.List(ctx, clients), c.List(ctx, secrets, client.HasLabels{"introspection.dev/object-hash"})); err != nil {
		return err
	}
	if len(clients.Items) > 0 {
		return errors.New("the object is there")
	}
	for i := range secrets.Items {
		if s := &secrets.Items[i]; s.Annotations["introspection.dev/object"] == "shop/orders" {
			return errors.New("Secret " + s.Namespace + "/" + s.Name)
		}
	}
	return nil
}
