// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/gitops"
)

const (
	argoPatch         = "../../config/argocd/argocd-cm.yaml"
	fluxKustomization = "../../config/flux/kustomization-example.yaml"
)

// What a user reads is what is shipped, and what the controllers' tests run.
func TestTheDocumentationShowsWhatIsShipped(t *testing.T) {
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)<!-- tested: (\\S+) -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		shown[block[1]] = block[2]
	}
	judges, err := gitops.Load(argoPatch, fluxKustomization)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ClusterAuthorizationServer", "IntrospectionClient", "TokenPolicy"} {
		if diff := cmp.Diff(judges.Scripts()[gitops.ArgoKey+kind], shown["argocd-cm.yaml"]); diff != "" {
			t.Errorf("the script of %s (- shipped, + shown):\n%s", kind, diff)
		}
	}
	flux, err := os.ReadFile(fluxKustomization)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(flux), shown["kustomization-example.yaml"]); diff != "" {
		t.Errorf("the Kustomization (- shipped, + shown):\n%s", diff)
	}
}
