// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startControllerManager runs the controllers a control plane without nodes
// needs, signed in as a cluster has it: each with its own service account.
func (cp *ControlPlane) startControllerManager(ctx context.Context, assets string, opts ControlPlaneOptions) error {
	user, err := cp.env.AddUser(envtest.User{Name: "system:kube-controller-manager"}, nil)
	if err != nil {
		return fmt.Errorf("adding the controller manager's user: %w", err)
	}
	kubeconfig := filepath.Join(opts.DataDir, "kube-controller-manager.kubeconfig")
	if err := cp.WriteKubeconfig(kubeconfig, user.Config()); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	certs := cp.env.ControlPlane.GetAPIServer().CertDir
	cmd := exec.Command(filepath.Join(assets, "kube-controller-manager"), //nolint:noctx // of make envtest; ends with Stop, not with the start's context
		"--kubeconfig="+kubeconfig,
		"--controllers="+strings.Join([]string{
			"garbage-collector-controller", "namespace-controller",
			"clusterrole-aggregation-controller", "serviceaccount-controller",
		}, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+filepath.Join(certs, "sa-signer.key"),
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(port),
		"--cert-dir="+filepath.Join(opts.DataDir, "kube-controller-manager"),
	)
	cp.manager, err = startChild(cmd, filepath.Join(opts.LogDir, "kube-controller-manager.log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, controlPlaneStart)
	defer cancel()
	client := &http.Client{
		Timeout: 5 * time.Second,
		// Its certificate is its own and made at start; only health is asked.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // see above
	}
	defer client.CloseIdleConnections()
	return cp.manager.await(ctx, func(ctx context.Context) error {
		return answersOK(ctx, client, "https://127.0.0.1:"+strconv.Itoa(port)+"/healthz")
	})
}

// answersOK is nil if a GET of url is answered 200.
func answersOK(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(url + " answers " + resp.Status)
	}
	return nil
}
