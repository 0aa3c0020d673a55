// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
)

// eventually polls check until it is nil; what it says last is the failure.
func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	harness.Eventually(t, time.Minute, "what is waited for", check)
}

func TestFreePort(t *testing.T) {
	// So many that without a reservation some would come twice.
	seen := map[int]bool{}
	for range 600 {
		port := env.FreePortForTest(t)
		if seen[port] {
			t.Fatalf("port %d was handed out twice", port)
		}
		seen[port] = true
		if port >= 32768 {
			t.Errorf("port %d can be taken by an outgoing connection", port)
		}
	}
}

func TestIssue(t *testing.T) {
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	other, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	names := env.Names{DNS: []string{"gateway.test"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1).To4()}, URIs: []string{"spiffe://test/gateway"}}
	certPEM, keyPEM, err := ca.Issue(names)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("the key is a %T", pair.PrivateKey)
	}
	block, _ := pem.Decode(keyPEM)
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		t.Error("the key is in a form that Keycloak does not read:", err)
	}
	got := env.Names{DNS: pair.Leaf.DNSNames, IPs: pair.Leaf.IPAddresses, URIs: []string{pair.Leaf.URIs[0].String()}}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for reason, tc := range map[string]struct {
		pool  *x509.CertPool
		usage x509.ExtKeyUsage
		good  bool
	}{
		"a server under its CA":    {ca.Pool(), x509.ExtKeyUsageServerAuth, true},
		"a client under its CA":    {ca.Pool(), x509.ExtKeyUsageClientAuth, true},
		"nothing under another CA": {other.Pool(), x509.ExtKeyUsageServerAuth, false},
	} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: tc.pool, DNSName: "gateway.test", KeyUsages: []x509.ExtKeyUsage{tc.usage}})
		if good := err == nil; good != tc.good {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestNginx(t *testing.T) {
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), env.FreePortForTest(t)
	writeCertificate(t, ca, dir)
	address := listenAddress(port)
	nginx, err := env.StartNginx(t.Context(), `
events {}
http {
  access_log off;
  server {
    listen `+address+` ssl;
    ssl_certificate tls.crt;
    ssl_certificate_key tls.key;
    location / { return 200 "served"; }
  }
}`, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, trusting(ca), "https://"+address+"/")
	if got != "served" {
		t.Errorf("nginx answers %q", got)
	}
	if err := nginx.Stop(); err != nil {
		t.Fatal(err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		t.Error("nginx still listens after Stop", conn.Close())
	}
}

func TestNginxRefuses(t *testing.T) {
	for reason, conf := range map[string]string{
		"a configuration that listens nowhere": "events {}",
		"one that nginx does not understand":   "events {}\nhttp { server { listen " + listenAddress(env.FreePortForTest(t)) + "; nonsense; } }",
	} {
		if nginx, err := env.StartNginx(t.Context(), conf, t.TempDir()); err == nil {
			t.Errorf("%s was served", reason)
			t.Error(nginx.Stop())
		}
	}
}

func listenAddress(port int) string {
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
}

// writeCertificate puts tls.crt and tls.key for 127.0.0.1 into dir.
func writeCertificate(t *testing.T, ca *env.CA, dir string) (certFile, keyFile string) {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(env.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	err = errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

func trusting(ca *env.CA) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: ca.Pool()},
		DisableKeepAlives: true,
	}}
}

func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, client, req, http.StatusOK)
}

func do(t *testing.T, client *http.Client, req *http.Request, status int) string {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %s %s", req.Method, req.URL, resp.Status, body)
	}
	return string(body)
}

func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}
