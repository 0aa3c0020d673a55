// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/tls"
	"testing"
)

// ControlPlaneForTest is StartControlPlane for one test, stopped at its end.
func ControlPlaneForTest(tb testing.TB, opts ControlPlaneOptions) *ControlPlane {
	tb.Helper()
	cp, err := StartControlPlane(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, cp.Stop()) })
	return cp
}

// KeycloakForTest is StartKeycloak for one test, stopped at its end. An empty
// Dir is a temporary one.
func KeycloakForTest(tb testing.TB, opts KeycloakOptions) *Keycloak {
	tb.Helper()
	if opts.Dir == "" {
		opts.Dir = tb.TempDir()
	}
	kc, err := StartKeycloak(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, kc.Stop(context.Background())) })
	return kc
}

// NginxForTest is StartNginx for one test, stopped at its end.
func NginxForTest(tb testing.TB, conf string) *Nginx {
	tb.Helper()
	nginx, err := StartNginx(tb.Context(), conf, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, nginx.Stop()) })
	return nginx
}

// CaddyForTest is StartCaddy for one test, stopped at its end.
func CaddyForTest(tb testing.TB, caddyfile string) *Caddy {
	tb.Helper()
	caddy, err := StartCaddy(tb.Context(), caddyfile, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, caddy.Stop()) })
	return caddy
}

// EnvoyForTest is StartEnvoy for one test, stopped at its end.
func EnvoyForTest(tb testing.TB, conf string) *Envoy {
	tb.Helper()
	envoy, err := StartEnvoy(tb.Context(), conf, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, envoy.Stop()) })
	return envoy
}

// CAForTest is NewCA.
func CAForTest(tb testing.TB) *CA {
	tb.Helper()
	ca, err := NewCA()
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// CertificateForTest is a certificate of the authority, with its key.
func (c *CA) CertificateForTest(tb testing.TB, names Names) tls.Certificate {
	tb.Helper()
	certPEM, keyPEM, err := c.Issue(names)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// FreePortForTest is FreePort.
func FreePortForTest(tb testing.TB) int {
	tb.Helper()
	port, err := FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

func stopped(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}
