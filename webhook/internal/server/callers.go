// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// maxIntermediates bounds what a stranger's chain costs.
const maxIntermediates = 4

// Kind of a gateway: it decides which headers tell the original request.
type Kind string

const (
	// Nginx tells it in X-Original-URL and X-Original-Method, as its configuration sets them.
	Nginx Kind = "Nginx"
	// Traefik tells it in X-Forwarded-Method, -Proto, -Host and -Uri.
	Traefik Kind = "Traefik"
)

// Gateway that the platform declared.
type Gateway struct {
	// Name in logs.
	Name string
	// Kind of it.
	Kind Kind

	san     string // DNS name or URI in its certificate, exactly
	cas     []*x509.Certificate
	trusted bool
}

// Callers tells which gateway sent a request. It knows those that were declared, and by
// default none: headers that tell the original request are believed from nobody else.
type Callers struct {
	declared []declared
	trusted  *Gateway
	clock    func() time.Time
}

type declared struct {
	*Gateway

	roots *x509.CertPool
}

// NewCallers knows gateways that ParseGateways returned.
func NewCallers(gateways []Gateway, clock func() time.Time) *Callers {
	c := &Callers{clock: clock}
	for i := range gateways {
		g := &gateways[i]
		if g.trusted {
			c.trusted = g
			continue
		}
		roots := x509.NewCertPool()
		for _, ca := range g.cas {
			roots.AddCert(ca)
		}
		c.declared = append(c.declared, declared{Gateway: g, roots: roots})
	}
	return c
}

// Identify is the gateway that sent the request. The certificate is verified once a
// connection, and has to be valid at each request: connections outlive certificates.
func (c *Callers) Identify(r *http.Request) (*Gateway, bool) {
	conn, ok := r.Context().Value(connKey{}).(*connection)
	if !ok {
		conn = &connection{}
	}
	conn.once.Do(func() { conn.gateway, conn.until = c.verify(r) })
	switch {
	case conn.gateway == nil:
		return nil, false
	case conn.gateway.trusted:
		return conn.gateway, true
	case c.clock().After(conn.until):
		return nil, false
	}
	return conn.gateway, true
}

// verify is the gateway of a connection, and how long its certificate is valid. Who
// shows a certificate is what it says, never the trusted one.
func (c *Callers) verify(r *http.Request) (*Gateway, time.Time) {
	if r.TLS == nil {
		return nil, time.Time{}
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return c.trusted, time.Time{}
	}
	leaf, rest := r.TLS.PeerCertificates[0], r.TLS.PeerCertificates[1:]
	if len(rest) > maxIntermediates {
		return nil, time.Time{}
	}
	intermediates := x509.NewCertPool()
	for _, cert := range rest {
		intermediates.AddCert(cert)
	}
	for i := range c.declared {
		d := &c.declared[i]
		if !names(leaf, d.san) {
			continue
		}
		chains, err := leaf.Verify(x509.VerifyOptions{
			Roots: d.roots, Intermediates: intermediates, CurrentTime: c.clock(),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err == nil {
			return d.Gateway, longest(chains)
		}
	}
	return nil, time.Time{}
}

// names says whether a certificate has a DNS name or URI, byte for byte: a wildcard in
// it is none of them.
func names(cert *x509.Certificate, san string) bool {
	return slices.Contains(cert.DNSNames, san) ||
		slices.ContainsFunc(cert.URIs, func(uri *url.URL) bool { return uri.String() == san })
}

// longest is when the last of the chains ends to be valid.
func longest(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, cert := range chain[1:] {
			if cert.NotAfter.Before(end) {
				end = cert.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// connection remembers who is at its other end.
type connection struct {
	once    sync.Once
	gateway *Gateway
	until   time.Time
}

type connKey struct{}

// connContext gives a connection its memory. The handshake comes later.
func connContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connection{})
}
