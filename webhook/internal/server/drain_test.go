// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// TestDrainUnderLoad: two replicas, one of which is stopped while clients POST through
// connections that they keep. New connections go to the other, as Kubernetes does it. No
// request fails: a POST that met a closing connection would not be repeated.
func TestDrainUnderLoad(t *testing.T) {
	read := surface{answer: func(w http.ResponseWriter, r *http.Request, _ server.Call) {
		var b bytes.Buffer
		if _, err := b.ReadFrom(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
	}}
	first, second := serve(t, read, nil), serve(t, read, nil)
	var replica atomic.Pointer[fixture]
	replica.Store(first)
	both := x509.NewCertPool()
	both.AddCert(first.ca.cert)
	both.AddCert(second.ca.cert)

	load, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		clients sync.WaitGroup
		served  atomic.Int64
		failed  = make(chan error, 16)
	)
	for i := range 10 {
		transport := &http.Transport{
			ForceAttemptHTTP2: i%5 == 0,
			TLSClientConfig:   &tls.Config{RootCAs: both, ServerName: hostname, MinVersion: tls.VersionTLS13},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, replica.Load().server.Address())
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport}
		clients.Go(func() {
			for load.Err() == nil {
				if err := post(client); err != nil {
					failed <- err
					return
				}
				served.Add(1)
			}
		})
	}
	await(t, "load", func() bool { return served.Load() > 200 })
	replica.Store(second)
	first.stop()
	if err := <-first.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	first.done <- nil
	before := served.Load()
	await(t, "load at the other replica", func() bool { return served.Load() > before+200 || len(failed) > 0 })
	cancel()
	clients.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}

func post(client *http.Client) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://webhook/authorize/shop/orders", strings.NewReader("token=x"))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}

// await polls: it is for what other goroutines do.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestDrainEndsWhatRuns: a request that runs is answered, and its connection told to
// close; the address is given up.
func TestDrainEndsWhatRuns(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	f := serve(t, surface{answer: func(w http.ResponseWriter, _ *http.Request, _ server.Call) {
		close(running)
		<-release
		w.WriteHeader(http.StatusOK)
	}}, func(o *server.Options) { o.DrainTimeout = 10 * time.Second })
	client := f.client(t, false)
	type outcome struct {
		code int
		told bool
		err  error
	}
	answered := make(chan outcome, 1)
	go func() {
		resp, err := client.Get(f.url("/authorize/shop/orders")) //nolint:noctx // the client has a timeout
		if err != nil {
			answered <- outcome{err: err}
			return
		}
		answered <- outcome{code: resp.StatusCode, told: resp.Close, err: resp.Body.Close()}
	}()
	<-running
	f.stop()
	// It lingers, as long as there is a connection, and then gives the address up.
	await(t, "the end of accepting", func() bool {
		conn, err := net.Dial("tcp", f.server.Address()) //nolint:noctx // refused at once, or taken
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	if got := <-answered; got != (outcome{code: http.StatusOK, told: true}) {
		t.Errorf("answered %+v", got)
	}
}

// TestDrainTimeout: what does not end in time is cut, and Run says so.
func TestDrainTimeout(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	f := serve(t, surface{answer: func(http.ResponseWriter, *http.Request, server.Call) {
		close(running)
		<-release
	}}, func(o *server.Options) { o.DrainTimeout = 20 * time.Millisecond })
	cut := make(chan error, 1)
	go func() {
		resp, err := f.client(t, false).Get(f.url("/authorize/shop/orders")) //nolint:noctx // the client has a timeout
		if err == nil {
			_ = resp.Body.Close()
		}
		cut <- err
	}()
	<-running
	f.stop()
	if err := <-f.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
	f.done <- nil
	if err := <-cut; err == nil {
		t.Error("the request was answered")
	}
}

// TestAddressInUse: New says which address it can't have.
func TestAddressInUse(t *testing.T) {
	f := serve(t, surface{}, nil)
	options := f.options
	options.Addr = f.server.Address()
	if _, err := server.New(options); err == nil || !strings.Contains(err.Error(), options.Addr) {
		t.Errorf("New: %v", err)
	}
}
