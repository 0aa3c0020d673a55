// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// TestCertificate: each format as its gateway writes it, and what a user might make of it.
func TestCertificate(t *testing.T) {
	ca := newAuthority(t)
	der, other := ca.issue(t, "user", nil).Certificate[0], ca.issue(t, "other", nil).Certificate[0]
	sum := sha256.Sum256(der)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	otherBlock := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other}))
	escaped, encoded := url.PathEscape(block), base64.StdEncoding.EncodeToString(der)
	otherHash := sha256.Sum256(other)
	hash, foreign := hex.EncodeToString(sum[:]), hex.EncodeToString(otherHash[:])
	const by = "By=spiffe://mesh/api;"
	cases := map[string]struct {
		reason string
		format server.Format
		value  string
		err    string // empty: it is the certificate
	}{
		"PEM, nginx":              {"$ssl_client_escaped_cert", server.FormatPEM, strings.ReplaceAll(url.QueryEscape(block), "+", "%20"), ""},
		"PEM, plus":               {"a plus is a plus", server.FormatPEM, escaped, ""},
		"PEM, empty":              {"there was none", server.FormatPEM, "", "is no PEM"},
		"PEM, two":                {"which one is it?", server.FormatPEM, escaped + url.PathEscape(otherBlock), "more than one"},
		"PEM, trailing":           {"garbage", server.FormatPEM, escaped + "x", "more than one"},
		"PEM, key":                {"no certificate", server.FormatPEM, url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), "is no PEM"},
		"PEM, no escape":          {"garbage", server.FormatPEM, "%zz", "not percent-encoded"},
		"DER, Caddy":              {"certificate_der_base64", server.FormatDER, encoded, ""},
		"DER, Traefik":            {"its own first, then the chain", server.FormatDER, encoded + "," + base64.StdEncoding.EncodeToString(other), ""},
		"DER, older Traefik":      {"escaped", server.FormatDER, url.QueryEscape(encoded), ""},
		"DER, empty":              {"there was none", server.FormatDER, "", "is no base64"},
		"DER, empty first":        {"the second is not the user's", server.FormatDER, "," + encoded, "is no base64"},
		"DER, garbage":            {"garbage", server.FormatDER, "!", "is no base64"},
		"DER, bad escape":         {"garbage", server.FormatDER, "%zz", "not percent-encoded"},
		"RFC 9440":                {"between colons", server.FormatRFC9440, ":" + encoded + ":", ""},
		"RFC 9440, bare":          {"no byte sequence", server.FormatRFC9440, encoded, "between colons"},
		"RFC 9440, one colon":     {"no byte sequence", server.FormatRFC9440, ":", "between colons"},
		"RFC 9440, empty":         {"there was none", server.FormatRFC9440, "::", "is no base64"},
		"RFC 9440, two":           {"which one is it?", server.FormatRFC9440, ":" + encoded + ":, :" + encoded + ":", "is no base64"},
		"XFCC, hash":              {"Envoy's", server.FormatXFCC, by + "Hash=" + hash + `;Subject="CN=user";URI=`, ""},
		"XFCC, certificate":       {"set_current_client_cert_details: cert", server.FormatXFCC, by + `Cert="` + escaped + `";Subject="CN=user"`, ""},
		"XFCC, both":              {"they agree", server.FormatXFCC, "Hash=" + hash + `;Cert="` + escaped + `"`, ""},
		"XFCC, quoted separators": {"names of the user's own", server.FormatXFCC, "Hash=" + hash + `;Subject="CN=a\",Hash=` + foreign + `;b,c"`, ""},
		"XFCC, both differ":       {"which one is it?", server.FormatXFCC, "Hash=" + foreign + `;Cert="` + escaped + `"`, "of another Cert"},
		"XFCC, appended":          {"Envoy appended to what the user sent", server.FormatXFCC, "Hash=" + hash + "," + by + "Hash=" + foreign, "more than one element"},
		"XFCC, trailing comma":    {"an empty element is one", server.FormatXFCC, "Hash=" + hash + ",", "more than one element"},
		"XFCC, hash twice":        {"a URI of the user's that was not quoted", server.FormatXFCC, "Hash=" + hash + ";URI=spiffe://x;hash=" + foreign, "a key twice"},
		"XFCC, short hash":        {"no SHA-256", server.FormatXFCC, "Hash=" + hash[:62], "no SHA-256"},
		"XFCC, long hash":         {"no SHA-256", server.FormatXFCC, "Hash=" + hash + "00", "no SHA-256"},
		"XFCC, no hex":            {"no SHA-256", server.FormatXFCC, "Hash=" + strings.Repeat("x", 64), "no SHA-256"},
		"XFCC, neither":           {"nothing to compare", server.FormatXFCC, by + `Subject="CN=user"`, "neither Hash nor Cert"},
		"XFCC, open quote":        {"it would hide what follows", server.FormatXFCC, "Hash=" + hash + `;Subject="x`, "a quote that does not end"},
		"XFCC, empty":             {"there was none", server.FormatXFCC, "", "neither Hash nor Cert"},
		"not declared":            {"the platform says where", "", encoded, "not declared"},
		"CVE-2024-12401":          {"an oversized one burns CPU", server.FormatDER, strings.Repeat("A", 16<<10+1), "longer than 16384"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := server.Gateway{ClientCertificate: server.ClientCertificate{Header: "X-Cert", Format: c.format}}
			got, err := g.Certificate(c.value)
			if c.err != "" {
				if err == nil || got != nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: %x, %v, want an error that says %q", c.reason, got, err, c.err)
				}
				return
			}
			if err != nil || *got != sum {
				t.Errorf("%s: %x, %v", c.reason, got, err)
			}
		})
	}
}

// FuzzCertificate: no bytes crash it, and whoever gets a hash out of XFCC wrote it there
// as one element.
func FuzzCertificate(f *testing.F) {
	hash := strings.Repeat("ab", 32)
	for _, seed := range []string{
		"", "Hash=" + hash, `Hash=` + hash + `;Subject="a\",b"`, "Hash=" + hash + ",Hash=" + hash, `Cert="-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A"`,
		":AAAA:", "AAAA,BBBB", "%41AAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\xff\x00", `"`, `\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, format := range []server.Format{server.FormatPEM, server.FormatDER, server.FormatXFCC, server.FormatRFC9440, ""} {
			g := server.Gateway{ClientCertificate: server.ClientCertificate{Format: format}}
			sum, err := g.Certificate(value)
			if (sum == nil) == (err == nil) {
				t.Fatalf("%s %q: %v, %v", format, value, sum, err)
			}
			if err != nil || format != server.FormatXFCC {
				continue
			}
			if lower := strings.ToLower(value); strings.Count(lower, "hash=") == 0 && strings.Count(lower, "cert=") == 0 {
				t.Errorf("%q has a hash", value)
			}
			if !strings.Contains(value, `"`) && strings.Contains(value, ",") {
				t.Errorf("%q has two elements", value)
			}
		}
	})
}
