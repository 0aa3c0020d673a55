// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

const gateways = `
webhook:
  gateways:
  - name: nginx
    kind: Nginx
    authenticate:
      clientCA: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
      certificateSAN: nginx.ingress
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}
    podSelector: {matchLabels: {app: nginx}}
  - name: traefik
    kind: Traefik
    authenticate: {network: Trusted}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: traefik}}
  - name: caddy
    kind: Caddy
    authenticate: {serviceAccount: edge/caddy}
    clientCertificate: {header: X-Client-Cert, format: DER}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}
  - name: envoy
    kind: EnvoyGRPC
    authenticate: {serviceAccount: mesh/envoy}
    clientCertificate: {format: PEM}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: mesh}}
`

// review lets API servers ask.
const review = `
webhook:
  tokenReview:
    clientCA: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    certificateSAN: apiserver
    policies: [platform/cluster]
    usernamePrefix: "oidc:"
    groupsPrefix: "oidc:"
    extraKeys: [example.com/tenant]
networkPolicy:
  apiServerPeers: [{ipBlock: {cidr: 10.0.0.0/24}}]
`

func valuesFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValuesAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, values, want string
	}{
		"typo":                 {"a misspelt value would silently do nothing", "webhok: {replicas: 3}", "webhok"},
		"nested typo":          {"the same, one level down", "webhook: {replica: 3}", "replica"},
		"http":                 {"workloads would send credentials in the clear", "webhook: {url: 'http://webhook.introspection.svc'}", "url"},
		"no memory limit":      {"GOMEMLIMIT would be the node's memory", "webhook: {resources: {limits: null}}", "limits"},
		"unknown kind":         {"only the headers of a known kind are read", "webhook: {gateways: [{name: a, kind: HAProxy, authenticate: {network: Trusted}, namespaceSelector: {}}]}", "kind"},
		"unknown to all":       {"a gateway proves itself somehow", "webhook: {gateways: [{name: a, kind: Nginx, authenticate: {}, namespaceSelector: {}}]}", "authenticate"},
		"CA without name":      {"any certificate of that CA would be the gateway", "webhook: {gateways: [{name: a, kind: Nginx, authenticate: {clientCA: '-----BEGIN CERTIFICATE-----'}, namespaceSelector: {}}]}", "authenticate"},
		"where is the gateway": {"the NetworkPolicy would admit the whole cluster, or nobody", "webhook: {gateways: [{name: a, kind: Nginx, authenticate: {network: Trusted}}]}", "namespaceSelector"},
		"two trusted":          {"they could not be told apart", "webhook: {gateways: [{name: a, kind: Nginx, authenticate: {network: Trusted}, namespaceSelector: {}}, {name: b, kind: Traefik, authenticate: {network: Trusted}, namespaceSelector: {}}]}", "gateways"},
		"system account":       {"who may edit the policy would be the cluster's administrator", "webhook: {tokenReview: {clientCA: '-----BEGIN CERTIFICATE-----', policies: [a/b], usernamePrefix: 'system:', groupsPrefix: 'oidc:'}}", "usernamePrefix"},
		"no prefix":            {"a token could name any user of the cluster", "webhook: {tokenReview: {clientCA: '-----BEGIN CERTIFICATE-----', policies: [a/b], groupsPrefix: 'oidc:'}}", "usernamePrefix"},
		"every policy":         {"any tenant would say who gets into the cluster", "webhook: {tokenReview: {clientCA: '-----BEGIN CERTIFICATE-----', usernamePrefix: 'oidc:', groupsPrefix: 'oidc:'}}", "policies"},
		"certificate of any":   {"anybody would be the API server", "webhook: {tokenReview: {policies: [a/b], usernamePrefix: 'oidc:', groupsPrefix: 'oidc:'}}", "clientCA"},
		"no API server":        {"a rule without peers admits everybody", "networkPolicy: {apiServerPeers: []}", "apiServerPeers"},
		"format":               {"it would read nobody's certificate", "webhook: {gateways: [{name: a, kind: Caddy, authenticate: {serviceAccount: a/b}, clientCertificate: {header: X, format: JSON}, namespaceSelector: {}}]}", "format"},
		"account without home": {"namespace/name", "webhook: {gateways: [{name: a, kind: Caddy, authenticate: {serviceAccount: caddy}, namespaceSelector: {}}]}", "authenticate"},
		"old TLS":              {"1.2 is the oldest that is any good", "webhook: {minTLS: '1.1'}", "minTLS"},
		"collector":            {"gRPC is not spoken", "webhook: {tracing: {endpoint: 'collector:4317'}}", "endpoint"},
		"ratio":                {"0 to 1", "webhook: {tracing: {sampleRatio: 50}}", "sampleRatio"},
		"log level":            {"the program knows two", "log: {level: verbose}", "level"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := command(t.Context(), nil, helm(t), "template", release, chart, "--kube-version", kubeVersion, "--values", valuesFile(t, tc.values))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want a refusal that names %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestDeclaredGatewaysReachTheirPorts(t *testing.T) {
	t.Parallel()
	objects := renderChart(t, "--values", valuesFile(t, gateways))

	config, _, err := unstructured.NestedString(find(t, objects, "ConfigMap introspection/webhook-config").Object, "data", "webhook.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"gateways": []any{
		map[string]any{"name": "nginx", "kind": "Nginx", "authenticate": map[string]any{
			"clientCA": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificateSAN": "nginx.ingress",
		}},
		map[string]any{"name": "traefik", "kind": "Traefik", "authenticate": map[string]any{"network": "Trusted"}},
		map[string]any{
			"name": "caddy", "kind": "Caddy", "authenticate": map[string]any{"serviceAccount": "edge/caddy"},
			"clientCertificate": map[string]any{"header": "X-Client-Cert", "format": "DER"},
		},
		map[string]any{
			"name": "envoy", "kind": "EnvoyGRPC", "authenticate": map[string]any{"serviceAccount": "mesh/envoy"},
			"clientCertificate": map[string]any{"format": "PEM"},
		},
	}}
	if diff := cmp.Diff(want, decode(t, []byte(config))[0].Object); diff != "" {
		t.Errorf("the webhook's configuration (- want, + got):\n%s", diff)
	}

	if diff := cmp.Diff(map[string]int{"introspection": 1, "forward-auth": 3, "ext-authz": 1, "metrics": 1}, peers(t, objects)); diff != "" {
		t.Errorf("peers a port (- want, + got):\n%s", diff)
	}
}

func TestTokenReviewIsForAPIServers(t *testing.T) {
	t.Parallel()
	objects := renderChart(t, "--values", valuesFile(t, review))
	config, _, err := unstructured.NestedString(find(t, objects, "ConfigMap introspection/webhook-config").Object, "data", "webhook.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"gateways": []any{}, "tokenReview": map[string]any{
		"clientCA": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificateSAN": "apiserver", "policies": []any{"platform/cluster"},
		"usernamePrefix": "oidc:", "groupsPrefix": "oidc:", "extraKeys": []any{"example.com/tenant"},
	}}
	if diff := cmp.Diff(want, decode(t, []byte(config))[0].Object); diff != "" {
		t.Errorf("the webhook's configuration (- want, + got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"introspection": 1, "token-review": 1, "metrics": 1}, peers(t, objects)); diff != "" {
		t.Errorf("peers a port (- want, + got):\n%s", diff)
	}
}

// peers counts who is let in to each port of the webhook.
func peers(t *testing.T, objects []*unstructured.Unstructured) map[string]int {
	t.Helper()
	var policy networkingv1.NetworkPolicy
	rendered := find(t, objects, "NetworkPolicy introspection/webhook").Object
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered, &policy); err != nil {
		t.Fatal(err)
	}
	admitted := map[string]int{}
	for _, rule := range policy.Spec.Ingress {
		for _, port := range rule.Ports {
			admitted[port.Port.String()] += len(rule.From)
		}
		if len(rule.From) == 0 {
			t.Errorf("a rule without a peer admits everybody: %v", rule)
		}
	}
	return admitted
}

func TestNobodyDeclaredNoPortOpen(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(map[string]int{"introspection": 1, "metrics": 1}, peers(t, renderChart(t))); diff != "" {
		t.Errorf("peers a port (- want, + got):\n%s", diff)
	}
}

func TestChartMakesNamespaces(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		args   []string
		want   map[string]bool // name, whether it is kept at uninstallation
	}{
		"released into ours": {"it is there already: Helm would refuse to take it over", nil, map[string]bool{webhookNamespace: false}},
		"released elsewhere": {"the records outlive the chart", []string{"--namespace", "platform"}, map[string]bool{controllerNamespace: true, webhookNamespace: false}},
		"made by others":     {"by a pipeline, for example", []string{"--set", "namespaces.create=false"}, map[string]bool{}},
		"other names":        {"of the platform's choice", []string{"--namespace", "a", "--set", "namespaces.controller=b,namespaces.webhook=c"}, map[string]bool{"b": true, "c": false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]bool{}
			for _, object := range renderChart(t, tc.args...) {
				if object.GetKind() != "Namespace" {
					continue
				}
				got[object.GetName()] = object.GetAnnotations()["helm.sh/resource-policy"] == "keep"
				if object.GetLabels()["pod-security.kubernetes.io/enforce"] != "restricted" {
					t.Errorf("%s does not enforce restricted pods", object.GetName())
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (- want, + got):\n%s", tc.reason, diff)
			}
		})
	}
}

func find(t *testing.T, objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if key(object) == name {
			return object
		}
	}
	t.Fatalf("no %s was rendered", name)
	return nil
}
