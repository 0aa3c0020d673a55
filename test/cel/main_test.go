// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cel_test proves each rule of the objects' schemas against a real API
// server: what it refuses and in which words, what it accepts beside that, what
// it fills in, and what a user sees of it with kubectl.
package cel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// crds is where the generated CRDs are.
const crds = "../../config/crd/bases"

// namespace of the namespaced objects, as in the documentation.
const namespace = "shop"

// cluster is the one control plane of this package.
var cluster struct {
	client.Client
	kubectl    string
	kubeconfig string
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	plane, err := env.StartControlPlane(ctx, env.ControlPlaneOptions{CRDPaths: []string{crds}})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopped := plane.Stop(); err == nil {
			err = stopped
		}
	}()
	dir, err := os.MkdirTemp("", "introspection-cel-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cluster.kubectl, cluster.kubeconfig = plane.Kubectl(), filepath.Join(dir, "kubeconfig")
	if err := plane.WriteKubeconfig(cluster.kubeconfig, plane.Config()); err != nil {
		return 1, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return 1, err
	}
	if cluster.Client, err = client.New(plane.Config(), client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	if err := cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
