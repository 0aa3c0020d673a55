// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificate is the operator's own certificate authority: it signs the
// webhook's serving certificate, and is rolled without a client noticing.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	authorityLife = 5 * 365 * 24 * time.Hour
	// rollBefore is how long before an authority's end its successor is made.
	rollBefore = 365 * 24 * time.Hour
	// settle is how long a successor stands in the bundle before it signs: workloads have mounted the
	// new bundle by then.
	settle      = 24 * time.Hour
	servingLife = 90 * 24 * time.Hour
	// backdate forgives clocks that are behind.
	backdate = 5 * time.Minute
)

// Pair is a PEM certificate and its PEM key.
type Pair struct{ Certificate, Key []byte }

// Authority is the signing pair, its successor while one is waiting, and the
// bundle that clients verify with.
type Authority struct {
	Current Pair
	// Next is empty unless a successor is waiting.
	Next Pair
	// Bundle are the PEM certificates of all of them, and of those that ended their time as signers
	// and whose signatures may still be out.
	Bundle []byte
}

// Roll brings an authority up to date at a time: makes the first, stages a
// successor, lets it sign, drops what has expired. It returns the authority as it
// should be and whether that differs from what it was.
func Roll(a Authority, now time.Time) (Authority, bool, error) {
	current, err := parse(a.Current)
	if err != nil || now.After(current.NotAfter) {
		pair, err := newAuthority(now)
		if err != nil {
			return Authority{}, false, err
		}
		return Authority{Current: pair, Bundle: pair.Certificate}, true, nil
	}
	changed := false
	next, err := parse(a.Next)
	switch {
	case err != nil && now.After(current.NotAfter.Add(-rollBefore)):
		if a.Next, err = newAuthority(now); err != nil {
			return Authority{}, false, err
		}
		changed = true
	case err == nil && now.After(next.NotBefore.Add(backdate+settle)):
		a.Current, a.Next, changed = a.Next, Pair{}, true
	}
	bundle := bundleOf(now, a.Current.Certificate, a.Next.Certificate, a.Bundle)
	if !bytes.Equal(bundle, a.Bundle) {
		a.Bundle, changed = bundle, true
	}
	return a, changed, nil
}

// bundleOf joins certificates, each once, without what has expired.
func bundleOf(now time.Time, sources ...[]byte) []byte {
	var bundle []byte
	var seen [][]byte
	for _, rest := range sources {
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			known := slices.ContainsFunc(seen, func(der []byte) bool { return bytes.Equal(der, block.Bytes) })
			cert, err := x509.ParseCertificate(block.Bytes)
			if known || err != nil || now.After(cert.NotAfter) {
				continue
			}
			seen = append(seen, block.Bytes)
			bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
		}
	}
	return bundle
}

// NeedsServing says whether a serving certificate is missing, is not for these
// names, is past two thirds of its life, or was not signed by the authority.
func NeedsServing(p Pair, a Authority, names []string, now time.Time) bool {
	cert, err := parse(p)
	if err != nil {
		return true
	}
	signer, err := parse(a.Current)
	if err != nil || cert.CheckSignatureFrom(signer) != nil {
		return true
	}
	for _, name := range names {
		if cert.VerifyHostname(name) != nil {
			return true
		}
	}
	return now.After(cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) * 2 / 3))
}

// Serve signs a serving certificate for host names and IP addresses.
func Serve(a Authority, names []string, now time.Time) (Pair, error) {
	signer, err := tls.X509KeyPair(a.Current.Certificate, a.Current.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("reading the authority: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "introspection webhook"},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(servingLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, ok := signer.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return Pair{}, errors.New("the authority's key is no ECDSA key")
	}
	return sign(template, signer.Leaf, key)
}

func newAuthority(now time.Time) (Pair, error) {
	return sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "introspection-operator " + now.UTC().Format("2006-01-02")},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, nil, nil)
}

// sign makes a key and a certificate for it; without a signer, a self-signed one.
func sign(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key: %w", err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, fmt.Errorf("making a serial number: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("signing a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding a key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func parse(p Pair) (*x509.Certificate, error) {
	pair, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, err
	}
	return pair.Leaf, nil
}
