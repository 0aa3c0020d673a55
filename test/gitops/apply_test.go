// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// kinds of ours.
var kinds = []string{"ClusterAuthorizationServer", "IntrospectionClient", "TokenPolicy"}

// TestNothingDiffers: what was applied is what is there, whatever the schema fills in and the
// controllers write.
func TestNothingDiffers(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		dir    string
		ready  bool   // its server is there
		proof  string // Verified's reason, if it is
	}{
		"first objects": {reason: "Ready, and looked at again", dir: "", ready: true, proof: v1alpha1.ReasonSucceeded},
		"canary":        {reason: "what is lent to the canary is no drift", dir: "canary", ready: true, proof: v1alpha1.ReasonMappingProven},
		"duende":        {reason: "its server does not answer", dir: "duende"},
		"oauth":         {reason: "its server does not answer", dir: "oauth"},
		"manual":        {reason: "its Secret is missing", dir: "manual"},
		"policies":      {reason: "each has more of the schema", dir: "policies"},
	} {
		for _, side := range []string{"client", "server"} {
			t.Run(name+", "+side+"-side", func(t *testing.T) {
				manifests := sample(t, tc.dir)
				prepare(t, manifests)
				t.Cleanup(func() { must(t, manifests, "delete", "--ignore-not-found", "-f", "-") })
				flag := fmt.Sprintf("--server-side=%t", side == "server")
				must(t, manifests, "apply", flag, "-f", "-")
				eventually(t, "looked at", func(ctx context.Context) error { return looked(ctx, tc.ready) })
				must(t, manifests, "diff", flag, "-f", "-")
				if tc.ready {
					eventually(t, "verified", func(ctx context.Context) error { return verified(ctx, "shop", "orders", tc.proof) })
					resync(t)
					must(t, manifests, "diff", flag, "-f", "-")
					must(t, "", "annotate", "--overwrite", "-n", "shop", "introspectionclient/orders", v1alpha1.AnnotationRotate+"="+side)
					eventually(t, "rotated", func(ctx context.Context) error { return overlapping(ctx, "shop", "orders") })
					must(t, manifests, "diff", flag, "-f", "-")
				}
				if out := must(t, manifests, "apply", flag, "-f", "-"); side == "client" && strings.Contains(out, "configured") {
					t.Errorf("%s: to apply it again changes something:\n%s", tc.reason, out)
				}
			})
		}
	}
}

// prepare makes the namespaces that the manifests use and do not hold.
func prepare(t *testing.T, manifests string) {
	t.Helper()
	for line := range strings.Lines(manifests) {
		namespace, ok := strings.CutPrefix(line, "  namespace: ")
		if namespace = strings.TrimSpace(namespace); !ok || strings.Contains(manifests, "kind: Namespace\n") {
			continue
		}
		if _, err := kubectl(t, "", "get", "namespace", namespace); err != nil {
			must(t, "", "create", "namespace", namespace)
			t.Cleanup(func() { must(t, "", "delete", "namespace", namespace) })
		}
	}
}

// ours are the operator's objects, of all kinds.
func ours(ctx context.Context) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Kind: kind + "List"})
		if err := cluster.List(ctx, list); err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

// looked says which object was not looked at yet, or is not Ready.
func looked(ctx context.Context, ready bool) error {
	objects, err := ours(ctx)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return errors.New("nothing was applied")
	}
	for i := range objects {
		o := &objects[i]
		observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		isReady := false
		for _, c := range conditions {
			c, ok := c.(map[string]any)
			isReady = isReady || ok && c["type"] == v1alpha1.ConditionReady && c["status"] == "True"
		}
		if observed != o.GetGeneration() || ready && !isReady {
			return fmt.Errorf("%s %s: %v", o.GetKind(), o.GetName(), o.Object["status"])
		}
	}
	return nil
}

// overlapping says what is missing: both credentials of a client work, and it is Ready all the same.
func overlapping(ctx context.Context, namespace, name string) error {
	c := &v1alpha1.IntrospectionClient{}
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, c); err != nil {
		return err
	}
	ready := apimeta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	rotating := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionRotating)
	if !ready || rotating == nil || rotating.Reason != v1alpha1.ReasonOverlap {
		return fmt.Errorf("ready %t, %v", ready, rotating)
	}
	return nil
}

// verified says what is missing: a client is Verified, for this reason.
func verified(ctx context.Context, namespace, name, reason string) error {
	c := &v1alpha1.IntrospectionClient{}
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, c); err != nil {
		return err
	}
	if v := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionVerified); v == nil || v.Status != "True" || v.Reason != reason {
		return fmt.Errorf("%+v", v)
	}
	return nil
}

// resync waits until server and client were looked at twice more.
func resync(t *testing.T) {
	t.Helper()
	before := len(cluster.idp.Calls())
	eventually(t, "looked at again", func(context.Context) error {
		server, registration := 0, 0
		for _, call := range cluster.idp.Calls()[before:] {
			switch {
			case keycloak.Matching(http.MethodGet, "/.well-known/openid-configuration")(call):
				server++
			case keycloak.Matching(http.MethodPost, "/token/introspect")(call):
				registration++
			}
		}
		if server < 2 || registration < 2 {
			return fmt.Errorf("%d looks at the server, %d at the registration", server, registration)
		}
		return nil
	})
}
