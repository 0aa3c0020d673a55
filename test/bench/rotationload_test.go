// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
)

const (
	// callerPause is between two calls of a caller.
	callerPause = 50 * time.Millisecond
	// rotationEvery is how far apart the rotations begin.
	rotationEvery = time.Second
)

// rotations is a control plane, both planes of the operator as processes, and clients to rotate.
type rotations struct {
	kube   client.Client
	server rotationServer
	names  []string
}

func newRotations(tb testing.TB, server rotationServer, n int) *rotations {
	tb.Helper()
	ctrl.SetLogger(ctrl.Log.WithSink(nil))
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		tb.Fatal(err)
	}
	plane := env.ControlPlaneForTest(tb, env.ControlPlaneOptions{CRDPaths: []string{"../../config/crd/bases"}})
	kube, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := plane.WriteKubeconfig(kubeconfig, plane.Config()); err != nil {
		tb.Fatal(err)
	}
	config := filepath.Join(dir, "webhook.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	var address [4]string
	for i := range address {
		port, err := env.FreePort()
		if err != nil {
			tb.Fatal(err)
		}
		address[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	runOperator(tb, dir, "controller", "--kubeconfig="+kubeconfig, "--allow-insecure-loopback", "--leader-elect=false", "--instance=bench",
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--webhook-url=https://"+address[0])
	runOperator(tb, dir, "webhook", "--kubeconfig="+kubeconfig, "--config="+config, "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--introspection-bind-address="+address[0], "--forward-auth-bind-address="+address[1], "--ext-authz-bind-address="+address[2],
		"--token-review-bind-address="+address[3], "--introspection-url=https://"+address[0], "--miss-rate=100000", "--miss-burst=100000")
	r := &rotations{kube: kube, server: server}
	r.objects(tb, n)
	return r
}

// runOperator runs a command of the binary that make build made, until the test ends.
func runOperator(tb testing.TB, dir, command string, args ...string) {
	tb.Helper()
	out, err := os.Create(filepath.Join(dir, command+".log"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(operatorBinary, append([]string{command}, args...)...) //nolint:noctx // it ends with the test
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v (make build makes it)", err)
	}
	tb.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			tb.Error(err)
		}
		if err := errors.Join(cmd.Wait(), out.Close()); err != nil || tb.Failed() {
			log, _ := os.ReadFile(out.Name())
			tb.Logf("%s: %v\n%s", command, err, log)
		}
	})
}

// mounted is what a workload reads.
func (r *rotations) mounted(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: name}, secret)
	return secret, err
}

// loadReport is what a load came to.
type loadReport struct{ calls, failed, rereads, rotated int64 }

// underLoad rotates every client once while callers ask, until no overlap is left.
func (r *rotations) underLoad(tb testing.TB, callers int) loadReport {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tok, err := r.server.token(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	var group sync.WaitGroup
	var count callCount
	first := make([]*caller, callers)
	for i := range first {
		c := &caller{rotations: r, name: r.names[i%len(r.names)], token: tok, count: &count, pace: time.Duration(i+1) * rotationOverlap / 2 / time.Duration(callers)}
		first[i] = c
		harness.Eventually(tb, operatorStart, "the facade answers", func(ctx context.Context) error { return errors.Join(c.read(ctx), c.ask(ctx)) })
	}
	for _, c := range first {
		group.Go(func() { c.run(ctx) })
	}
	before := map[string]string{}
	for _, name := range r.names {
		if before[name], err = r.rotate(ctx, name); err != nil {
			tb.Fatal(err)
		}
		time.Sleep(rotationEvery)
	}
	rotated := int64(0)
	for _, name := range r.names {
		harness.Eventually(tb, operatorStart, name+" is rotated, and its overlap over", func(ctx context.Context) error { return r.retired(ctx, name, before[name]) })
		rotated++
	}
	time.Sleep(rotationEvery) // with nothing but the new ones
	cancel()
	group.Wait()
	if fault := count.fault.Load(); fault != nil {
		tb.Logf("one of the calls that failed: %v", *fault)
	}
	return loadReport{count.calls.Load(), count.failed.Load(), count.rereads.Load(), rotated}
}

// rotate asks for a rotation, and returns the fingerprint of what is in use.
func (r *rotations) rotate(ctx context.Context, name string) (before string, err error) {
	c := &v1alpha1.IntrospectionClient{}
	if err := r.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: name}, c); err != nil {
		return "", err
	}
	patch := `{"metadata":{"annotations":{"` + v1alpha1.AnnotationRotate + `":"1"}}}`
	return c.Status.Credential.Fingerprint, r.kube.Patch(ctx, c, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// retired says what is missing: another credential than before, and no other.
func (r *rotations) retired(ctx context.Context, name, before string) error {
	c := &v1alpha1.IntrospectionClient{}
	if err := r.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: name}, c); err != nil {
		return err
	}
	status := c.Status.Credential
	rotating := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionRotating)
	if status == nil || rotating == nil || rotating.Status != "False" || status.PreviousExpiresAt != nil || status.Fingerprint == before {
		return fmt.Errorf("%+v", c.Status)
	}
	return nil
}

type callCount struct {
	calls, failed, rereads atomic.Int64
	fault                  atomic.Pointer[error]
}

// caller is a workload: it asks with what it read from its mounted Secret last, and reads that again at its pace.
type caller struct {
	*rotations

	name, token string
	pace        time.Duration
	count       *callCount

	id, secret, endpoint string
	http                 *http.Client
}

func (c *caller) read(ctx context.Context) error {
	secret, err := c.mounted(ctx, c.name)
	if err != nil {
		return err
	}
	if c.http == nil {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
			return errors.New("ca.crt holds no certificate")
		}
		c.http = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	}
	if now := string(secret.Data["client_secret"]); now != c.secret {
		if c.secret != "" {
			c.count.rereads.Add(1)
		}
		c.secret = now
	}
	c.id, c.endpoint = string(secret.Data["client_id"]), string(secret.Data["introspection_endpoint"])
	return nil
}

func (c *caller) run(ctx context.Context) {
	next := time.Now().Add(c.pace)
	tick := time.NewTicker(callerPause)
	defer tick.Stop()
	for {
		if time.Now().After(next) {
			if err := c.read(ctx); err != nil && ctx.Err() == nil {
				c.fails(err)
			}
			next = time.Now().Add(c.pace)
		}
		err := c.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		c.count.calls.Add(1)
		if err != nil {
			c.fails(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *caller) fails(err error) {
	c.count.failed.Add(1)
	c.count.fault.CompareAndSwap(nil, &err)
}

// ask is one call (RFC 7662). Anything but the answer that it should get is a failure.
func (c *caller) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, strings.NewReader(url.Values{"token": {c.token}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Active *bool `json:"active"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	if resp.StatusCode != http.StatusOK || err != nil || answer.Active == nil || *answer.Active != c.server.active {
		return fmt.Errorf("%s, active %v: %w", resp.Status, answer.Active, err)
	}
	return nil
}

// clientToken is a token by the client credentials grant (RFC 6749 section 4.4).
func clientToken(ctx context.Context, endpoint, id, secret string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("no token: %s: %w", resp.Status, err)
	}
	return answer.AccessToken, nil
}
