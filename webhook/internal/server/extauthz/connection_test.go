// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/metadata"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server/extauthz"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestServiceAccount: a gateway shows its token in the metadata of the call.
func TestServiceAccount(t *testing.T) {
	cases := map[string]struct {
		reason   string
		metadata []string
		name     string
		want     string
	}{
		"token":                 {"declared", []string{"introspection-gateway", "istio-system.ingress"}, "", "mesh"},
		"other account":         {"not declared", []string{"introspection-gateway", "istio-system.other"}, "", ""},
		"two tokens":            {"one proves anything", []string{"introspection-gateway", "istio-system.ingress", "introspection-gateway", "istio-system.ingress"}, "", ""},
		"certificate and token": {"who shows a certificate is what it says", []string{"introspection-gateway", "istio-system.ingress"}, "envoy.edge.svc", "edge"},
		"other certificate":     {"and nobody else", []string{"introspection-gateway", "istio-system.ingress"}, "other.edge.svc", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := always(alice(), nil)
			f := serve(t, e, nil)
			ctx := metadata.AppendToOutgoingContext(t.Context(), c.metadata...)
			response, err := authv3.NewAuthorizationClient(f.dial(t, c.name)).Check(ctx, question("authorization", "Bearer alice"))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if asked := e.requests(); len(asked) == 1 {
				got = asked[0].Gateway
			}
			if got != c.want || (response.GetOkResponse() != nil) != (c.want != "") {
				t.Errorf("%s: asked for %q, answered %v", c.reason, got, response)
			}
		})
	}
}

// TestTLS: TLS 1.3 with a certificate.
func TestTLS(t *testing.T) {
	f := serve(t, always(alice(), nil), nil)
	config := f.clientTLS(t, "envoy.edge.svc")
	config.MaxVersion, config.MinVersion = tls.VersionTLS12, tls.VersionTLS12
	if conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", f.server.Address()); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2 is taken")
	}
	if _, err := extauthz.New(extauthz.Options{Addr: "127.0.0.1:0", MinTLS: tls.VersionTLS10}); err == nil || !strings.Contains(err.Error(), "1.2 and 1.3") {
		t.Errorf("TLS 1.0: %v", err)
	}
	options := f.options
	options.Addr = f.server.Address()
	if _, err := extauthz.New(options); err == nil || !strings.Contains(err.Error(), "listening for ext-authz") {
		t.Errorf("an address in use: %v", err)
	}
	none := serve(t, always(alice(), nil), func(o *extauthz.Options) {
		o.Certificates = func() (*tls.Certificate, error) { return nil, nil } //nolint:nilnil // there is none yet
	})
	if conn, err := (&tls.Dialer{Config: f.clientTLS(t, "")}).DialContext(t.Context(), "tcp", none.server.Address()); err == nil {
		_ = conn.Close()
		t.Error("there is a certificate")
	}
}

// TestDrain: a running question is answered, and no new connection is taken.
func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	e := &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
		close(entered)
		<-release
		return alice(), nil
	}}
	f := serve(t, e, nil)
	client := authv3.NewAuthorizationClient(f.dial(t, "envoy.edge.svc"))
	answered := make(chan error, 1)
	go func() {
		response, err := client.Check(context.Background(), question("authorization", "Bearer alice"))
		if err == nil && response.GetOkResponse() == nil {
			err = fmt.Errorf("answered %v", response)
		}
		answered <- err
	}()
	<-entered
	f.stop()
	for { // until the listener is gone
		conn, err := (&tls.Dialer{Config: f.clientTLS(t, "")}).DialContext(t.Context(), "tcp", f.server.Address())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-f.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	close(f.done)
}

// TestDrainCut: questions that don't end are cut, and Run says so.
func TestDrainCut(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	e := &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
		close(entered)
		<-release
		return alice(), nil
	}}
	f := serve(t, e, func(o *extauthz.Options) { o.DrainTimeout = 1 })
	go func() {
		_, _ = authv3.NewAuthorizationClient(f.dial(t, "envoy.edge.svc")).Check(context.Background(), question("authorization", "Bearer alice"))
	}()
	<-entered
	f.stop()
	if err := <-f.done; err == nil || !strings.Contains(err.Error(), "were cut") {
		t.Errorf("Run: %v", err)
	}
	close(f.done)
}
