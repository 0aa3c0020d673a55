// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

func TestServer(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		tls    bool
		scheme string
	}{
		"plain": {"it is called over http", false, "http://"},
		"TLS":   {"it is called over https, by who trusts its CA", true, "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s := fault.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }), tc.tls)
			if url := s.Start(); url != s.URL() {
				t.Errorf("it started at %s, and is at %s", url, s.URL())
			}
			client := &http.Client{Transport: &http.Transport{}}
			if tc.tls {
				pool := x509.NewCertPool()
				if !pool.AppendCertsFromPEM(s.CAPEM()) {
					t.Fatal("CAPEM is no certificate")
				}
				client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.BaseFor(req.URL.Host); got != s.URL() || got != tc.scheme+req.URL.Host {
				t.Errorf("the base is %s, the URL %s", got, s.URL())
			}
			status := func() int {
				resp, err := client.Do(req)
				if err != nil {
					return 0
				}
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			if got := status(); got != http.StatusAccepted || len(s.Calls()) != 1 {
				t.Errorf("status %d after %d calls", got, len(s.Calls()))
			}
			s.Close()
			if got := status(); got != 0 {
				t.Errorf("it was closed, and answers %d", got)
			}
		})
	}
}
