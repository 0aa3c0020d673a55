// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxCA bounds a CA's PEM, in bytes: an oversized one burns CPU (CVE-2024-12401).
const maxCA = 256 << 10

// fileCA is a CA that the configuration holds, or names by file.
func fileCA(inline, path, where string) ([]*x509.Certificate, error) {
	switch {
	case inline != "" && path != "":
		return nil, fmt.Errorf("%s has clientCA and clientCAFile: keep one", where)
	case inline == "" && path == "":
		return nil, fmt.Errorf("%s.clientCA is missing: set the PEM of the CA that signed the client's certificate, or clientCAFile", where)
	case inline != "":
		return parseCA([]byte(inline), where+".clientCA")
	}
	content, err := readCA(path)
	if err != nil {
		return nil, fmt.Errorf("%s.clientCAFile: %w", where, err)
	}
	return parseCA(content, where+".clientCAFile "+path)
}

func readCA(path string) (content []byte, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var b bytes.Buffer
	_, err = b.ReadFrom(io.LimitReader(f, maxCA+1))
	return b.Bytes(), err
}

func parseCA(content []byte, where string) ([]*x509.Certificate, error) {
	if len(content) > maxCA {
		return nil, fmt.Errorf("%s is larger than %d bytes: name the gateway's CA alone", where, maxCA)
	}
	var cas []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a %s: it takes certificates only", where, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if !cert.IsCA {
			return nil, fmt.Errorf("%s holds a certificate of %q that is no CA's: name the CA that signed it", where, cert.Subject.CommonName)
		}
		cas = append(cas, cert)
	}
	if len(cas) == 0 {
		return nil, fmt.Errorf("%s holds no certificate: it takes PEM, BEGIN CERTIFICATE to END CERTIFICATE", where)
	}
	return cas, nil
}
