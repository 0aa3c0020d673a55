// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// TLSConfig is a surface's. certificates gives the certificate for each handshake, so that
// it may rotate while serving; its error fails the handshake. least is tls.VersionTLS12 or
// tls.VersionTLS13, default the latter. With ask, clients are asked for theirs, which
// Callers verifies: each against the CA that was named for it.
func TLSConfig(certificates func() (*tls.Certificate, error), least uint16, ask bool) (*tls.Config, error) {
	switch least {
	case 0:
		least = tls.VersionTLS13
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, fmt.Errorf("TLS %s is not offered: 1.2 and 1.3 are", tls.VersionName(least))
	}
	config := &tls.Config{
		MinVersion: least,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := certificates()
			if err == nil && cert == nil {
				err = errors.New("there is no certificate yet")
			}
			return cert, err
		},
	}
	if ask {
		config.ClientAuth = tls.RequestClientCert
	}
	return config, nil
}
