// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

const (
	issuer      = "https://sso.example.com/realms/acme"
	canaryToken = "canary.token.value"
)

var credential = introspect.Credential{ClientID: "shop.orders", Secret: "canary-secret"}

// serve is an authorization server over TLS, and a client of it.
func serve(t *testing.T, handler http.HandlerFunc, change ...func(*introspect.Options)) *introspect.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	opts := introspect.Options{
		Endpoint: server.URL + "/introspect", Issuer: issuer, Timeout: 10 * time.Second,
		CAPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
	for _, f := range change {
		f(&opts)
	}
	client, err := introspect.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// noCanary: neither token nor secret, nor a word of the answer.
func noCanary(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "canary") {
			t.Errorf("the error holds what is secret: %s", text)
		}
	}
}

// serveClient trusts the CA of the options.
func serveClient(t *testing.T, o *introspect.Options) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig(t, o.CAPEM)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func tlsConfig(t *testing.T, caPEM []byte) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
