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

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// maxIntermediates bounds what a stranger's chain costs.
const maxIntermediates = 4

// HeaderGateway carries the ServiceAccount token of a gateway that proves itself by one.
const HeaderGateway = "Introspection-Gateway"

// ServiceAccountFunc verifies a ServiceAccount's token for an audience, exactly. An error
// means that it proves nothing.
type ServiceAccountFunc func(ctx context.Context, t token.Token, audience string) (token.Ref, error)

// CallersOptions of NewCallers. Clock is required.
type CallersOptions struct {
	// Gateways that ParseConfig returned.
	Gateways []Gateway
	// Kinds are those that the port speaks to: Kind.OverHTTP or Kind.OverGRPC; nil for all.
	// A gateway of another kind is nobody there.
	Kinds func(Kind) bool
	// ServiceAccount verifies tokens; nil if nobody can.
	ServiceAccount ServiceAccountFunc
	// Audience that such a token must have: the URL of this port, as the platform's users know it.
	Audience string
	// Clock is the time.
	Clock func() time.Time
}

// Callers tells which gateway sent a request. It knows those that were declared, and by
// default none: headers that tell the original request are believed from nobody else.
type Callers struct {
	declared []declared
	trusted  *Gateway
	accounts map[token.Ref]*Gateway
	verify   ServiceAccountFunc
	audience string
	clock    func() time.Time
}

type declared struct {
	*Gateway

	roots *x509.CertPool
}

// NewCallers knows the gateways of the options.
func NewCallers(opts CallersOptions) *Callers {
	c := &Callers{
		accounts: map[token.Ref]*Gateway{}, verify: opts.ServiceAccount, audience: opts.Audience, clock: opts.Clock,
	}
	for i := range opts.Gateways {
		g := &opts.Gateways[i]
		switch {
		case opts.Kinds != nil && !opts.Kinds(g.Kind):
		case g.trusted:
			c.trusted = g
		case g.serviceAccount != token.Ref{}:
			c.accounts[g.serviceAccount] = g
		default:
			c.declared = append(c.declared, declared{Gateway: g, roots: pool(g.cas)})
		}
	}
	return c
}

// Peer is the other end of a connection, as it shows itself.
type Peer struct {
	// Certificates of its TLS handshake, its own first; none if it showed none.
	Certificates []*x509.Certificate
	// Tokens are the values of HeaderGateway; at most one proves anything.
	Tokens []string
	// Connection remembers whom its certificate makes it; nil for no memory.
	Connection *Connection
}

// Connection remembers who is at its other end: chains are verified once. The zero value
// is a new one.
type Connection struct {
	once    sync.Once
	gateway *Gateway
	until   time.Time
}

// Identify is the gateway that sent the request.
func (c *Callers) Identify(r *http.Request) (*Gateway, bool) {
	if r.TLS == nil {
		return nil, false
	}
	p := Peer{Certificates: r.TLS.PeerCertificates, Tokens: r.Header[HeaderGateway]}
	if len(p.Certificates) > 0 {
		p.Connection, _ = r.Context().Value(connKey{}).(*Connection)
	}
	g, _, ok := c.IdentifyPeer(r.Context(), &p)
	return g, ok
}

// IdentifyPeer is the gateway at the other end of a TLS connection, and until when its
// certificate is valid; zero if it proved itself otherwise. The certificate has to be
// valid at each request: connections outlive certificates. Who shows a certificate is
// what it says and nothing else, then who shows a token; the trusted one shows nothing,
// or its users could be another by a header of theirs.
func (c *Callers) IdentifyPeer(ctx context.Context, p *Peer) (gateway *Gateway, until time.Time, ok bool) {
	switch {
	case len(p.Certificates) > 0:
		if conn := p.Connection; conn != nil {
			conn.once.Do(func() { conn.gateway, conn.until = c.byCertificate(p.Certificates) })
			gateway, until = conn.gateway, conn.until
		} else {
			gateway, until = c.byCertificate(p.Certificates)
		}
		if gateway == nil || c.clock().After(until) {
			return nil, time.Time{}, false
		}
		return gateway, until, true
	case len(p.Tokens) > 0:
		gateway = c.byToken(ctx, p.Tokens)
	default:
		gateway = c.trusted
	}
	return gateway, time.Time{}, gateway != nil
}

func (c *Callers) byToken(ctx context.Context, tokens []string) *Gateway {
	raw := only(tokens)
	if c.verify == nil || len(c.accounts) == 0 || raw == "" || len(raw) > token.MaxLength {
		return nil
	}
	account, err := c.verify(ctx, token.New(raw), c.audience)
	if err != nil {
		return nil
	}
	return c.accounts[account]
}

// byCertificate is the gateway that shows a chain, and how long that is valid.
func (c *Callers) byCertificate(shown []*x509.Certificate) (*Gateway, time.Time) {
	for i := range c.declared {
		d := &c.declared[i]
		if !names(shown[0], d.san) {
			continue
		}
		if until, ok := verify(shown, d.roots, c.clock()); ok {
			return d.Gateway, until
		}
	}
	return nil, time.Time{}
}

// verify says whether a chain ends in one of the roots, and how long it is valid.
func verify(shown []*x509.Certificate, roots *x509.CertPool, now time.Time) (time.Time, bool) {
	if len(shown)-1 > maxIntermediates {
		return time.Time{}, false
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: pool(shown[1:]), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return time.Time{}, false
	}
	return longest(chains), true
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
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

type connKey struct{}

// connContext gives a connection its memory. The handshake comes later.
func connContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &Connection{})
}
