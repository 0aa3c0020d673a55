// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// start has the parts running, and the operator installed.
func (d *demo) start(ctx context.Context) error {
	d.say("A throw-away control plane (etcd, kube-apiserver, kube-controller-manager); "+
		"%s, over TLS; the operator's two processes. All on 127.0.0.1.", d.facts.parts)
	d.say("Logs and files: %s", d.dir)
	if err := d.writeCertificates(); err != nil {
		return err
	}
	err := d.during("control plane and authorization server are up", func() error {
		parts, ctx := errgroup.WithContext(ctx)
		parts.Go(func() error { return d.startControlPlane(ctx) })
		parts.Go(func() error { return d.server.start(ctx) })
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
	d.say("The platform team: the server's CA; how the operator signs in there (%s); "+
		"and a namespace that may use the server.", d.facts.signsIn)
	for _, line := range []string{
		"kubectl create configmap corp-ca -n introspection-system --from-file=ca.crt=" + serverCA,
		d.facts.secret,
		"kubectl apply -f namespace.yaml",
	} {
		if _, err := d.run(ctx, line); err != nil {
			return err
		}
	}
	d.say("")
	d.say("Then the three objects: %s, with this server's address and CA. The policy also names identity headers, "+
		"and bounds revocation to %s instead of 30s: we shall wait for it.", filepath.Join("config/samples", d.facts.sample), maxAge)
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
	samples, err := filepath.Rel(filepath.Join(d.dir, "samples"), filepath.Join(d.root, "config", "samples", d.facts.sample))
	if err != nil {
		return fmt.Errorf("finding config/samples: %w", err)
	}
	kustomization := `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [` + samples + `]
patches:
  - target: {kind: ClusterAuthorizationServer}
    patch: |-
      - {op: replace, path: /spec/issuer, value: "` + d.facts.issuer + `"}
      - {op: add, path: /spec/connection, value: ` + d.facts.connection + `}
  - target: {kind: TokenPolicy}
    patch: |-
      - {op: add, path: /spec/freshness, value: {maxAge: ` + maxAge + `}}
      - op: add
        path: /spec/respond
        value: {headers: [{name: X-Auth-Subject, claim: sub}, {name: X-Auth-Username, claim: username}]}
`
	patches := make([]string, 0, len(d.facts.patches))
	for kind, patch := range d.facts.patches {
		patches = append(patches, "  - target: {kind: "+kind+"}\n    patch: |-\n      - "+patch+"\n")
	}
	slices.Sort(patches)
	kustomization += strings.Join(patches, "")
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
