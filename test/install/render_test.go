// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install_test installs what users install, kustomize and chart, on a real
// API server, and holds the identities of both processes to their rights.
package install_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	kustomization = "../../config/default"
	chart         = "../../charts/introspection-operator"
	release       = "introspection-operator"
	// kubeVersion is for rendering without a cluster: a helm built from its module guesses an old one.
	kubeVersion = "1.37.2"

	controllerNamespace = "introspection-system"
	webhookNamespace    = "introspection"
	tenantNamespace     = "shop"
)

// cached is a program that make installs into the cache of this machine.
func cached(t *testing.T, folder, program, target string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "introspection-operator", folder, program)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there (%v): run make %s", program, err, target)
	}
	return path
}

func kubectl(t *testing.T) string { t.Helper(); return cached(t, "k8s", "kubectl", "envtest") }
func helm(t *testing.T) string    { t.Helper(); return cached(t, "bin", "helm", "helm") }

// command runs a program and returns what it printed; the error holds its complaints.
func command(ctx context.Context, env []string, program string, args ...string) ([]byte, error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, errors.Join(err, errors.New(complaints.String()))
	}
	return out.Bytes(), nil
}

// must is command for what has to work.
func must(t *testing.T, env []string, program string, args ...string) []byte {
	t.Helper()
	out, err := command(t.Context(), env, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v", filepath.Base(program), strings.Join(args, " "), err)
	}
	return out
}

func renderKustomize(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	return decode(t, must(t, nil, kubectl(t), "kustomize", path))
}

func renderChart(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	args = append([]string{"template", release, chart, "--kube-version", kubeVersion, "--namespace", controllerNamespace}, args...)
	return decode(t, must(t, nil, helm(t), args...))
}

func decode(t *testing.T, manifest []byte) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// key names an object for people.
func key(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}
