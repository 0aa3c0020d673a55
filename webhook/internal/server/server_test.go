// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

func TestAnswersCarryTheDecision(t *testing.T) {
	f := serve(t, surface{}, nil)
	for _, over := range []bool{false, true} {
		client := f.client(t, over)
		seen := map[string]bool{}
		for _, path := range []string{"/authorize/shop/orders", "/authorize/shop/orders/x", "/authorize/shop", "/"} {
			resp, _ := get(t, client, f.url(path), nil)
			id := resp.Header.Get(server.HeaderDecision)
			if len(id) != 16 || seen[id] {
				t.Errorf("%s: decision %q", path, id)
			}
			seen[id] = true
			if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control %q", path, got)
			}
			if want := map[bool]int{true: 2, false: 1}[over]; resp.ProtoMajor != want {
				t.Errorf("HTTP/%d, want HTTP/%d", resp.ProtoMajor, want)
			}
		}
	}
	want := map[string]float64{"200": 4, "404": 4}
	if diff := cmp.Diff(want, f.answers(t)); diff != "" {
		t.Errorf("introspection_webhook_answers_total by code (-want +got):\n%s", diff)
	}
}

func TestTLS(t *testing.T) {
	cases := map[string]struct {
		reason     string
		server     uint16
		max        uint16
		failure    error
		handshakes bool
	}{
		"1.3":            {"the default", 0, tls.VersionTLS13, nil, true},
		"1.2":            {"not by default", 0, tls.VersionTLS12, nil, false},
		"1.2 by option":  {"allowed", tls.VersionTLS12, tls.VersionTLS12, nil, true},
		"no certificate": {"there is none yet", 0, tls.VersionTLS13, errors.New("not yet"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, surface{}, func(o *server.Options) {
				o.MinTLS = c.server
				if c.failure != nil {
					o.Certificates = func() (*tls.Certificate, error) { return nil, c.failure }
				}
			})
			config := f.clientTLS()
			config.MaxVersion = c.max
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", f.server.Address())
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != c.handshakes {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
	t.Run("1.1", func(t *testing.T) {
		if _, err := server.New(server.Options{MinTLS: tls.VersionTLS11}); err == nil {
			t.Error("TLS 1.1 is offered")
		}
	})
}

// TestCertificateRotatesWhileServing: the next handshake has the new one, connections
// live on.
func TestCertificateRotatesWhileServing(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	f := serve(t, surface{}, func(o *server.Options) {
		o.Certificates = func() (*tls.Certificate, error) { return current.Load(), nil }
	})
	client := f.client(t, false)
	if conn, err := (&tls.Dialer{Config: f.clientTLS()}).DialContext(t.Context(), "tcp", f.server.Address()); err == nil {
		_ = conn.Close()
		t.Fatal("served without a certificate")
	}
	serial := func(c *http.Client) string {
		resp, _ := get(t, c, f.url("/authorize/shop/orders"), nil)
		return resp.Serial
	}
	current.Store(f.certificate(t))
	first := serial(client)
	current.Store(f.certificate(t))
	if got := serial(client); got != first {
		t.Error("the old connection was lost")
	}
	if got := serial(f.client(t, false)); got == first {
		t.Error("a new connection has the old certificate")
	}
}

// TestPanicIsNoAllow: nor does it end the process, or leave what was prepared.
func TestPanicIsNoAllow(t *testing.T) {
	f := serve(t, surface{answer: func(w http.ResponseWriter, _ *http.Request, _ server.Call) {
		w.Header().Set("X-Auth-Subject", "root")
		panic("canary-secret")
	}}, nil)
	for range 2 {
		resp, body := get(t, f.client(t, false), f.url("/authorize/shop/orders"), nil)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("X-Auth-Subject") != "" {
			t.Errorf("answered %d with %v", resp.StatusCode, resp.Header)
		}
		if strings.TrimSpace(body) != "internal" || resp.Header.Get(server.HeaderDecision) == "" {
			t.Errorf("answered %q, %v", body, resp.Header)
		}
	}
	if log := f.log.String(); !strings.Contains(log, `"panic":"string"`) || strings.Contains(log, "canary-secret") {
		t.Errorf("the log is %s", log)
	}
}

// TestAuthorino649Deadline: each request has a deadline, whatever its caller waits for.
func TestAuthorino649Deadline(t *testing.T) {
	f := serve(t, surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
		<-r.Context().Done()
		w.WriteHeader(http.StatusServiceUnavailable)
	}}, func(o *server.Options) { o.RequestTimeout = time.Millisecond })
	if resp, _ := get(t, f.client(t, false), f.url("/authorize/shop/orders"), nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answered %d", resp.StatusCode)
	}
}

// TestHeaderLimit: two tokens of 16 KiB are admitted, a flood is not.
func TestHeaderLimit(t *testing.T) {
	f := serve(t, surface{}, nil)
	for _, over := range []bool{false, true} {
		two := http.Header{"Authorization": {"Bearer " + strings.Repeat("a", 16<<10)}, "X-Id-Token": {strings.Repeat("b", 16<<10)}}
		if resp, _ := get(t, f.client(t, over), f.url("/authorize/shop/orders"), two); resp.StatusCode != http.StatusOK {
			t.Errorf("two tokens: answered %d", resp.StatusCode)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/authorize/shop/orders"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Flood", strings.Repeat("c", 128<<10))
		resp, err := f.client(t, over).Do(req)
		if err != nil {
			continue // the connection was cut
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("128 KiB: answered %d", resp.StatusCode)
		}
	}
}

// TestCVE202327488RawBytes: odd bytes and targets on a raw socket are no allow of
// another policy, and no crash.
func TestCVE202327488RawBytes(t *testing.T) {
	f := serve(t, surface{}, nil)
	cases := map[string]struct {
		reason string
		send   string
		want   string // the policy that is asked; empty: no 200
	}{
		"dots":           {"raw segments", "GET /authorize/a/strict/../../a/lax HTTP/1.1\r\nHost: h\r\n\r\n", "a/strict"},
		"encoded dots":   {"nothing is decoded", "GET /authorize/a/%2e%2e/a/lax HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"double slash":   {"nothing is cleaned", "GET //authorize/a/lax HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"absolute form":  {"no gateway sends it", "GET http://h/authorize/a/lax HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"no slash":       {"no path", "GET authorize/a/lax HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"asterisk":       {"no path", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"connect":        {"no path", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"zero byte":      {"no header has it", "GET /authorize/a/lax HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n", ""},
		"no UTF-8":       {"a header may have it: the policy is asked all the same", "GET /authorize/a/strict HTTP/1.1\r\nHost: h\r\nX: \xff\xfe\r\n\r\n", "a/strict"},
		"no UTF-8 there": {"no name has it", "GET /authorize/a/strict\xff HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"two lengths":    {"request smuggling", "GET /authorize/a/lax HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ""},
		"no HTTP":        {"garbage", "\x16\x03\x01 \xff\r\n\r\n", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conn, err := (&tls.Dialer{Config: f.clientTLS()}).DialContext(t.Context(), "tcp", f.server.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(c.send)); err != nil {
				t.Fatal(err)
			}
			got := ""
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					got = resp.Header.Get("X-Policy")
				}
			}
			if got != c.want {
				t.Errorf("%s: policy %q, want %q", c.reason, got, c.want)
			}
		})
	}
	if resp, _ := get(t, f.client(t, false), f.url("/authorize/a/strict"), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards it answers %d", resp.StatusCode)
	}
}

// TestCVE202633186PathWithoutSlash: a raw HTTP/2 frame with such a :path.
func TestCVE202633186PathWithoutSlash(t *testing.T) {
	f := serve(t, surface{}, nil)
	for path, allowed := range map[string]bool{"/authorize/a/strict": true, "authorize/a/strict": false, "//authorize/a/strict": false} {
		got, err := rawPath(t.Context(), f, path)
		if err != nil {
			t.Fatal(err)
		}
		if (got == "200") != allowed {
			t.Errorf(":path %q is answered %q", path, got)
		}
	}
}

// rawPath is the status of an HTTP/2 request; empty if the stream was reset.
func rawPath(ctx context.Context, f *fixture, path string) (string, error) {
	config := f.clientTLS()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{}, Config: config}).DialContext(ctx, "tcp", f.server.Address())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", path}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return "", err
		}
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return "", err
	}
	if err := errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true,
	})); err != nil {
		return "", err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "", err
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status"), nil
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "", nil
		}
	}
}
