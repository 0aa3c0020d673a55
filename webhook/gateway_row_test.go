// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// row is what a user sends through a gateway, and what comes of it.
type row struct {
	reason  string
	gateway string   // address
	token   string   // after Bearer; empty: no Authorization
	method  string   // default POST, with a body
	target  string   // raw; default /orders?page=2
	lines   []string // raw header lines
	show    *tls.Certificate

	status    int
	challenge string
	seen      http.Header // identity headers that the API was sent, in whatever spelling; nil: none, it was not reached
	asked     string      // method, host and target that the engine was told; empty: any, "-": it was not asked
}

// reply is a response that was read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// through sends a row's bytes: no client would write some of them.
func (f *front) through(t *testing.T, r *row) reply {
	t.Helper()
	config := &tls.Config{RootCAs: f.ca.Pool(), ServerName: "orders.example.com", MinVersion: tls.VersionTLS12}
	if r.show != nil {
		config.Certificates = []tls.Certificate{*r.show}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", r.gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	var b bytes.Buffer
	method := cmp.Or(r.method, http.MethodPost)
	b.WriteString(method + " " + cmp.Or(r.target, "/orders?page=2") + " HTTP/1.1\r\nHost: orders.example.com\r\n")
	if r.token != "" {
		b.WriteString("Authorization: Bearer " + r.token + "\r\n")
	}
	for _, line := range r.lines {
		b.WriteString(line + "\r\n")
	}
	if method == http.MethodPost {
		b.WriteString("Content-Length: 4\r\n\r\nbody")
	} else {
		b.WriteString("\r\n")
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: body.Bytes()}
}

// identity are the headers that say, or seem to say, who the user is.
func identity(t *testing.T, got reply) http.Header {
	t.Helper()
	if got.header.Get("X-Reached") == "" {
		return nil
	}
	var all http.Header
	if err := json.Unmarshal(got.body, &all); err != nil {
		t.Fatal(err)
	}
	seen := http.Header{}
	for name, values := range all {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x") && strings.Contains(lower, "auth") {
			seen[name] = values
		}
	}
	return seen
}

// rows runs a table, one after the other: the engine remembers. told says whether the
// decision's id reaches the user.
func (f *front) rows(t *testing.T, told func(*row) bool, rows map[string]row) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			f.engine.take()
			got := f.through(t, &r)
			if got.status != r.status {
				t.Errorf("%s: answered %d, want %d: %s", r.reason, got.status, r.status, got.body)
			}
			if challenge := strings.Join(got.header["Www-Authenticate"], "\n"); challenge != r.challenge {
				t.Errorf("%s: the challenge is %q, want %q", r.reason, challenge, r.challenge)
			}
			if diff := gocmp.Diff(r.seen, identity(t, got)); diff != "" {
				t.Errorf("%s: the API was sent (-want +got):\n%s", r.reason, diff)
			}
			if id := got.header.Get("Introspection-Decision"); told(&r) != (len(id) == 16) {
				t.Errorf("%s: the decision is %q", r.reason, id)
			}
			f.checkAsked(t, &r, got.header.Get("X-Reached"))
		})
	}
}

// everywhere runs what is the same for all gateways. want are the identity headers that
// the API is sent with alice's token.
func (f *front) everywhere(t *testing.T, want http.Header, gateways ...string) {
	t.Helper()
	for _, gateway := range gateways {
		t.Run("proofs", func(t *testing.T) { f.proofs(t, gateway) })
		t.Run("aliases", func(t *testing.T) { f.aliases(t, gateway, want) })
	}
}

// aliases is CVE-2026-88011 and its kin: whatever spelling of each header of ours a user
// sends, the API is not reached, or it sees ours alone. want is what it sees without.
func (f *front) aliases(t *testing.T, gateway string, want http.Header) {
	t.Helper()
	for _, name := range []string{"X-Auth-Subject", "X-Auth-Tenant"} {
		for _, spelling := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."),
			strings.ReplaceAll(name, "-", "!"), strings.ReplaceAll(name, "-", "~"), strings.Replace(name, "-", "_", 1),
			strings.Replace(name, "h-", "h_", 1), strings.Replace(name, "h-", "h.", 1), strings.ToUpper(strings.Replace(name, "-", ".", 1)),
		} {
			got := f.through(t, &row{gateway: gateway, token: "alice", lines: []string{spelling + ": root"}})
			if seen := identity(t, got); seen != nil {
				if diff := gocmp.Diff(want, seen); diff != "" {
					t.Errorf("with %s from the user, the API was sent (-want +got):\n%s", spelling, diff)
				}
			}
		}
	}
}

// certificates: what the engine is told is the certificate that the user showed, and
// nothing that the user wrote into header.
func (f *front) certificates(t *testing.T, gateway, header string) {
	t.Helper()
	shown, other := f.clients.CertificateForTest(t, env.Names{DNS: []string{"user.example.com"}}), f.clients.CertificateForTest(t, env.Names{DNS: []string{"victim.example.com"}})
	sum := sha256.Sum256(shown.Certificate[0])
	der := base64.StdEncoding.EncodeToString(other.Certificate[0])
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate[0]})))
	spoofed := []string{header + ": " + der, header + ": " + escaped, header + ": Hash=" + hex.EncodeToString(sum[:])}
	cases := map[string]struct {
		reason string
		row    row
		want   *[32]byte
	}{
		"none":           {"nobody showed one", row{}, nil},
		"shown":          {"its SHA-256", row{show: &shown}, &sum},
		"spoofed, DER":   {"a header of the user proves nothing", row{lines: spoofed[:1]}, nil},
		"spoofed, PEM":   {"a header of the user proves nothing", row{lines: spoofed[1:2]}, nil},
		"spoofed, XFCC":  {"a header of the user proves nothing", row{lines: spoofed[2:]}, nil},
		"spoofed, twice": {"the one that was shown", row{show: &shown, lines: spoofed}, &sum},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f.engine.take()
			c.row.gateway, c.row.token = gateway, "alice"
			if got := f.through(t, &c.row); got.status != http.StatusOK {
				t.Fatalf("answered %d: %s", got.status, got.body)
			}
			if diff := gocmp.Diff(c.want, f.engine.take()[0].HTTP.Certificate); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// checkAsked: whatever was sent, no other policy was asked, and what was judged is what
// reached the API.
func (f *front) checkAsked(t *testing.T, r *row, reached string) {
	t.Helper()
	asked := f.engine.take()
	if r.asked == "-" && len(asked) > 0 || len(asked) > 1 {
		t.Errorf("%s: the engine was asked: %+v", r.reason, asked)
	}
	told := ""
	for i := range asked {
		o := asked[i].HTTP
		if asked[i].Policy != (token.Ref{Namespace: "shop", Name: "orders"}) {
			t.Errorf("%s: another policy was asked: %s", r.reason, asked[i].Policy)
		}
		if told = o.Method + " " + o.Host + " " + o.Target; reached != "" && reached != o.Method+" "+o.Target {
			t.Errorf("%s: the API was sent %q, and the engine told %q", r.reason, reached, told)
		}
	}
	if r.asked != "" && r.asked != "-" && told != r.asked {
		t.Errorf("%s: the engine was told %q, want %q", r.reason, told, r.asked)
	}
}

// proofs: a DPoP proof is shown to the engine, and two are not one (RFC 9449 section 4.3).
func (f *front) proofs(t *testing.T, gateway string) {
	t.Helper()
	for name, lines := range map[string][]string{"one": {"DPoP: p1"}, "two": {"DPoP: p1", "DPoP: p2"}, "none": nil} {
		f.engine.take()
		answered := f.through(t, &row{gateway: gateway, lines: append(lines, "Authorization: DPoP alice")})
		asked := f.engine.take()
		if answered.status != http.StatusOK || len(asked) != 1 {
			t.Fatalf("%s: answered %d, %s; asked %d times", name, answered.status, answered.body, len(asked))
		}
		got := asked[0].HTTP.Proofs
		want := map[string]bool{"one": slices.Equal(got, []string{"p1"}), "none": len(got) == 0, "two": len(got) == 2 || len(got) == 1 && got[0] == "p1,p2"}
		if asked[0].Scheme != token.SchemeDPoP || !want[name] {
			t.Errorf("%s: the engine was told the scheme %d and the proofs %q", name, asked[0].Scheme, got)
		}
	}
}
