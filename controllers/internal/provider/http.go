// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HTTPOptions say how an authorization server is called.
type HTTPOptions struct {
	// HostHeader is the host that requests to HostFor name, for servers that derive their issuer from
	// it; empty for the host of the URL. TLS verifies the host of the URL all the same.
	HostHeader string
	// HostFor is the server's URL, needed with HostHeader: another host or port would take the foreign
	// name for a mistake, or for another of its sites.
	HostFor string
	// CAPEM is who vouches for the server's certificate, in PEM; empty for the system's roots.
	CAPEM []byte
	// Timeout bounds one call, from dialling to the body's last byte; 0 means 10 s.
	Timeout time.Duration
	// Wrap, if set, gets every request as it leaves.
	Wrap func(http.RoundTripper) http.RoundTripper
}

const (
	defaultTimeout  = 10 * time.Second
	idlePerHost     = 32 // one server: as many as calls may be in flight, or each burst dials anew
	idleTimeout     = 90 * time.Second
	maxHeaderBytes  = 64 << 10
	pingAfter       = 15 * time.Second
	pingGivesUp     = 5 * time.Second
	handshakeWithin = 10 * time.Second
)

// NewHTTPClient makes the one client for a server: a pool of connections, TLS
// 1.2 or better, HTTPS_PROXY honoured. It follows no redirect: the answer to a
// request with credentials must come from whom they were meant for.
func NewHTTPClient(o HTTPOptions) (*http.Client, error) {
	var roots *x509.CertPool
	if len(o.CAPEM) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(o.CAPEM) {
			return nil, errors.New("the CA bundle holds no PEM certificate")
		}
	}
	var transport http.RoundTripper = &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    handshakeWithin,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingGivesUp},
		MaxIdleConns:           idlePerHost,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if o.Wrap != nil {
		transport = o.Wrap(transport)
	}
	if o.HostHeader != "" {
		server, err := url.Parse(o.HostFor)
		if err != nil || server.Host == "" {
			return nil, errors.New("the host header is for no server: its URL is missing")
		}
		transport = hostHeader{next: transport, host: o.HostHeader, only: authority(server)}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// hostHeader names another host in each request to one server.
type hostHeader struct {
	next http.RoundTripper
	host string
	only string // the server's authority
}

// authority is host and port of a URL, in one spelling.
func authority(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case strings.EqualFold(u.Scheme, "http"):
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// RoundTrip sends a copy: a RoundTripper must not change its request.
func (h hostHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	if authority(r.URL) != h.only {
		return h.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Host = h.host
	return h.next.RoundTrip(r)
}
