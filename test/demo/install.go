// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
)

const (
	systemNamespace  = "introspection-system"
	webhookNamespace = "introspection"
	gatewaySAN       = "edge.example.com"
	// maxAge is the policy's bound on revocation in this story: short, since we wait for it.
	maxAge = "5s"
)

// writeCertificates makes the authorization server's certificate and the gateway's,
// each under a CA of its own, as in life.
func (d *demo) writeCertificates() error {
	server, err := env.NewCA()
	if err != nil {
		return err
	}
	gateways, err := env.NewCA()
	if err != nil {
		return err
	}
	cert, key, err := server.Issue(env.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		return err
	}
	clientCert, clientKey, err := gateways.Issue(env.Names{DNS: []string{gatewaySAN}})
	if err != nil {
		return err
	}
	var errs []error
	for name, content := range map[string][]byte{
		serverCA: server.PEM(), serverCert: cert, serverKey: key,
		gatewayCert: clientCert, gatewayKey: clientKey, "gateway-ca.crt": gateways.PEM(),
	} {
		errs = append(errs, d.write(name, string(content)))
	}
	return errors.Join(errs...)
}

func (d *demo) startControlPlane(ctx context.Context) error {
	var err error
	d.plane, err = env.StartControlPlane(ctx, env.ControlPlaneOptions{
		ControllerManager: true, DataDir: filepath.Join(d.dir, "control-plane"), LogDir: filepath.Join(d.dir, "logs"),
	})
	if err != nil {
		return err
	}
	d.atEnd("the control plane", d.plane.Stop)
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if d.kube, err = client.New(d.plane.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	bin := filepath.Join(d.dir, "bin")
	return errors.Join(
		d.plane.WriteKubeconfig(filepath.Join(d.dir, adminKubeconfig), d.plane.Config()),
		os.MkdirAll(bin, 0o700),
		os.Symlink(d.plane.Kubectl(), filepath.Join(bin, "kubectl")),
	)
}

// install applies what config/default has, but for its Deployments: there are no
// nodes here, and the two processes run beside the control plane.
func (d *demo) install(ctx context.Context) error {
	d.say("There are no nodes here: config/default is applied without its Deployments, and both")
	d.say("processes run beside it, each as the ServiceAccount that it has in a cluster.")
	rendered, err := d.shell(ctx, "kubectl kustomize "+quote(filepath.Join(d.root, "config", "default")))
	if err != nil {
		return err
	}
	filtered, err := withoutDeployments([]byte(rendered))
	if err != nil {
		return err
	}
	if err := d.write("install.yaml", string(filtered)); err != nil {
		return err
	}
	out, err := d.shell(ctx, "kubectl apply --server-side -f install.yaml && kubectl wait --for=condition=Established crd --all --timeout=60s")
	if err != nil {
		return err
	}
	d.command("kubectl apply --server-side -f install.yaml")
	d.output(strconv.Itoa(bytes.Count([]byte(out), []byte("serverside-applied"))) + " objects: CRDs, RBAC, admission policies, Services, network policies")
	return nil
}

func withoutDeployments(rendered []byte) ([]byte, error) {
	var kept bytes.Buffer
	docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rendered)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return kept.Bytes(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading config/default: %w", err)
		}
		var kind struct {
			Kind string `json:"kind"`
		}
		if err := sigsyaml.Unmarshal(doc, &kind); err != nil {
			return nil, fmt.Errorf("reading config/default: %w", err)
		}
		if kind.Kind == "Deployment" {
			continue
		}
		kept.WriteString("---\n")
		kept.Write(doc)
	}
}

// startOperator runs the real binary as its two processes.
func (d *demo) startOperator(ctx context.Context) error {
	if err := d.assignURLs(); err != nil {
		return err
	}
	for name, namespace := range map[string]string{"controller": systemNamespace, "webhook": webhookNamespace} {
		config, err := d.plane.ServiceAccountConfig(ctx, namespace, name)
		if err != nil {
			return err
		}
		d.secret(config.BearerToken)
		if err := d.plane.WriteKubeconfig(filepath.Join(d.dir, name+".kubeconfig"), config); err != nil {
			return err
		}
	}
	gateways := "gateways:\n- name: edge\n  kind: Nginx\n  authenticate:\n    clientCAFile: " + filepath.Join(d.dir, "gateway-ca.crt") +
		"\n    certificateSAN: " + gatewaySAN + "\n"
	if err := d.write("webhook.yaml", gateways); err != nil {
		return err
	}
	if err := d.startOne(ctx, "controller", d.urls.controllerHealth,
		"--webhook-url=https://"+d.urls.introspection, "--authorize-url=https://"+d.urls.authorize, "--metrics-bind-address=0"); err != nil {
		return err
	}
	return d.startOne(ctx, "webhook", d.urls.webhookHealth,
		"--config="+filepath.Join(d.dir, "webhook.yaml"), "--metrics-bind-address="+d.urls.webhookMetrics,
		"--introspection-bind-address="+d.urls.introspection, "--forward-auth-bind-address="+d.urls.authorize, "--ext-authz-bind-address=",
		"--introspection-url=https://"+d.urls.introspection, "--authorize-url=https://"+d.urls.authorize)
}

func (d *demo) assignURLs() error {
	for _, address := range []*string{
		&d.urls.introspection, &d.urls.authorize, &d.urls.webhookHealth, &d.urls.controllerHealth, &d.urls.webhookMetrics,
	} {
		port, err := env.FreePort()
		if err != nil {
			return err
		}
		*address = "127.0.0.1:" + strconv.Itoa(port)
	}
	return nil
}

func (d *demo) startOne(ctx context.Context, name, health string, args ...string) error {
	args = append([]string{name, "--kubeconfig=" + filepath.Join(d.dir, name+".kubeconfig"), "--health-probe-bind-address=" + health}, args...)
	p, err := startProcess(filepath.Join(d.root, "bin", "introspection-operator"), d.log(name), args...)
	if err != nil {
		return err
	}
	d.atEnd("the "+name, p.stop)
	err = p.await(ctx, func(ctx context.Context) error {
		a, err := request{url: "http://" + health + "/readyz"}.do(ctx, d.dir)
		if err == nil && a.status != 200 {
			err = fmt.Errorf("/readyz answers %d", a.status)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the %s: %w", name, err)
	}
	return nil
}

// mounted is the Secret that a workload of the API would mount.
func (d *demo) mounted(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := d.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "orders"}, secret); err != nil {
		return nil, fmt.Errorf("reading the Secret: %w", err)
	}
	d.secret(string(secret.Data["client_secret"]))
	return secret, nil
}
