// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook"
)

// everyValue sets each value that becomes a flag.
const everyValue = "controller.instance=old,log.allows=100,log.format=text,log.level=debug," +
	"webhook.cacheBytes=67108864,webhook.maxSnapshotAge=1h,webhook.missRate=2.5,webhook.missBurst=10,webhook.maxConcurrent=512," +
	"webhook.tracing.endpoint=http://collector.monitoring.svc:4318,webhook.tracing.sampleRatio=0.5"

// TestProgramTakesItsArguments: the real binary knows each flag that is rendered.
func TestProgramTakesItsArguments(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "introspection-operator")
	must(t, nil, "go", "build", "-o", program, "../..")

	cases := map[string][]*unstructured.Unstructured{
		"kustomize":        renderKustomize(t, kustomization),
		"chart":            renderChart(t),
		"chart, all flags": renderChart(t, "--set", everyValue),
	}
	for name, objects := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, deployment := range []string{"Deployment introspection-system/controller", "Deployment introspection/webhook"} {
				args := arguments(t, find(t, objects, deployment))
				// It reads its flags from left to right, and stops at the last.
				if _, err := command(t.Context(), nil, program, append(args, "--help")...); err != nil {
					t.Errorf("%s: %v", deployment, err)
				}
			}
		})
	}
	if _, err := command(t.Context(), nil, program, "webhook", "--no-such-flag", "--help"); err == nil {
		t.Error("an unknown flag is accepted: what is above proves nothing")
	}
}

func arguments(t *testing.T, deployment *unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("%d containers: %v", len(containers), err)
	}
	args, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if err != nil || len(args) < 2 {
		t.Fatalf("arguments %q: %v", args, err)
	}
	return args
}

// TestProgramTakesItsConfiguration: the webhook reads what the installations write.
func TestProgramTakesItsConfiguration(t *testing.T) {
	t.Parallel()
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(map[string]any{"webhook": map[string]any{"tokenReview": map[string]any{
		"clientCA": string(ca.PEM()), "certificateSAN": "apiserver", "policies": []any{"platform/cluster"},
		"usernamePrefix": "oidc:", "groupsPrefix": "oidc:", "extraKeys": []any{"example.com/tenant"},
	}, "gateways": []any{
		map[string]any{
			"name": "nginx", "kind": "Nginx", "namespaceSelector": map[string]any{}, "podSelector": map[string]any{},
			"authenticate": map[string]any{"clientCA": string(ca.PEM()), "certificateSAN": "nginx.ingress"},
		},
		map[string]any{
			"name": "traefik", "kind": "Traefik", "namespaceSelector": map[string]any{},
			"authenticate": map[string]any{"network": "Trusted"},
		},
		map[string]any{
			"name": "caddy", "kind": "Caddy", "namespaceSelector": map[string]any{},
			"authenticate":      map[string]any{"serviceAccount": "edge/caddy"},
			"clientCertificate": map[string]any{"header": "X-Client-Cert", "format": "DER"},
		},
		map[string]any{
			"name": "istio", "kind": "EnvoyHTTP", "namespaceSelector": map[string]any{},
			"authenticate":      map[string]any{"serviceAccount": "mesh/istio"},
			"clientCertificate": map[string]any{"header": "X-Forwarded-Client-Cert", "format": "XFCC"},
		},
		map[string]any{
			"name": "envoy", "kind": "EnvoyGRPC", "namespaceSelector": map[string]any{},
			"authenticate":      map[string]any{"serviceAccount": "mesh/envoy"},
			"clientCertificate": map[string]any{"format": "PEM"},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]*unstructured.Unstructured{
		"kustomize":           renderKustomize(t, kustomization),
		"chart":               renderChart(t),
		"chart with gateways": renderChart(t, "--values", valuesFile(t, string(values))),
	}
	for name, objects := range cases {
		found := 0
		for _, object := range objects {
			content, ok, err := unstructured.NestedString(object.Object, "data", "webhook.yaml")
			if object.GetKind() != "ConfigMap" || !ok || err != nil {
				continue
			}
			found++
			if _, err := webhook.ParseConfig([]byte(content)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d files, want 1", name, found)
		}
	}
}
