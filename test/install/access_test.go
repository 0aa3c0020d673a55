// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// access is a row of a can-i table: what, where ("" is the whole cluster), and the
// verbs that are allowed there and those that are not.
type access struct {
	reason          string
	resource        string // resource.group/subresource
	namespace       string
	allowed, denied string // verbs, by commas
}

const (
	read  = "get,list,watch"
	write = "create,update,patch,delete,deletecollection"
	all   = read + "," + write
)

// check asks the API server as that identity.
func check(t *testing.T, client *kubernetes.Clientset, table map[string]access) {
	t.Helper()
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			for verb, want := range row.verbs() {
				got, err := mayI(t.Context(), client, verb, row.resource, row.namespace)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s: may %s %s in %q: got %t, want %t", row.reason, verb, row.resource, row.namespace, got, want)
				}
			}
		})
	}
}

func (a access) verbs() map[string]bool {
	verbs := map[string]bool{}
	for list, allowed := range map[string]bool{a.allowed: true, a.denied: false} {
		for verb := range strings.SplitSeq(list, ",") {
			if verb != "" {
				verbs[verb] = allowed
			}
		}
	}
	return verbs
}

func mayI(ctx context.Context, client *kubernetes.Clientset, verb, resource, namespace string) (bool, error) {
	resource, subresource, _ := strings.Cut(resource, "/")
	resource, group, _ := strings.Cut(resource, ".")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace,
		},
	}}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// everyRight lists all that an identity may do to resources in a namespace, the
// cluster-wide rights among it, beyond what every ServiceAccount may.
func everyRight(t *testing.T, c *cluster, client *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	common := rights(t, c.serviceAccount(t, tenantNamespace, "nobody"), namespace)
	return slices.DeleteFunc(rights(t, client, namespace), func(right string) bool { return slices.Contains(common, right) })
}

func rights(t *testing.T, client *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	answer, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status.Incomplete {
		t.Fatalf("the API server could not list all rights: %s", answer.Status.EvaluationError)
	}
	var found []string
	for _, rule := range answer.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					found = append(found, strings.Trim(resource+"."+group, ".")+" "+verb)
				}
			}
		}
	}
	for _, rule := range answer.Status.NonResourceRules {
		for _, path := range rule.NonResourceURLs {
			for _, verb := range rule.Verbs {
				found = append(found, path+" "+verb)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// exactly holds an identity to a list: "resource.group verb,verb".
func exactly(t *testing.T, c *cluster, client *kubernetes.Clientset, namespace string, lists ...string) {
	t.Helper()
	want := []string{}
	for _, list := range lists {
		resource, verbs, _ := strings.Cut(list, " ")
		for verb := range strings.SplitSeq(verbs, ",") {
			want = append(want, resource+" "+verb)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(slices.Compact(want), everyRight(t, c, client, namespace)); diff != "" {
		t.Errorf("all rights in %s (- want, + got):\n%s", namespace, diff)
	}
}

// person is a client of a user with the roles that bindTenants gave.
func (c *cluster) person(t *testing.T, name string) (*kubernetes.Clientset, *rest.Config) {
	t.Helper()
	config := rest.CopyConfig(c.plane.Config())
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	return clientset(t, config), config
}
