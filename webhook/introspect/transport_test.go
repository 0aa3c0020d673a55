// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestNoAnswer: what goes wrong below HTTP. A peer that sends our request back must not
// bring the token into an error (CVE-2024-31391).
func TestNoAnswer(t *testing.T) {
	cases := map[string]struct {
		reason string
		serve  func(net.Conn, *http.Request)
		want   string
	}{
		"echo as status line": {"net/http quotes it", func(c net.Conn, r *http.Request) {
			_, _ = fmt.Fprintf(c, "%s %s\r\n\r\n", r.PostFormValue("token"), r.Header.Get("Authorization"))
		}, "not HTTP"},
		"echo as status": {"net/http quotes it", func(c net.Conn, r *http.Request) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", r.PostFormValue("token"))
		}, "not HTTP"},
		"echo as header": {"net/http quotes it", func(c net.Conn, r *http.Request) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", r.PostFormValue("token"))
		}, "not HTTP"},
		"echo as chunk": {"net/http may quote it", func(c net.Conn, r *http.Request) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", r.PostFormValue("token"))
		}, "reading the answer"},
		"echo as location": {"net/http quotes it", func(c net.Conn, r *http.Request) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: http://%%zz%s\r\nContent-Length: 0\r\n\r\n", r.PostFormValue("token"))
		}, "not HTTP"},
		"truncated": {"half an answer that looks whole", func(c net.Conn, _ *http.Request) {
			_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"active\":true}")
		}, "reading the answer"},
		"closed": {"no answer", func(net.Conn, *http.Request) {}, "EOF"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			endpoint := listen(t, func(conn net.Conn, r *bufio.Reader) {
				if req, err := http.ReadRequest(r); err == nil {
					c.serve(conn, req)
				}
			})
			client, err := introspect.New(introspect.Options{Endpoint: endpoint, Issuer: issuer, Timeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			facts, err := client.Introspect(t.Context(), introspect.Credential{ClientID: "canary", Secret: "canary"}, token.New(canaryToken))
			var unavailable *introspect.Unavailable
			if facts != nil || !errors.As(err, &unavailable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: facts %v, error %v", c.reason, facts, err)
			}
			noCanary(t, err)
		})
	}
}

// listen serves each connection once, then closes it.
func listen(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/introspect"
}

// TestIdleConnectionClosedByServer: a server that closes a connection while we ask on it
// costs a second question, not an outage.
func TestIdleConnectionClosedByServer(t *testing.T) {
	var asked atomic.Int32
	endpoint := listen(t, func(conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		asked.Add(1)
		_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"active\":true}")
		_, _ = http.ReadRequest(r) // and the connection ends without an answer to this one
	})
	client, err := introspect.New(introspect.Options{Endpoint: endpoint, Issuer: issuer, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if facts, err := client.Introspect(t.Context(), credential, token.New(canaryToken)); err != nil || !facts.Active {
			t.Fatalf("facts %v, error %v", facts, err)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("answered %d times: the connection was not kept", asked.Load())
	}
}

func TestTimeOut(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the server notices that the client left only when it has read the body
		<-r.Context().Done()
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := map[string]struct {
		reason  string
		ctx     context.Context //nolint:containedctx // a table
		timeout time.Duration
		want    error
	}{
		"own limit":      {"a server that hangs", t.Context(), 50 * time.Millisecond, context.DeadlineExceeded},
		"caller is gone": {"nobody waits any more", canceled, time.Minute, context.Canceled},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := serve(t, hang, func(o *introspect.Options) { o.Timeout = c.timeout })
			facts, err := client.Introspect(c.ctx, credential, token.New(canaryToken))
			var unavailable *introspect.Unavailable
			if facts != nil || !errors.As(err, &unavailable) || !errors.Is(err, c.want) {
				t.Errorf("%s: facts %v, error %v", c.reason, facts, err)
			}
		})
	}
}

func TestUnknownAuthority(t *testing.T) {
	client := serve(t, answer(200, "application/json", `{"active":true}`), func(o *introspect.Options) { o.CAPEM = nil })
	facts, err := client.Introspect(t.Context(), credential, token.New(canaryToken))
	if facts != nil || err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("facts %v, error %v", facts, err)
	}
}
