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
	"slices"

	"sigs.k8s.io/yaml"
)

// maxCA bounds a CA's PEM, in bytes: an oversized one burns CPU (CVE-2024-12401).
const maxCA = 256 << 10

// networkTrusted is the value of authenticate.network.
const networkTrusted = "Trusted"

type file struct {
	Gateways []fileGateway `json:"gateways"`
}

type fileGateway struct {
	Name         string           `json:"name"`
	Kind         Kind             `json:"kind"`
	Authenticate fileAuthenticate `json:"authenticate"`
}

type fileAuthenticate struct {
	ClientCA       string `json:"clientCA"`
	ClientCAFile   string `json:"clientCAFile"`
	CertificateSAN string `json:"certificateSAN"`
	Network        string `json:"network"`
}

// ParseGateways reads which gateways the platform declared, and the CAs that it names by
// file. It is strict: what it doesn't know would be a gateway that isn't what it seems.
func ParseGateways(config []byte) ([]Gateway, error) {
	var f file
	if err := yaml.UnmarshalStrict(config, &f); err != nil {
		return nil, fmt.Errorf("reading the webhook's configuration: %w", err)
	}
	gateways := make([]Gateway, 0, len(f.Gateways))
	for i, declared := range f.Gateways {
		g, err := declared.parse()
		if err != nil {
			return nil, fmt.Errorf("gateways[%d] (%q): %w", i, declared.Name, err)
		}
		for j := range gateways {
			if err := g.conflict(&gateways[j]); err != nil {
				return nil, fmt.Errorf("gateways[%d] (%q): %w", i, g.Name, err)
			}
		}
		gateways = append(gateways, g)
	}
	return gateways, nil
}

func (f fileGateway) parse() (Gateway, error) {
	if !isName(f.Name) {
		return Gateway{}, errors.New("name is lower-case letters, digits and hyphens: give it one that logs may show")
	}
	switch f.Kind {
	case Nginx, Traefik:
	default:
		return Gateway{}, fmt.Errorf("kind %q is not known: it is Nginx or Traefik", f.Kind)
	}
	g := Gateway{Name: f.Name, Kind: f.Kind}
	var err error
	if a := f.Authenticate; a.Network == "" {
		g.san = a.CertificateSAN
		g.cas, err = a.certificate()
	} else {
		g.trusted = true
		err = a.network()
	}
	return g, err
}

func (a fileAuthenticate) network() error {
	switch {
	case a.Network != networkTrusted:
		return fmt.Errorf("authenticate.network %q is not known: it is Trusted, or leave it out and set clientCA and certificateSAN", a.Network)
	case a.ClientCA != "" || a.ClientCAFile != "" || a.CertificateSAN != "":
		return errors.New("authenticate has network and a certificate: keep network: Trusted, or clientCA and certificateSAN")
	}
	return nil
}

func (a fileAuthenticate) certificate() ([]*x509.Certificate, error) {
	switch {
	case a.ClientCA == "" && a.ClientCAFile == "" && a.CertificateSAN == "":
		return nil, errors.New("authenticate is missing: set clientCA (or clientCAFile) and certificateSAN, " +
			"or network: Trusted if nobody else reaches the port")
	case a.CertificateSAN == "":
		return nil, errors.New("authenticate.certificateSAN is missing: " +
			"set the DNS name or URI in the gateway's certificate, else whoever has one of that CA would be this gateway")
	case a.ClientCA != "" && a.ClientCAFile != "":
		return nil, errors.New("authenticate has clientCA and clientCAFile: keep one")
	case a.ClientCA == "" && a.ClientCAFile == "":
		return nil, errors.New("authenticate.clientCA is missing: set the PEM of the CA that signed the gateway's certificate, or clientCAFile")
	case a.ClientCA != "":
		return parseCA([]byte(a.ClientCA), "authenticate.clientCA")
	}
	content, err := readCA(a.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("authenticate.clientCAFile: %w", err)
	}
	return parseCA(content, "authenticate.clientCAFile "+a.ClientCAFile)
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

// conflict says why two gateways could not be told apart.
func (g *Gateway) conflict(other *Gateway) error {
	switch {
	case g.Name == other.Name:
		return errors.New("there is another of that name: rename one")
	case g.trusted && other.trusted:
		return fmt.Errorf("%q is Trusted already, and at most one can be: connections without a certificate are one gateway; "+
			"give the others certificates", other.Name)
	case !g.trusted && g.san == other.san && slices.ContainsFunc(g.cas, func(ca *x509.Certificate) bool {
		return slices.ContainsFunc(other.cas, ca.Equal)
	}):
		return fmt.Errorf("%q has the same CA and certificateSAN: give each its own", other.Name)
	}
	return nil
}
