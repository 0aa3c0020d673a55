// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// indented fits into the configuration.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
}

func TestParseConfig(t *testing.T) {
	ca := newAuthority(t)
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.issue(t, "leaf", nil).Certificate[0]})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("canary-key")})
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := "|\n        " + indented(ca.pem())
	gateway := func(name, authenticate string) string {
		return "- name: " + name + "\n  kind: Nginx\n  authenticate: " + authenticate + "\n"
	}
	list := func(gateways ...string) string { return "gateways:\n" + strings.Join(gateways, "") }
	byCA := "\n      certificateSAN: nginx.edge.svc\n      clientCA: " + text
	cases := map[string]struct {
		reason string
		config string
		want   []string // names
		err    string   // what the error has to say
	}{
		"nothing":         {"no gateway is declared", "", nil, ""},
		"empty list":      {"as the chart writes it", "gateways:\n []\n", nil, ""},
		"by certificate":  {"inline", list(gateway("edge", byCA)), []string{"edge"}, ""},
		"by file":         {"a mounted CA", list(gateway("edge", "{certificateSAN: a, clientCAFile: "+write("ca", []byte(ca.pem()))+"}")), []string{"edge"}, ""},
		"trusted":         {"by network", list(gateway("edge", "{network: Trusted}")), []string{"edge"}, ""},
		"two":             {"each its own", list(gateway("a", byCA), gateway("b", "{network: Trusted}")), []string{"a", "b"}, ""},
		"no YAML":         {"garbage", "gateways: [", nil, "reading the webhook's configuration"},
		"unknown field":   {"a typo must not weaken anything", "gateway: []\n", nil, `unknown field "gateway"`},
		"unknown inside":  {"a typo must not weaken anything", list("- name: a\n  kind: Nginx\n  authenticate: {networks: Trusted}\n"), nil, `unknown field "networks"`},
		"field twice":     {"which one counts?", list("- name: a\n  name: b\n"), nil, `"name" already set`},
		"no name":         {"logs show it", list("- kind: Nginx\n  authenticate: {network: Trusted}\n"), nil, "name is lower-case letters"},
		"bad name":        {"logs show it", list(gateway("A b", "{network: Trusted}")), nil, "name is lower-case letters"},
		"duplicate name":  {"which one is it?", list(gateway("a", byCA), gateway("a", "{network: Trusted}")), nil, "there is another of that name"},
		"no kind":         {"its headers are not guessed", list("- name: a\n  authenticate: {network: Trusted}\n"), nil, "it is Nginx, Traefik, Caddy, EnvoyHTTP or EnvoyGRPC"},
		"unknown kind":    {"its headers are not guessed", list("- name: a\n  kind: HAProxy\n  authenticate: {network: Trusted}\n"), nil, `kind "HAProxy" is not known`},
		"two trusted":     {"connections without a certificate are one", list(gateway("a", "{network: Trusted}"), gateway("b", "{network: Trusted}")), nil, "at most one can be"},
		"nothing to show": {"anybody could be it", list("- name: a\n  kind: Nginx\n"), nil, "authenticate is missing"},
		"no SAN":          {"whoever has a certificate of that CA would be it", list(gateway("a", "\n      clientCA: "+text)), nil, "certificateSAN is missing"},
		"no CA":           {"whoever has a certificate would be it", list(gateway("a", "{certificateSAN: a}")), nil, "clientCA is missing"},
		"two CAs":         {"which one counts?", list(gateway("a", "\n      certificateSAN: a\n      clientCAFile: x\n      clientCA: "+text)), nil, "keep one"},
		"both":            {"a certificate that anybody may leave out", list(gateway("a", "{network: Trusted, certificateSAN: a}")), nil, "keep network: Trusted, or"},
		"network":         {"there is one value", list(gateway("a", "{network: trusted}")), nil, "it is Trusted"},
		"CA is no PEM":    {"nobody would be it", list(gateway("a", "{certificateSAN: a, clientCA: MIIB}")), nil, "holds no certificate"},
		"CA is a key":     {"a key has no place there", list(gateway("a", "{certificateSAN: a, clientCAFile: "+write("key", key)+"}")), nil, "takes certificates only"},
		"CA is a leaf":    {"it signed nothing", list(gateway("a", "{certificateSAN: a, clientCAFile: "+write("leaf", leaf)+"}")), nil, "name the CA that signed it"},
		"CA is garbage":   {"it can't be read", list(gateway("a", "{certificateSAN: a, clientCAFile: "+write("garbage", garbage())+"}")), nil, "clientCAFile"},
		"no such file":    {"it can't be read", list(gateway("a", "{certificateSAN: a, clientCAFile: "+filepath.Join(dir, "none")+"}")), nil, "no such file"},
		"same identity":   {"which one is it?", list(gateway("a", byCA), gateway("b", byCA)), nil, "same CA and certificateSAN"},
		"all kinds":       {"each its own", list("- {name: a, kind: Nginx, authenticate: {serviceAccount: a/a}}\n", "- {name: b, kind: Traefik, authenticate: {serviceAccount: a/b}}\n", "- {name: c, kind: Caddy, authenticate: {serviceAccount: a/c}}\n", "- {name: d, kind: EnvoyHTTP, authenticate: {serviceAccount: a/d}}\n", "- {name: e, kind: EnvoyGRPC, authenticate: {serviceAccount: a/e}}\n"), []string{"a", "b", "c", "d", "e"}, ""},
		"account, form":   {"which one is it?", list(gateway("a", "{serviceAccount: mesh}")), nil, `"mesh" is not namespace/name`},
		"account and CA":  {"which one counts?", list(gateway("a", "{serviceAccount: mesh/a, certificateSAN: a}")), nil, "keep one"},
		"account trusted": {"which one counts?", list(gateway("a", "{serviceAccount: mesh/a, network: Trusted}")), nil, "keep network: Trusted, or"},
		"same account":    {"which one is it?", list(gateway("a", "{serviceAccount: mesh/a}"), gateway("b", "{serviceAccount: mesh/a}")), nil, "same serviceAccount"},
		"certificate":     {"it tells users' certificates", list(gateway("a", "{serviceAccount: mesh/a}\n  clientCertificate: {header: x-client-cert, format: PEM}")), []string{"a"}, ""},
		"its format":      {"it is not guessed", list(gateway("a", "{serviceAccount: mesh/a}\n  clientCertificate: {header: a, format: pem}")), nil, "it is PEM, DER, XFCC or RFC9440"},
		"its header":      {"it is not guessed", list(gateway("a", "{serviceAccount: mesh/a}\n  clientCertificate: {format: PEM}")), nil, "clientCertificate.header is missing"},
		"odd header":      {"nobody sends it", list(gateway("a", "{serviceAccount: mesh/a}\n  clientCertificate: {header: 'a b', format: PEM}")), nil, "letters, digits and hyphens"},
		"no header, gRPC": {"the CheckRequest tells it", list("- {name: e, kind: EnvoyGRPC, authenticate: {serviceAccount: a/e}, clientCertificate: {format: PEM}}\n"), []string{"e"}, ""},
		"XFCC, gRPC":      {"the CheckRequest tells PEM", list("- {name: e, kind: EnvoyGRPC, authenticate: {serviceAccount: a/e}, clientCertificate: {format: XFCC}}\n"), nil, "clientCertificate.header is missing"},
		"of a trusted":    {"whoever reaches the port could show anybody's", list(gateway("a", "{network: Trusted}\n  clientCertificate: {header: a, format: PEM}")), nil, "not for network: Trusted"},
		"CVE-2024-12401":  {"an oversized PEM burns CPU", list(gateway("a", "{certificateSAN: a, clientCAFile: "+write("big", []byte(strings.Repeat("\n", 300<<10)))+"}")), nil, "larger than"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			parsed, err := server.ParseConfig([]byte(c.config))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: error %v, want one that says %q", c.reason, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			var got []string
			for _, g := range parsed.Gateways {
				got = append(got, g.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func garbage() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2, 3}})
}

// TestErrorsNameTheGateway: the platform has several.
func TestErrorsNameTheGateway(t *testing.T) {
	_, err := server.ParseConfig([]byte("gateways:\n- {name: a, kind: Nginx, authenticate: {network: Trusted}}\n- {name: edge, kind: Nginx}\n"))
	if err == nil || !strings.HasPrefix(err.Error(), `gateways[1] ("edge"): `) {
		t.Errorf("error %v", err)
	}
}
