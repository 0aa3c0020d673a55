// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxCertificate bounds a header that tells a certificate, in bytes.
const maxCertificate = 16 << 10

// Format is how a gateway writes the user's certificate into a header.
type Format string

const (
	// FormatPEM is PEM, percent-encoded: nginx $ssl_client_escaped_cert.
	FormatPEM Format = "PEM"
	// FormatDER is DER in base64: Caddy; Traefik's passTLSClientCert with its chain after a comma.
	FormatDER Format = "DER"
	// FormatXFCC is Envoy's X-Forwarded-Client-Cert, one element with Hash or Cert.
	FormatXFCC Format = "XFCC"
	// FormatRFC9440 is Client-Cert, DER in base64 between colons.
	FormatRFC9440 Format = "RFC9440"
)

// ClientCertificate is where a gateway tells the user's TLS certificate. The zero value is nowhere.
type ClientCertificate struct {
	// Header in its canonical form; empty with EnvoyGRPC if the CheckRequest tells it (include_peer_certificate).
	Header string
	// Format of it; empty if there is no certificate.
	Format Format
}

// Declared says that the gateway tells certificates.
func (c ClientCertificate) Declared() bool { return c.Format != "" }

// Certificate is the SHA-256 of the DER certificate in a header's value (RFC 8705
// section 3.1), nil with an error if it can't be read, or if the gateway was not
// declared to tell one. The certificate itself is not verified: the gateway did that.
func (g *Gateway) Certificate(value string) (*[32]byte, error) {
	if len(value) > maxCertificate {
		return nil, fmt.Errorf("the certificate is longer than %d bytes", maxCertificate)
	}
	switch g.ClientCertificate.Format {
	case FormatPEM:
		return fromPEM(value)
	case FormatDER:
		first, _, _ := strings.Cut(value, ",") // the chain follows
		return fromBase64(first)
	case FormatXFCC:
		return fromXFCC(value)
	case FormatRFC9440:
		inner, ok := strings.CutPrefix(value, ":")
		if inner, ok2 := strings.CutSuffix(inner, ":"); ok && ok2 {
			return fromBase64(inner)
		}
		return nil, errors.New("the certificate does not stand between colons (RFC 9440 section 2.1)")
	}
	return nil, errors.New("the gateway is not declared to tell certificates")
}

func fromPEM(escaped string) (*[32]byte, error) {
	text, err := url.PathUnescape(escaped) // a plus is a plus
	if err != nil {
		return nil, errors.New("the certificate is not percent-encoded")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Bytes) == 0 {
		return nil, errors.New("the certificate is no PEM")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("the header holds more than one certificate")
	}
	return hash(block.Bytes), nil
}

func fromBase64(encoded string) (*[32]byte, error) {
	if strings.IndexByte(encoded, '%') >= 0 { // older Traefik
		unescaped, err := url.PathUnescape(encoded)
		if err != nil {
			return nil, errors.New("the certificate is not percent-encoded")
		}
		encoded = unescaped
	}
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(der) == 0 {
		return nil, errors.New("the certificate is no base64")
	}
	return hash(der), nil
}

func hash(der []byte) *[32]byte {
	sum := sha256.Sum256(der)
	return &sum
}

// fromXFCC reads Envoy's header. There is one element: in another mode than SANITIZE_SET
// Envoy appends to what the client sent. A key stands once: a name in the client's
// certificate might hold another Hash.
func fromXFCC(value string) (*[32]byte, error) {
	var byHash, byCert *[32]byte
	for rest := value; rest != ""; {
		pair, more, separator, err := cutXFCC(rest)
		if err != nil {
			return nil, err
		}
		if separator == ',' {
			return nil, errors.New("X-Forwarded-Client-Cert has more than one element: set forward_client_cert_details to SANITIZE_SET")
		}
		rest = more
		key, text, _ := strings.Cut(pair, "=")
		into := &byCert
		switch {
		case strings.EqualFold(key, "Hash"):
			into = &byHash
		case !strings.EqualFold(key, "Cert"):
			continue
		}
		if *into != nil {
			return nil, errors.New("X-Forwarded-Client-Cert has a key twice")
		}
		if *into, err = readXFCC(key, text); err != nil {
			return nil, err
		}
	}
	switch {
	case byHash == nil && byCert == nil:
		return nil, errors.New("X-Forwarded-Client-Cert has neither Hash nor Cert")
	case byHash != nil && byCert != nil && *byHash != *byCert:
		return nil, errors.New("X-Forwarded-Client-Cert has a Hash of another Cert")
	case byHash != nil:
		return byHash, nil
	}
	return byCert, nil
}

func readXFCC(key, text string) (*[32]byte, error) {
	text = strings.Trim(text, `"`)
	if strings.EqualFold(key, "Cert") {
		return fromPEM(text)
	}
	var sum [sha256.Size]byte
	decoded, err := hex.DecodeString(text)
	if err != nil || copy(sum[:], decoded) != len(sum) || len(decoded) != len(sum) {
		return nil, errors.New("X-Forwarded-Client-Cert has a Hash that is no SHA-256")
	}
	return &sum, nil
}

// cutXFCC cuts a key and value off, up to the separator behind it. One between quotes is
// no separator.
func cutXFCC(s string) (pair, rest string, separator byte, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ';' || c == ','):
			return s[:i], s[i+1:], c, nil
		}
	}
	if quoted {
		return "", "", 0, errors.New("X-Forwarded-Client-Cert has a quote that does not end")
	}
	return s, "", 0, nil
}
