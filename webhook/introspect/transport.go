// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// idleConnections are kept open: a burst of misses must not open a burst of them.
	idleConnections = 256
	idleTimeout     = 90 * time.Second
	maxHeaderBytes  = 64 << 10
	// maxCAPEM bounds the work of parsing certificates (CVE-2024-12401).
	maxCAPEM = 256 << 10
)

// NewHTTPClient has a transport of its own, over TLS 1.2 or newer, that verifies servers by
// the authorities in caPEM, or by the system's if it is empty. timeout bounds a connection's
// beginning.
func NewHTTPClient(caPEM []byte, timeout time.Duration) (*http.Client, error) {
	roots, err := certPool(caPEM)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
		// HTTP/1.1: many connections, so that one lost packet holds up one question.
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           idleConnections,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}}, nil
}

// certPool is nil, the system's authorities, without a CA.
func certPool(caPEM []byte) (*x509.CertPool, error) {
	switch {
	case len(caPEM) == 0:
		return nil, nil
	case len(caPEM) > maxCAPEM:
		return nil, fmt.Errorf("the CA bundle is larger than %d KiB", maxCAPEM>>10)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("the CA bundle holds no PEM certificate")
	}
	return pool, nil
}

// checkEndpoint takes https, and http on loopback addresses only: the credential and the
// token are in the request.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return errors.New("the introspection endpoint is not a URL")
	}
	switch {
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("the introspection endpoint must be a URL with a host and without user and fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("the introspection endpoint must be an https URL")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
