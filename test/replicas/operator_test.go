// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// signIns writes how the processes sign in at the API server, each as its ServiceAccount.
func (w *world) signIns(ctx context.Context) error {
	for name, namespace := range map[string]string{"controller": systemNamespace, "webhook": webhookNamespace} {
		config, err := w.plane.ServiceAccountConfig(ctx, namespace, name)
		if err != nil {
			return err
		}
		if name == "webhook" {
			server, err := url.Parse(config.Host)
			if err != nil {
				return fmt.Errorf("reading the API server's URL: %w", err)
			}
			if w.wire, err = lay(server.Host); err != nil {
				return err
			}
			w.ends = append(w.ends, w.wire.cut)
			config.Host = "https://" + w.wire.listener.Addr().String()
		}
		if err := w.plane.WriteKubeconfig(filepath.Join(w.dir, name+".kubeconfig"), config); err != nil {
			return err
		}
	}
	return nil
}

// startOperator runs one controller and the replicas.
func (w *world) startOperator(ctx context.Context, binary string) error {
	if err := errors.Join(w.signIns(ctx), w.write("webhook.yaml", []byte(w.config()))); err != nil {
		return err
	}
	for i := range w.replicas {
		r := &replica{process: &process{binary: binary, log: filepath.Join(w.dir, "logs", "webhook-"+strconv.Itoa(i)+".log")}}
		if err := addresses(&r.introspection, &r.forwardAuth, &r.extAuthz, &r.tokenReview, &r.health); err != nil {
			return err
		}
		r.args = []string{
			"webhook", "--kubeconfig=" + filepath.Join(w.dir, "webhook.kubeconfig"), "--config=" + filepath.Join(w.dir, "webhook.yaml"),
			"--metrics-bind-address=0", "--health-probe-bind-address=" + r.health,
			"--introspection-bind-address=" + r.introspection, "--forward-auth-bind-address=" + r.forwardAuth,
			"--ext-authz-bind-address=" + r.extAuthz, "--token-review-bind-address=" + r.tokenReview,
		}
		w.replicas[i] = r
	}
	w.controller = &process{binary: binary, log: filepath.Join(w.dir, "logs", "controller.log")}
	if err := addresses(&w.controller.health); err != nil {
		return err
	}
	// Both replicas are one Service to their callers.
	service := "https://" + w.replicas[0].introspection
	w.controller.args = []string{
		"controller", "--kubeconfig=" + filepath.Join(w.dir, "controller.kubeconfig"), "--metrics-bind-address=0",
		"--health-probe-bind-address=" + w.controller.health, "--webhook-url=" + service, "--authorize-url=https://" + w.replicas[0].forwardAuth,
	}
	w.ends = append(w.ends, w.controller.stop)
	if err := w.controller.start(ctx, w.plain); err != nil {
		return fmt.Errorf("the controller: %w", err)
	}
	for i, r := range w.replicas {
		r.args = append(r.args, "--introspection-url="+service)
		w.ends = append(w.ends, r.stop)
		if err := r.start(ctx, w.plain); err != nil {
			return fmt.Errorf("replica %d: %w", i, err)
		}
	}
	return nil
}

func addresses(all ...*string) error {
	for _, address := range all {
		port, err := env.FreePort()
		if err != nil {
			return err
		}
		*address = "127.0.0.1:" + strconv.Itoa(port)
	}
	return nil
}

// config lets two gateways and the API server ask.
func (w *world) config() string {
	ca := "clientCAFile: " + filepath.Join(w.dir, "callers.crt")
	return "gateways:\n" +
		"- {name: edge, kind: Nginx, authenticate: {" + ca + ", certificateSAN: " + gatewaySAN + "}}\n" +
		"- {name: mesh, kind: EnvoyGRPC, authenticate: {" + ca + ", certificateSAN: " + meshSAN + "}}\n" +
		"tokenReview: {" + ca + ", certificateSAN: " + apiServerSAN + ", policies: [" + strings.Join(listed(), ", ") + "]," +
		" usernamePrefix: 'oidc:', groupsPrefix: 'oidc:'}\n"
}

// certificate of a caller.
func (w *world) certificate(name string) (tls.Certificate, error) {
	certPEM, keyPEM, err := w.callers.Issue(env.Names{DNS: []string{name}})
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// trusting is what the mounted Secret's ca.crt says.
func trusting(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca.crt of the mounted Secret holds no certificate")
	}
	return pool, nil
}
