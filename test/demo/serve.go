// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// inProcess serves an authorization server that lives in this process, over TLS
// with the server's certificate of the run. What it knows outlives stop.
type inProcess struct {
	d       *demo
	address string
	handler http.Handler
	http    *http.Server
}

// newInProcess finds an address; url is https and it.
func newInProcess(d *demo) (p *inProcess, url string, err error) {
	port, err := env.FreePort()
	if err != nil {
		return nil, "", err
	}
	p = &inProcess{d: d, address: "127.0.0.1:" + strconv.Itoa(port)}
	return p, "https://" + p.address, nil
}

func (p *inProcess) start(ctx context.Context) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(p.d.dir, serverCert), filepath.Join(p.d.dir, serverKey))
	if err != nil {
		return fmt.Errorf("reading the server's certificate: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("listening as the authorization server: %w", err)
	}
	first := p.http == nil
	server := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}},
	}
	p.http = server
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with Close
	if first {
		p.d.atEnd("the authorization server", func() error { return p.stop(context.Background()) }) //nolint:contextcheck // the story's context has ended by then
	}
	return nil
}

func (p *inProcess) stop(context.Context) error {
	if err := p.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stopping the authorization server: %w", err)
	}
	return nil
}

// clientSecret makes a client's secret, and the file <client>.curl for curl.
func (d *demo) clientSecret(client string) (string, error) {
	secret := rand.Text()
	d.secret(secret)
	return secret, d.write(client+".curl", "user = "+strconv.Quote(client+":"+secret)+"\n")
}

// revocation ends the token of that name as the client that got it (RFC 7009).
func revocation(endpoint, client, name string) request {
	return request{url: endpoint, ca: serverCA, user: client + ".curl", form: []string{"token@" + name + ".token"}}
}
