// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestDeletionInAnyOrder: one kubectl delete of everything, the namespace along or not, ends by
// itself and leaves nothing.
func TestDeletionInAnyOrder(t *testing.T) {
	manifests := sample(t, "")
	parts := map[string]string{}
	for part := range strings.SplitSeq(manifests, "\n---\n") {
		for _, kind := range append([]string{"Namespace"}, kinds...) {
			if strings.Contains(part, "kind: "+kind+"\n") {
				parts[kind] = part
			}
		}
	}
	if len(parts) != 4 {
		t.Fatalf("the sample has %v", slices.Sorted(maps.Keys(parts)))
	}
	var orders [][]string
	for _, order := range permutations(kinds) {
		orders = append(orders, order, append([]string{"Namespace"}, order...), append(slices.Clone(order), "Namespace"))
	}
	t.Cleanup(func() { must(t, manifests, "delete", "--ignore-not-found", "-f", "-") })
	for _, order := range orders {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			must(t, manifests, "apply", "-f", "-")
			eventually(t, "all are Ready", func(ctx context.Context) error { return looked(ctx, true) })
			if cluster.idp.Client("shop.orders") == nil {
				t.Fatal("nothing is registered: there would be nothing to clean up")
			}
			var text []string
			for _, kind := range order {
				text = append(text, parts[kind])
			}
			// It waits until all are gone, --timeout bounds that.
			must(t, strings.Join(text, "\n---\n"), "delete", "--timeout", patience.String(), "-f", "-")
			if cluster.idp.Client("shop.orders") != nil {
				t.Error("the registration is still at the server")
			}
			if defaults, optional := cluster.idp.Attached("web"); slices.ContainsFunc(append(defaults, optional...), func(s string) bool { return strings.Contains(s, "orders") }) {
				t.Errorf("the audience is still mapped: %v, %v", defaults, optional)
			}
			eventually(t, "nothing of ours is left", nothingLeft)
		})
	}
}

// stays are the operator's own Secrets, of no object.
var stays = []string{
	systemNamespace + "/keycloak-operator", systemNamespace + "/keycloak-canary", systemNamespace + "/webhook-ca", webhookNamespace + "/webhook-tls", webhookNamespace + "/webhook-ca",
}

func nothingLeft(ctx context.Context) error {
	objects, err := ours(ctx)
	if err != nil {
		return err
	}
	secrets, accounts := &corev1.SecretList{}, &corev1.ServiceAccountList{}
	if err := cluster.List(ctx, secrets); err != nil {
		return err
	}
	if err := cluster.List(ctx, accounts, client.InNamespace(webhookNamespace)); err != nil {
		return err
	}
	var left []string
	for i := range objects {
		left = append(left, objects[i].GetKind()+" "+objects[i].GetName())
	}
	for i := range secrets.Items {
		if s := &secrets.Items[i]; !slices.Contains(stays, s.Namespace+"/"+s.Name) {
			left = append(left, "Secret "+s.Namespace+"/"+s.Name)
		}
	}
	for i := range accounts.Items {
		if a := &accounts.Items[i]; a.Name != "default" {
			left = append(left, "ServiceAccount "+a.Name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %v", left)
	}
	return nil
}

func permutations(of []string) [][]string {
	if len(of) == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i, first := range of {
		for _, rest := range permutations(slices.Delete(slices.Clone(of), i, i+1)) {
			all = append(all, append([]string{first}, rest...))
		}
	}
	return all
}
