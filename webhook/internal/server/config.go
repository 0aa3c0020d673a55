// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// networkTrusted is the value of authenticate.network.
const networkTrusted = "Trusted"

// Config is what the platform declares.
type Config struct {
	// Gateways that may ask.
	Gateways []Gateway
	// TokenReview lets the API server ask; nil if it may not.
	TokenReview *TokenReviewConfig
}

type file struct {
	Gateways    []fileGateway    `json:"gateways"`
	TokenReview *fileTokenReview `json:"tokenReview"`
}

type fileGateway struct {
	Name              string           `json:"name"`
	Kind              Kind             `json:"kind"`
	Authenticate      fileAuthenticate `json:"authenticate"`
	ClientCertificate *fileCertificate `json:"clientCertificate"`
}

type fileAuthenticate struct {
	ClientCA       string `json:"clientCA"`
	ClientCAFile   string `json:"clientCAFile"`
	CertificateSAN string `json:"certificateSAN"`
	ServiceAccount string `json:"serviceAccount"`
	Network        string `json:"network"`
}

type fileCertificate struct {
	Header string `json:"header"`
	Format Format `json:"format"`
}

// ParseConfig reads what the platform declared, and the CAs that it names by file. It is
// strict: what it doesn't know would be a gateway that isn't what it seems. Errors say
// what to do.
func ParseConfig(config []byte) (Config, error) {
	var f file
	if err := yaml.UnmarshalStrict(config, &f); err != nil {
		return Config{}, fmt.Errorf("reading the webhook's configuration: %w", err)
	}
	parsed := Config{Gateways: make([]Gateway, 0, len(f.Gateways))}
	for i := range f.Gateways {
		g, err := f.Gateways[i].parse()
		if err != nil {
			return Config{}, fmt.Errorf("gateways[%d] (%q): %w", i, f.Gateways[i].Name, err)
		}
		for j := range parsed.Gateways {
			if err := g.conflict(&parsed.Gateways[j]); err != nil {
				return Config{}, fmt.Errorf("gateways[%d] (%q): %w", i, g.Name, err)
			}
		}
		parsed.Gateways = append(parsed.Gateways, g)
	}
	var err error
	if f.TokenReview != nil {
		if parsed.TokenReview, err = f.TokenReview.parse(); err != nil {
			return Config{}, fmt.Errorf("tokenReview: %w", err)
		}
	}
	return parsed, nil
}

func (f *fileGateway) parse() (Gateway, error) {
	if !IsName(f.Name) {
		return Gateway{}, errors.New("name is lower-case letters, digits and hyphens: give it one that logs may show")
	}
	if !f.Kind.OverHTTP() && !f.Kind.OverGRPC() {
		return Gateway{}, fmt.Errorf("kind %q is not known: it is Nginx, Traefik, Caddy, EnvoyHTTP or EnvoyGRPC", f.Kind)
	}
	g := Gateway{Name: f.Name, Kind: f.Kind}
	if err := f.Authenticate.into(&g); err != nil {
		return Gateway{}, err
	}
	return g, f.ClientCertificate.into(&g)
}

// into sets how the gateway proves itself: exactly one way.
func (a *fileAuthenticate) into(g *Gateway) error {
	certificate := a.ClientCA != "" || a.ClientCAFile != "" || a.CertificateSAN != ""
	switch {
	case a.Network != "" && a.Network != networkTrusted:
		return fmt.Errorf("authenticate.network %q is not known: it is Trusted, or leave it out and set clientCA and certificateSAN", a.Network)
	case a.Network != "" && (certificate || a.ServiceAccount != ""):
		return errors.New("authenticate has network and something to show: keep network: Trusted, or the other")
	case a.Network != "":
		g.trusted = true
		return nil
	case a.ServiceAccount != "" && certificate:
		return errors.New("authenticate has serviceAccount and a certificate: keep one")
	case a.ServiceAccount != "":
		account, ok := parseRef(a.ServiceAccount)
		if !ok {
			return fmt.Errorf("authenticate.serviceAccount %q is not namespace/name", a.ServiceAccount)
		}
		g.serviceAccount = account
		return nil
	case !certificate:
		return errors.New("authenticate is missing: set clientCA (or clientCAFile) and certificateSAN, or serviceAccount, " +
			"or network: Trusted if nobody else reaches the port")
	case a.CertificateSAN == "":
		return errors.New("authenticate.certificateSAN is missing: " +
			"set the DNS name or URI in the gateway's certificate, else whoever has one of that CA would be this gateway")
	}
	var err error
	g.san = a.CertificateSAN
	g.cas, err = fileCA(a.ClientCA, a.ClientCAFile, "authenticate")
	return err
}

// into sets where the gateway tells the user's certificate.
func (c *fileCertificate) into(g *Gateway) error {
	if c == nil {
		return nil
	}
	switch c.Format {
	case FormatPEM, FormatDER, FormatXFCC, FormatRFC9440:
	default:
		return fmt.Errorf("clientCertificate.format %q is not known: it is PEM, DER, XFCC or RFC9440", c.Format)
	}
	switch {
	case g.trusted:
		return errors.New("clientCertificate is not for network: Trusted: whoever reaches the port could show anybody's; " +
			"let the gateway prove itself by clientCA and certificateSAN, or serviceAccount")
	case c.Header == "" && (!g.Kind.OverGRPC() || c.Format != FormatPEM):
		return errors.New("clientCertificate.header is missing: name the header in which the gateway tells it " +
			"(with kind EnvoyGRPC and format PEM it may be left out: include_peer_certificate tells it)")
	case c.Header != "" && !isHeader(c.Header):
		return fmt.Errorf("clientCertificate.header %q is letters, digits and hyphens", c.Header)
	}
	g.ClientCertificate = ClientCertificate{Header: http.CanonicalHeaderKey(c.Header), Format: c.Format}
	return nil
}

func isHeader(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

// parseRef reads namespace/name.
func parseRef(s string) (token.Ref, bool) {
	namespace, name, ok := strings.Cut(s, "/")
	return token.Ref{Namespace: namespace, Name: name}, ok && IsName(namespace) && IsName(name)
}

// conflict says why two gateways could not be told apart.
func (g *Gateway) conflict(other *Gateway) error {
	switch {
	case g.Name == other.Name:
		return errors.New("there is another of that name: rename one")
	case g.trusted && other.trusted:
		return fmt.Errorf("%q is Trusted already, and at most one can be: connections without a certificate are one gateway; "+
			"give the others certificates", other.Name)
	case g.serviceAccount != token.Ref{} && g.serviceAccount == other.serviceAccount:
		return fmt.Errorf("%q has the same serviceAccount: give each its own", other.Name)
	case g.san != "" && g.san == other.san && slices.ContainsFunc(g.cas, func(ca *x509.Certificate) bool {
		return slices.ContainsFunc(other.cas, ca.Equal)
	}):
		return fmt.Errorf("%q has the same CA and certificateSAN: give each its own", other.Name)
	}
	return nil
}
