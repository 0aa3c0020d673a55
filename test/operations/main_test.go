// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operations_test does what docs/operations.md and docs/restore.md say: their commands, with bash, kubectl and
// kcadm.sh, on two clusters with the operator's processes and one Keycloak.
package operations_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

const (
	tree     = "../.."
	patience = 2 * time.Minute
	// signInSecret is the operator's at first.
	signInSecret = "the-operators-own-secret"
	// administrator stands for the realm's people; the page leaves the sign-in of kcadm.sh to them.
	administrator, administratorSecret = "administrator", "the-administrators-secret"
	// apiScope is what the sample's policy asks of a token.
	apiScope = "orders.read"
)

// world is what the page is about. The tasks are done one after the other, since they are about the
// same objects.
type world struct {
	idp        *keycloak.Server
	old, young cluster // the contexts old and new of the page
	dir        string
	path       string // the PATH with kubectl and kcadm.sh
	kubeconfig string
	program    string

	mu      sync.Mutex
	running map[string]*exec.Cmd // by the file of its log
}

// cluster is an API server with our processes on it.
type cluster struct {
	client.Client

	name       string
	plane      *env.ControlPlane
	controller []string // the command line of its controller
}

var w = world{running: map[string]*exec.Cmd{}}

func TestMain(m *testing.M) {
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if w.dir, err = os.MkdirTemp("", "introspection-operations-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	w.idp = keycloak.New(keycloak.Options{Clients: []keycloak.Client{
		keycloak.Operator("introspection-operator", signInSecret),
		keycloak.Operator(administrator, administratorSecret),
		{ID: "web", Secret: "web-secret", Scopes: []string{apiScope}},
	}})
	w.idp.Start()
	defer w.idp.Close()
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.start(ctx); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// start brings up both clusters, and the tools of whoever reads the page.
func (w *world) start(ctx context.Context) error {
	w.program, w.kubeconfig = filepath.Join(w.dir, "introspection-operator"), filepath.Join(w.dir, "kubeconfig")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", w.program, tree).CombinedOutput(); err != nil {
		return fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	contexts := clientcmdapi.NewConfig()
	w.old.name, w.young.name = "old", "new"
	for _, c := range []*cluster{&w.old, &w.young} {
		if err := c.start(ctx, c == &w.old); err != nil {
			return err
		}
		addContext(contexts, c.name, c.plane.Config())
	}
	contexts.CurrentContext = w.old.name
	if err := clientcmd.WriteToFile(*contexts, w.kubeconfig); err != nil {
		return fmt.Errorf("writing the contexts: %w", err)
	}
	if err := w.tools(ctx); err != nil {
		return err
	}
	return errors.Join(w.old.prepare(ctx), w.young.prepare(ctx), w.operate(&w.old), w.operate(&w.young))
}

func (c *cluster) start(ctx context.Context, collects bool) error {
	var err error
	if c.plane, err = env.StartControlPlane(ctx, env.ControlPlaneOptions{ControllerManager: collects, CRDPaths: []string{tree + "/config/crd/bases"}}); err != nil {
		return fmt.Errorf("starting cluster %s: %w", c.name, err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	c.Client, err = client.New(c.plane.Config(), client.Options{Scheme: scheme})
	return err
}

func addContext(to *clientcmdapi.Config, name string, c *rest.Config) {
	to.Clusters[name] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	to.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.BearerToken, ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}
	to.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
}

// tools puts kubectl and a signed-in kcadm.sh onto the PATH.
func (w *world) tools(ctx context.Context) error {
	kcadm, err := (&env.Keycloak{}).Kcadm()
	if err != nil {
		return err
	}
	bin := filepath.Join(w.dir, "bin")
	// It has a configuration of its own, or it writes into the home directory.
	wrapper := "#!/bin/sh\nexec " + kcadm + ` "$@" --config ` + filepath.Join(w.dir, "kcadm.config") + "\n"
	if err := errors.Join(
		os.MkdirAll(bin, 0o700),
		os.Symlink(w.old.plane.Kubectl(), filepath.Join(bin, "kubectl")),
		os.WriteFile(filepath.Join(bin, "kcadm.sh"), []byte(wrapper), 0o700),
	); err != nil {
		return err
	}
	w.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	return w.signInKcadm(ctx)
}

// signInKcadm does what the page leaves to the realm's people.
func (w *world) signInKcadm(ctx context.Context) error {
	out, err := w.bash(ctx, w.dir, "kcadm.sh config credentials --server "+w.idp.URL()+" --realm acme --client "+administrator+" --secret "+administratorSecret)
	if err != nil {
		return fmt.Errorf("signing kcadm.sh in: %w\n%s", err, out)
	}
	return nil
}

// bash runs commands as they stand, and fails with the first that does.
func (w *world) bash(ctx context.Context, dir, commands string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+w.path, "KUBECONFIG="+w.kubeconfig)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// operate runs both processes of the operator on a cluster.
func (w *world) operate(c *cluster) error {
	kubeconfig, config := filepath.Join(w.dir, c.name+".kubeconfig"), filepath.Join(w.dir, "webhook.yaml")
	if err := errors.Join(c.plane.WriteKubeconfig(kubeconfig, c.plane.Config()), os.WriteFile(config, nil, 0o600)); err != nil {
		return err
	}
	var address [4]string
	for i := range address {
		port, err := env.FreePort()
		if err != nil {
			return err
		}
		address[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	common := []string{"--kubeconfig=" + kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	c.controller = append([]string{
		"controller", "--allow-insecure-loopback", "--leader-elect=false",
		"--drift-interval=1s", "--webhook-url=https://" + address[0],
	}, common...)
	return errors.Join(
		w.run(c.controllerLog(), c.controller...),
		w.run(c.name+"-webhook.log", append([]string{
			"webhook", "--config=" + config, "--introspection-bind-address=" + address[0],
			"--forward-auth-bind-address=" + address[1], "--ext-authz-bind-address=" + address[2], "--token-review-bind-address=" + address[3],
			"--introspection-url=https://" + address[0],
		}, common...)...),
	)
}

func (c *cluster) controllerLog() string { return c.name + "-controller.log" }

func (w *world) run(log string, args ...string) error {
	out, err := os.OpenFile(filepath.Join(w.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(w.program, args...) //nolint:noctx // it ends with halt
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return errors.Join(err, out.Close())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[log] = cmd
	return out.Close() // the process has its own
}

// halt ends a process, if it runs.
func (w *world) halt(log string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	cmd := w.running[log]
	if cmd == nil {
		return nil
	}
	delete(w.running, log)
	return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
}

// runs says whether a cluster's controller was started and not halted.
func (w *world) runs(c *cluster) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[c.controllerLog()] != nil
}

// stop ends what start began.
func (w *world) stop() error {
	var errs []error
	for _, log := range slices.Collect(maps.Keys(w.running)) {
		errs = append(errs, w.halt(log))
	}
	for _, c := range []*cluster{&w.old, &w.young} {
		if c.plane != nil {
			errs = append(errs, c.plane.Stop())
		}
	}
	return errors.Join(errs...)
}
