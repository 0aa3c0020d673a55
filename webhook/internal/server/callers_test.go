// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// gateways declares edge (DNS) and mesh (URI), each under a CA of its own, and perhaps
// one that is trusted by network.
func gateways(t *testing.T, edge, mesh *authority, trusted bool) []server.Gateway {
	t.Helper()
	config := "gateways:\n" +
		"- name: edge\n  kind: Nginx\n  authenticate:\n      certificateSAN: nginx.edge.svc\n      clientCA: |\n        " + indented(edge.pem()) + "\n" +
		"- name: mesh\n  kind: Traefik\n  authenticate:\n      certificateSAN: spiffe://mesh/gateway\n      clientCA: |\n        " + indented(mesh.pem()) + "\n"
	if trusted {
		config += "- name: inner\n  kind: Traefik\n  authenticate: {network: Trusted}\n"
	}
	return parsed(t, config)
}

func parsed(t *testing.T, config string) []server.Gateway {
	t.Helper()
	c, err := server.ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return c.Gateways
}

func callers(gateways []server.Gateway, clock func() time.Time) *server.Callers {
	return server.NewCallers(server.CallersOptions{Gateways: gateways, Clock: clock})
}

// named answers who called.
func named(c *server.Callers) surface {
	return surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
		if g, ok := c.Identify(r); ok {
			w.Header().Set("X-Gateway", g.Name)
		}
		w.WriteHeader(http.StatusOK)
	}}
}

// TestCVE202640575OnlyDeclaredGateways: by default nobody is believed, and a certificate
// makes a gateway only if its CA and its name are those that were declared for it.
func TestCVE202640575OnlyDeclaredGateways(t *testing.T) {
	edge, mesh, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	uri, err := url.Parse("spiffe://mesh/gateway")
	if err != nil {
		t.Fatal(err)
	}
	byURI := func(c *x509.Certificate) { c.DNSNames, c.URIs = nil, []*url.URL{uri} }
	intermediate := func(under *authority) *authority {
		a := &authority{}
		a.cert, a.key = sign(t, under, &x509.Certificate{
			Subject: pkix.Name{CommonName: "intermediate"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		})
		return a
	}
	chained := func(a *authority) tls.Certificate {
		cert := a.issue(t, "nginx.edge.svc", nil)
		cert.Certificate = append(cert.Certificate, a.cert.Raw)
		return cert
	}
	cases := map[string]struct {
		reason  string
		show    []tls.Certificate
		trusted bool
		want    string
	}{
		"its certificate":          {"CA and name", []tls.Certificate{edge.issue(t, "nginx.edge.svc", nil)}, false, "edge"},
		"URI":                      {"CA and name", []tls.Certificate{mesh.issue(t, "", byURI)}, false, "mesh"},
		"intermediate":             {"the chain ends in its CA", []tls.Certificate{chained(intermediate(edge))}, false, "edge"},
		"foreign intermediate":     {"the chain ends elsewhere", []tls.Certificate{chained(intermediate(stranger))}, false, ""},
		"another's CA":             {"each gateway has its own CA", []tls.Certificate{mesh.issue(t, "nginx.edge.svc", nil)}, false, ""},
		"the other way":            {"each gateway has its own CA", []tls.Certificate{edge.issue(t, "", byURI)}, false, ""},
		"unknown CA":               {"nobody declared it", []tls.Certificate{stranger.issue(t, "nginx.edge.svc", nil)}, false, ""},
		"another name":             {"of the same CA", []tls.Certificate{edge.issue(t, "api.edge.svc", nil)}, false, ""},
		"wildcard":                 {"names are compared, not matched", []tls.Certificate{edge.issue(t, "*.edge.svc", nil)}, false, ""},
		"case":                     {"byte for byte", []tls.Certificate{edge.issue(t, "Nginx.edge.svc", nil)}, false, ""},
		"common name":              {"it names nobody", []tls.Certificate{edge.issue(t, "x", func(c *x509.Certificate) { c.Subject.CommonName = "nginx.edge.svc" })}, false, ""},
		"server's certificate":     {"not for clients", []tls.Certificate{edge.issue(t, "nginx.edge.svc", serverAuth)}, false, ""},
		"expired":                  {"no more", []tls.Certificate{edge.issue(t, "nginx.edge.svc", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })}, false, ""},
		"no certificate":           {"nobody is trusted by network", nil, false, ""},
		"no certificate, trusted":  {"as declared", nil, true, "inner"},
		"unknown CA, trusted":      {"who shows a certificate is what it says", []tls.Certificate{stranger.issue(t, "nginx.edge.svc", nil)}, true, ""},
		"its certificate, trusted": {"who shows a certificate is what it says", []tls.Certificate{edge.issue(t, "nginx.edge.svc", nil)}, true, "edge"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, named(callers(gateways(t, edge, mesh, c.trusted), time.Now)), func(o *server.Options) { o.ClientCertificates = true })
			for _, over := range []bool{false, true} {
				resp, _ := get(t, f.client(t, over, c.show...), f.url("/authorize/a/b"), nil)
				if got := resp.Header.Get("X-Gateway"); got != c.want {
					t.Errorf("%s: over HTTP/%d it is %q, want %q", c.reason, resp.ProtoMajor, got, c.want)
				}
			}
		})
	}
	t.Run("default config", func(t *testing.T) {
		f := serve(t, named(callers(nil, time.Now)), func(o *server.Options) { o.ClientCertificates = true })
		if resp, _ := get(t, f.client(t, false), f.url("/authorize/a/b"), nil); resp.Header.Get("X-Gateway") != "" {
			t.Errorf("a direct caller is %q", resp.Header.Get("X-Gateway"))
		}
	})
}

// TestCertificateExpiresInConnection: connections outlive certificates.
func TestCertificateExpiresInConnection(t *testing.T) {
	edge := newAuthority(t)
	var late atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	f := serve(t, named(callers(gateways(t, edge, newAuthority(t), true), clock)), func(o *server.Options) { o.ClientCertificates = true })
	client := f.client(t, false, edge.issue(t, "nginx.edge.svc", nil))
	resp, _ := get(t, client, f.url("/authorize/a/b"), nil)
	if got := resp.Header.Get("X-Gateway"); got != "edge" {
		t.Fatalf("it is %q", got)
	}
	late.Store(int64(2 * time.Hour))
	if resp, _ = get(t, client, f.url("/authorize/a/b"), nil); resp.Header.Get("X-Gateway") != "" {
		t.Errorf("after its certificate ended it is %q", resp.Header.Get("X-Gateway"))
	}
}
