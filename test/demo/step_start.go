// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// start has the parts running, and the operator installed.
func (d *demo) start(ctx context.Context) error {
	d.say("A throw-away control plane (etcd, kube-apiserver, kube-controller-manager), a real Keycloak")
	d.say("over TLS, and the operator's two processes, on 127.0.0.1. Logs and files: %s", d.dir)
	if err := d.writeCertificates(); err != nil {
		return err
	}
	err := d.during("control plane and Keycloak are up", func() error {
		parts, ctx := errgroup.WithContext(ctx)
		parts.Go(func() error { return d.startControlPlane(ctx) })
		parts.Go(func() error { return d.startKeycloak(ctx) })
		return parts.Wait()
	})
	if err != nil {
		return err
	}
	if err := d.install(ctx); err != nil {
		return err
	}
	return d.during("controller and webhook are up", func() error { return d.startOperator(ctx) })
}

// applyObjects is what the platform team and the application team do.
func (d *demo) applyObjects(ctx context.Context) error {
	if err := d.writeObjects(ctx); err != nil {
		return err
	}
	d.say("The platform team: the CA of Keycloak, how the operator signs in there (a client with")
	d.say("realm-management/manage-clients and no other right), and a namespace that may use the server.")
	for _, line := range []string{
		"kubectl create configmap corp-ca -n introspection-system --from-file=ca.crt=" + keycloakCA,
		"kubectl create secret generic keycloak-operator -n introspection-system \\\n      --from-literal=client_id=introspection-operator --from-file=client_secret=operator.secret",
		"kubectl apply -f namespace.yaml",
	} {
		if _, err := d.run(ctx, line); err != nil {
			return err
		}
	}
	d.say("")
	d.say("Then the three objects: config/samples, with this Keycloak's address and CA, and time for a server")
	d.say("that has just started. The policy also names two identity headers, and bounds revocation to %s", maxAge)
	d.say("instead of 30s: we shall wait for it.")
	for _, line := range []string{
		"cat objects.yaml",
		"kubectl apply -f objects.yaml",
		"kubectl wait --for=condition=Ready casrv/corporate ic/orders tp/orders -n shop --timeout=60s",
	} {
		if _, err := d.run(ctx, line); err != nil {
			return err
		}
	}
	return d.collectSecrets(ctx)
}

// writeObjects renders config/samples with what is particular to this run.
func (d *demo) writeObjects(ctx context.Context) error {
	// Kustomize takes no absolute path.
	samples, err := filepath.Rel(filepath.Join(d.dir, "samples"), filepath.Join(d.root, "config", "samples"))
	if err != nil {
		return fmt.Errorf("finding config/samples: %w", err)
	}
	kustomization := `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [` + samples + `]
patches:
  - target: {kind: ClusterAuthorizationServer}
    patch: |-
      - {op: replace, path: /spec/issuer, value: "` + d.issuer + `"}
      - {op: add, path: /spec/connection, value: {caBundle: {name: corp-ca}, timeout: 10s}}
  - target: {kind: TokenPolicy}
    patch: |-
      - {op: add, path: /spec/freshness, value: {maxAge: ` + maxAge + `}}
      - op: add
        path: /spec/respond
        value: {headers: [{name: X-Auth-Subject, claim: sub}, {name: X-Auth-Username, claim: username}]}
`
	if err := d.write(filepath.Join("samples", "kustomization.yaml"), kustomization); err != nil {
		return err
	}
	if err := d.write("operator.secret", d.operatorSecret); err != nil {
		return err
	}
	rendered, err := d.shell(ctx, "kubectl kustomize samples")
	if err != nil {
		return err
	}
	var namespace, objects []string
	for doc := range strings.SplitSeq(rendered, "\n---\n") {
		if strings.Contains(doc, "\nkind: Namespace\n") {
			namespace = append(namespace, doc)
		} else {
			objects = append(objects, strings.TrimSpace(doc))
		}
	}
	if err := d.write("namespace.yaml", strings.Join(namespace, "\n---\n")); err != nil {
		return err
	}
	return d.write("objects.yaml", strings.Join(objects, "\n---\n")+"\n")
}
