// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// meaning reduces objects to what has an effect: a note of who rendered them has none.
func meaning(objects []*unstructured.Unstructured, groups ...string) map[string]map[string]any {
	reduced := map[string]map[string]any{}
	for _, object := range objects {
		kind := object.GroupVersionKind().Group + "/" + object.GetKind()
		if !slices.ContainsFunc(groups, func(group string) bool { return strings.HasPrefix(kind, group) }) {
			continue
		}
		content := maps.Clone(object.Object)
		delete(content, "metadata")
		for name, value := range object.GetLabels() {
			if strings.HasPrefix(name, "rbac.authorization.k8s.io/") {
				content["label "+name] = value
			}
		}
		reduced[key(object)] = content
	}
	return reduced
}

func TestChartAndKustomizeGrantTheSame(t *testing.T) {
	t.Parallel()
	groups := []string{"rbac.authorization.k8s.io/", "/ServiceAccount", "admissionregistration.k8s.io/"}
	kustomize, chart := meaning(renderKustomize(t, kustomization), groups...), meaning(renderChart(t), groups...)
	if len(kustomize) < 10 {
		t.Fatalf("config/default renders %d objects that grant rights: the comparison below would prove nothing", len(kustomize))
	}
	if diff := cmp.Diff(kustomize, chart); diff != "" {
		t.Errorf("rights differ (- config/default, + chart):\n%s", diff)
	}
}

func TestChartAndKustomizeRunTheSame(t *testing.T) {
	t.Parallel()
	groups := []string{"apps/Deployment", "/Service", "policy/PodDisruptionBudget"}
	want := meaning(withoutRollout(t, renderKustomize(t, kustomization)), groups...)
	got := meaning(withoutRollout(t, renderChart(t, "--set", "image.tag=latest")), groups...)
	for _, name := range []string{"Deployment introspection-system/controller", "Deployment introspection/webhook"} {
		if want[name] == nil {
			t.Fatalf("config/default renders no %s", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what runs differs (- config/default, + chart):\n%s", diff)
	}
}

func TestChartAndKustomizeWatchTheSame(t *testing.T) {
	t.Parallel()
	const group = "monitoring.coreos.com/"
	want := meaning(renderKustomize(t, "../../config/prometheus"), group)
	got := meaning(renderChart(t, "--set", "metrics.podMonitor.enabled=true,metrics.prometheusRule.enabled=true"), group)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("monitoring differs (- config/prometheus, + chart):\n%s", diff)
	}
}

func TestChartAndKustomizeShowTheSame(t *testing.T) {
	t.Parallel()
	const name = "ConfigMap introspection-system/introspection-dashboards"
	want := find(t, renderKustomize(t, "../../config/prometheus"), name)
	got := find(t, renderChart(t, "--set", "metrics.dashboards.enabled=true"), name)
	for _, object := range []*unstructured.Unstructured{want, got} {
		if object.GetLabels()["grafana_dashboard"] != "1" {
			t.Errorf("%s: Grafana's sidecar does not find it", object.GetName())
		}
	}
	show := func(object *unstructured.Unstructured) map[string]any {
		files, _, err := unstructured.NestedStringMap(object.Object, "data")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d files: %v", len(files), err)
		}
		parsed := map[string]any{}
		for file, content := range files {
			var dashboard any
			if err := json.Unmarshal([]byte(content), &dashboard); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			parsed[file] = dashboard
		}
		return parsed
	}
	if diff := cmp.Diff(show(want), show(got)); diff != "" {
		t.Errorf("dashboards differ (- config/prometheus, + chart):\n%s", diff)
	}
}

// withoutRollout removes how each rolls its pods when the configuration changes.
func withoutRollout(t *testing.T, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		unstructured.RemoveNestedField(object.Object, "spec", "template", "metadata")
		volumes, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "volumes")
		if err != nil {
			t.Fatal(err)
		}
		for _, volume := range volumes {
			if source, ok := volume.(map[string]any)["configMap"].(map[string]any); ok {
				source["name"], _, _ = strings.Cut(source["name"].(string), "-config")
			}
		}
		if len(volumes) == 0 {
			continue
		}
		if err := unstructured.SetNestedSlice(object.Object, volumes, "spec", "template", "spec", "volumes"); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

func TestChartShipsTheGeneratedCRDs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no generated CRDs: %v", err)
	}
	var generated []*unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		generated = append(generated, decode(t, content)...)
	}
	rendered := renderChart(t)
	const group = "apiextensions.k8s.io/"
	if diff := cmp.Diff(meaning(generated, group), meaning(rendered, group)); diff != "" {
		t.Errorf("CRDs differ (- config/crd/bases, + chart):\n%s", diff)
	}
	for _, object := range rendered {
		if object.GetKind() == "CustomResourceDefinition" && object.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s is not kept at uninstallation: every object would go with it", object.GetName())
		}
	}
}
