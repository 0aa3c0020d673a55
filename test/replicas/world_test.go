// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

const (
	root             = "../.."
	systemNamespace  = "introspection-system"
	webhookNamespace = "introspection"
	tenantNamespace  = "shop"
	realmName        = "acme"
	gatewaySAN       = "edge.example.com"
	meshSAN          = "mesh.example.com"
	apiServerSAN     = "kube-apiserver"
)

// shared is the world that the tests stand in, until one of them breaks it for good.
var shared *world

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	code := m.Run()
	if shared != nil {
		if err := shared.end(code == 0); err != nil {
			log.Print(err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is everything that runs.
type world struct {
	dir      string
	ends     []func() error
	plane    *env.ControlPlane
	kube     client.Client
	keycloak *env.Keycloak
	// wire stands between the replicas and the API server.
	wire *wire
	// proxy stands between the operator and Keycloak; what is injected there goes wrong.
	proxy      *fault.Server
	controller *process
	replicas   [2]*replica
	// callers prove themselves with certificates of this authority, Keycloak of that.
	callers, idp *env.CA
	plain        *http.Client // to health ports
	direct       *http.Client // to Keycloak, past the proxy

	operatorSecret, password string
}

// replica is one webhook process, and where it listens.
type replica struct {
	*process

	introspection, forwardAuth, extAuthz, tokenReview string
}

// stand is the world, started if there is none.
func stand(t *testing.T) *world {
	t.Helper()
	if shared != nil {
		return shared
	}
	dir, err := os.MkdirTemp("", "introspection-replicas-") //nolint:usetesting // it outlives this test, and one that fails keeps it
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("logs and files: %s", dir)
	shared = &world{dir: dir, operatorSecret: rand.Text(), password: rand.Text()}
	if err := shared.start(t.Context()); err != nil {
		t.Fatal(errors.Join(err, spend(false)))
	}
	return shared
}

// spend ends the world. The next test starts another one.
func spend(good bool) error {
	w := shared
	shared = nil
	return w.end(good)
}

func (w *world) end(good bool) error {
	var errs []error
	for _, end := range slices.Backward(w.ends) {
		errs = append(errs, end())
	}
	w.ends = nil
	if good {
		errs = append(errs, os.RemoveAll(w.dir))
	} else {
		log.Printf("logs and files are kept: %s", w.dir)
	}
	return errors.Join(errs...)
}

func (w *world) start(ctx context.Context) error {
	w.plain = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	if err := w.writeCertificates(); err != nil {
		return err
	}
	w.ends = append(w.ends, w.stopParts)
	binary := filepath.Join(w.dir, "introspection-operator")
	parts, partsCtx := errgroup.WithContext(ctx)
	parts.Go(func() error { return w.startControlPlane(partsCtx) })
	parts.Go(func() error { return w.startKeycloak(partsCtx) })
	parts.Go(func() error { // as make build does, so that what is built is not built anew
		return command(partsCtx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", binary, root)
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	if err := w.startProxy(); err != nil {
		return err
	}
	if err := w.startOperator(ctx, binary); err != nil {
		return err
	}
	return w.apply(ctx)
}

// stopParts stops what is there.
func (w *world) stopParts() error {
	var errs []error
	if w.plane != nil {
		errs = append(errs, w.plane.Stop())
	}
	if w.keycloak != nil {
		errs = append(errs, w.keycloak.Stop(context.Background()))
	}
	return errors.Join(errs...)
}

func command(ctx context.Context, environment []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (w *world) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (w *world) writeCertificates() error {
	var err error
	if w.callers, err = env.NewCA(); err != nil {
		return err
	}
	if w.idp, err = env.NewCA(); err != nil {
		return err
	}
	w.direct = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.idp.Pool(), MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64,
	}}
	cert, key, err := w.idp.Issue(env.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		return err
	}
	return errors.Join(w.write("keycloak.crt", cert), w.write("keycloak.key", key), w.write("callers.crt", w.callers.PEM()))
}

func (w *world) startControlPlane(ctx context.Context) error {
	var err error
	w.plane, err = env.StartControlPlane(ctx, env.ControlPlaneOptions{
		DataDir: filepath.Join(w.dir, "control-plane"), LogDir: filepath.Join(w.dir, "logs"),
	})
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if w.kube, err = client.New(w.plane.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	kubeconfig := filepath.Join(w.dir, "admin.kubeconfig")
	if err := w.plane.WriteKubeconfig(kubeconfig, w.plane.Config()); err != nil {
		return err
	}
	// There is nobody who starts pods: the Deployments among it do nothing.
	kubectl := []string{"--kubeconfig", kubeconfig}
	if err := command(ctx, nil, w.plane.Kubectl(), append(kubectl, "apply", "--server-side", "-k", root+"/config/default")...); err != nil {
		return err
	}
	return command(ctx, nil, w.plane.Kubectl(), append(kubectl, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")...)
}

func (w *world) startKeycloak(ctx context.Context) error {
	realm, err := os.ReadFile("../demo/realm.json")
	if err != nil {
		return fmt.Errorf("reading the realm: %w", err)
	}
	filled := strings.NewReplacer("@OPERATOR_SECRET@", w.operatorSecret, "@ALICE_PASSWORD@", w.password).Replace(string(realm))
	if err := w.write("acme-realm.json", []byte(filled)); err != nil {
		return err
	}
	w.keycloak, err = env.StartKeycloak(ctx, env.KeycloakOptions{
		Dir: filepath.Join(w.dir, "keycloak"), RealmFiles: []string{filepath.Join(w.dir, "acme-realm.json")}, DevFile: true,
		CertFile: filepath.Join(w.dir, "keycloak.crt"), KeyFile: filepath.Join(w.dir, "keycloak.key"),
	})
	return err
}

// startProxy puts the proxy before Keycloak. It hands the Host on: `iss` comes of it.
func (w *world) startProxy() error {
	target, err := url.Parse(w.keycloak.URL())
	if err != nil {
		return fmt.Errorf("reading Keycloak's URL: %w", err)
	}
	w.proxy = fault.Serve(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: w.direct.Transport,
		// Keycloak is down at times: that is no news.
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
	}, true)
	w.proxy.Start()
	w.ends = append(w.ends, func() error { w.proxy.Close(); return nil })
	return nil
}
