// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// controlPlaneStart bounds the start of one program on a machine that does
// other things too.
const controlPlaneStart = 90 * time.Second

// ControlPlaneOptions says what to start.
type ControlPlaneOptions struct {
	// ControllerManager adds garbage collection, namespace deletion, role
	// aggregation and default service accounts.
	ControllerManager bool
	// ServiceAccountIssuer, if set, is the https URL that ServiceAccount tokens name as their issuer.
	// Whoever serves it passes on what the API server publishes at
	// /.well-known/openid-configuration and /openid/v1/jwks.
	ServiceAccountIssuer string
	// APIServerFlags are further flags of the API server, by their names without dashes.
	APIServerFlags map[string]string
	// CRDPaths are files or directories of CRDs to install.
	CRDPaths []string
	// DataDir takes etcd's data and the API server's keys. Default: a temporary
	// directory, removed by Stop.
	DataDir string
	// LogDir takes a log per program. Default: logs in DataDir.
	LogDir string
}

// ControlPlane is a running kube-apiserver with etcd, RBAC and admission as in
// a cluster, and no nodes: pods stay pending.
type ControlPlane struct {
	env       *envtest.Environment
	config    *rest.Config
	manager   *child
	kubectl   string
	logs      []io.Closer
	temporary string
}

// StartControlPlane starts what make envtest installed. On an error nothing is
// left running; ctx bounds the start only.
func StartControlPlane(ctx context.Context, opts ControlPlaneOptions) (*ControlPlane, error) {
	assets, err := findAssets(opts.ControllerManager)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{}
	if opts.DataDir == "" {
		if cp.temporary, err = os.MkdirTemp("", "introspection-control-plane-"); err != nil {
			return nil, fmt.Errorf("making the data directory: %w", err)
		}
		opts.DataDir = cp.temporary
	}
	if opts.LogDir == "" {
		opts.LogDir = filepath.Join(opts.DataDir, "logs")
	}
	if err := cp.start(ctx, assets, opts); err != nil {
		return nil, errors.Join(err, cp.stop(context.WithoutCancel(ctx)))
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context, assets string, opts ControlPlaneOptions) error {
	if err := cp.configure(assets, opts); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}
	var err error
	if cp.config, err = cp.env.Start(); err != nil {
		return fmt.Errorf("starting the control plane: %w; %s", err, tail(filepath.Join(opts.LogDir, "kube-apiserver.log")))
	}
	if opts.ControllerManager {
		if err := cp.startControllerManager(ctx, assets, opts); err != nil {
			return err
		}
	}
	cp.kubectl, err = cp.findKubectl(ctx, assets, opts.DataDir)
	return err
}

func (cp *ControlPlane) configure(assets string, opts ControlPlaneOptions) error {
	etcd := filepath.Join(opts.DataDir, "etcd")
	if err := os.MkdirAll(etcd, 0o700); err != nil {
		return fmt.Errorf("making room for the control plane: %w", err)
	}
	// Always new: envtest does not read the keys of an earlier run.
	certs, err := os.MkdirTemp(opts.DataDir, "apiserver-")
	if err != nil {
		return fmt.Errorf("making room for the API server's keys: %w", err)
	}
	var logs [2]io.Writer
	for i, name := range []string{"etcd", "kube-apiserver"} {
		file, err := openLog(filepath.Join(opts.LogDir, name+".log"))
		if err != nil {
			return err
		}
		logs[i], cp.logs = file, append(cp.logs, file)
	}
	cp.env = &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        opts.CRDPaths,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: controlPlaneStart,
		ControlPlaneStopTimeout:  stopGrace,
	}
	api := cp.env.ControlPlane.GetAPIServer()
	api.CertDir, api.Out, api.Err = certs, logs[1], logs[1]
	if issuer := opts.ServiceAccountIssuer; issuer != "" {
		api.Configure().Set("service-account-issuer", issuer).Set("service-account-jwks-uri", issuer+"/openid/v1/jwks")
	}
	for name, value := range opts.APIServerFlags {
		api.Configure().Set(name, value)
	}
	cp.env.ControlPlane.Etcd = &envtest.Etcd{DataDir: etcd, Out: logs[0], Err: logs[0]}
	// The data lives as long as the run: a machine that stops takes the run along.
	cp.env.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	return nil
}

// Config signs in as cluster administrator (group system:masters).
func (cp *ControlPlane) Config() *rest.Config {
	return rest.CopyConfig(cp.config)
}

// Kubectl is the path of a kubectl fit for this server: the one on PATH if its
// version is supported, else the one of make envtest.
func (cp *ControlPlane) Kubectl() string {
	return cp.kubectl
}

// Stop ends every program of the control plane and removes its temporary data.
func (cp *ControlPlane) Stop() error {
	return cp.stop(context.Background())
}

func (cp *ControlPlane) stop(ctx context.Context) error {
	var errs []error
	if cp.manager != nil {
		errs = append(errs, cp.manager.stop(ctx))
	}
	if cp.env != nil {
		errs = append(errs, cp.env.Stop())
	}
	for _, log := range cp.logs {
		errs = append(errs, log.Close())
	}
	if cp.temporary != "" {
		errs = append(errs, os.RemoveAll(cp.temporary))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

// findAssets is the directory of the control plane's programs: KUBEBUILDER_ASSETS
// or the cache.
func findAssets(controllerManager bool) (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		cache, err := cacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "k8s")
	}
	names := []string{"etcd", "kube-apiserver", "kubectl"}
	if controllerManager {
		names = append(names, "kube-controller-manager")
	}
	for _, name := range names {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%s is missing (%w): run `make envtest`", name, err)
		}
	}
	return dir, nil
}
