// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// The story shows curl's command: what is asked without curl must be the same.
func TestARequestIsTheSameWithAndWithoutCurl(t *testing.T) {
	d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
	base := startEcho(t, d)
	for name, content := range map[string]string{
		"a.token": "e+y&J/=", "a.header": "Authorization: Bearer e.y.J\n", "a.curl": "user = \"shop.orders:s e\\\\c\\\"ret\"\n",
	} {
		if err := d.write(name, content); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		reason string
		ask    request
		want   string // in the body
	}{
		"plain":               {"no header but the address", request{url: base + "/x?y=1", ca: "ca.crt"}, "GET /x?y=1"},
		"with its header":     {"what -i prints has to be read back", request{url: base, ca: "ca.crt", head: true}, "GET /"},
		"another method":      {"an admin's call", request{method: http.MethodDelete, url: base, ca: "ca.crt"}, "DELETE /"},
		"a token in a file":   {"no command line has a token", request{url: base, ca: "ca.crt", bearer: "a.header"}, "Bearer e.y.J"},
		"headers":             {"as a gateway sends them", request{url: base, ca: "ca.crt", headers: []string{"X-Original-URL: https://a/b c'd"}}, "https://a/b c'd"},
		"a form":              {"a token with reserved characters arrives whole", request{url: base, ca: "ca.crt", form: []string{"token@a.token", "client_id=w b"}}, "token:[e+y&J/=]"},
		"a credential":        {"a secret with quotes and spaces arrives whole", request{url: base, ca: "ca.crt", user: "a.curl", form: []string{"a=b"}}, `user="shop.orders" password="s e\\c\"ret"`},
		"a certificate":       {"a declared gateway proves itself", request{url: base, ca: "ca.crt", cert: "edge.crt", key: "edge.key"}, "certificate=[edge.example.com]"},
		"a status of its own": {"503 is no error of the request", request{url: base + "/503", ca: "ca.crt"}, "GET /503"},
	} {
		t.Run(name, func(t *testing.T) {
			direct, err := tc.ask.do(t.Context(), d.dir)
			if err != nil {
				t.Fatal(err)
			}
			curled, err := d.ask(t.Context(), tc.ask)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(direct.body, tc.want) {
				t.Errorf("%s: %q is not in\n%s", tc.reason, tc.want, direct.body)
			}
			if diff := cmp.Diff(direct.body, curled.body); diff != "" {
				t.Errorf("%s: curl asks another thing:\n%s", tc.reason, diff)
			}
			if direct.status != curled.status {
				t.Errorf("%s: %d, and with curl %d", tc.reason, direct.status, curled.status)
			}
			if got := curled.header.Get("X-Seen"); tc.ask.head && got != "yes" {
				t.Errorf("%s: the header was read as %q", tc.reason, got)
			}
		})
	}
}

func TestWithoutCurlTheStoryGoesOn(t *testing.T) {
	var told bytes.Buffer
	d := newDemo(newStory(&told, false), "", t.TempDir(), true)
	base := startEcho(t, d)
	t.Setenv("PATH", t.TempDir())
	a, err := d.ask(t.Context(), request{url: base + "/503", ca: "ca.crt", head: true})
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusServiceUnavailable || a.header.Get("X-Seen") != "yes" {
		t.Errorf("another answer: %+v", a)
	}
	for _, want := range []string{"$ curl -s -i --cacert ca.crt " + base + "/503", "503 Service Unavailable", "X-Seen: yes", "GET /503"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, told.String())
		}
	}
}

// startEcho answers with what it was asked, over TLS with a CA of its own.
func startEcho(t *testing.T, d *demo) string {
	t.Helper()
	ca, err := env.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	for name, names := range map[string]env.Names{"server": {IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, "edge": {DNS: []string{gatewaySAN}}} {
		cert, key, err := ca.Issue(names)
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{name + ".crt": cert, name + ".key": key, "ca.crt": ca.PEM()} {
			if err := d.write(file, string(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var seen strings.Builder
		w.Header().Set("X-Seen", "yes")
		if r.URL.Path == "/503" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(&seen, "%s %s\noriginal=%q authorization=%q\n", r.Method, r.RequestURI, r.Header.Get("X-Original-Url"), r.Header.Get("Authorization"))
		if user, password, ok := r.BasicAuth(); ok {
			fmt.Fprintf(&seen, "user=%q password=%q\n", user, password)
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&seen, "form=%v\n", r.PostForm)
		if chain := r.TLS.PeerCertificates; len(chain) > 0 { // curl sends the CA too
			fmt.Fprintf(&seen, "certificate=%s\n", chain[0].DNSNames)
		}
		if _, err := io.WriteString(w, seen.String()); err != nil {
			t.Error(err)
		}
	}))
	transport, err := request{ca: "ca.crt", cert: "server.crt", key: "server.key"}.transport(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = transport.TLSClientConfig
	server.TLS.ClientAuth = tls.RequestClientCert
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestQuotedWordsReachTheProgramAsTheyAre(t *testing.T) {
	for name, tc := range map[string]struct{ reason, word string }{
		"plain":       {"most are", "--cacert"},
		"empty":       {"it must not vanish", ""},
		"curl format": {"braces and a backslash", `\n%{http_code}\n`},
		"quotes":      {"both kinds", `it's "so"`},
		"a command":   {"the shell must not run it", "$(id) `id` ; id | id"},
		"an address":  {"a query is no pattern", "https://a/b?c=d&e=*"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(tc.word)).Output()
			if err != nil {
				t.Fatal(err)
			}
			folded, err := exec.CommandContext(t.Context(), "sh", "-c", fold([]string{"printf", "%s", quote(tc.word)})).Output()
			if err != nil {
				t.Fatal(err)
			}
			if string(out) != tc.word || string(folded) != tc.word {
				t.Errorf("%s: got %q, folded %q, want %q", tc.reason, out, folded, tc.word)
			}
		})
	}
}

func TestFilesOfTheDemoAreItsOwnersOnly(t *testing.T) {
	d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
	if err := d.write("a.token", "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.shell(t.Context(), "echo s > a.curl"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.token", "a.curl"} {
		info, err := os.Stat(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o", name, got)
		}
	}
}
