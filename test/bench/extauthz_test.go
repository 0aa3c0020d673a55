// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
)

const checkBurst = 2000

// BenchmarkExtAuthz compares ext_authz on a warm cache with a bare gRPC server that answers
// the very message that ours answered once, over TLS, in interleaved pairs.
func BenchmarkExtAuthz(b *testing.B) {
	p := setup{}.start(b)
	request := checkRequest()
	ours := p.newChecks(b, p.addresses.ExtAuthz, request)
	answer, err := ours.clients[0].Check(b.Context(), request)
	if err != nil || answer.GetStatus().GetCode() != int32(codes.OK) || answer.GetOkResponse() == nil {
		b.Fatal(answer, err)
	}
	bare := p.newChecks(b, p.startBareGRPC(b, answer), request)
	for b.Loop() {
		compare(b, ours.run, bare.run, checkBurst).report(b)
	}
}

func checkRequest() *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"namespace": "shop", "policy": "orders"},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: "GET", Path: "/v1/orders?page=2", Host: "orders.example.com", Scheme: "https", Protocol: "HTTP/1.1",
			Headers: map[string]string{
				":method": "GET", ":path": "/v1/orders?page=2", ":authority": "orders.example.com", ":scheme": "https",
				"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "accept": "application/json", "accept-language": "en",
				"cookie": "session=0123456789abcdef", "x-request-id": "0123456789abcdef", "authorization": "Bearer " + accessToken("1"),
			},
		}},
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{}},
	}}
}

// checks asks over a few connections, as Envoy's workers do, with several questions under
// way on each.
type checks struct {
	clients []authv3.AuthorizationClient
	request *authv3.CheckRequest
}

func (p *plane) newChecks(b *testing.B, address string, request *authv3.CheckRequest) *checks {
	b.Helper()
	c := &checks{request: request}
	for range 2 {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: p.ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{*p.mesh}, MinVersion: tls.VersionTLS13,
		})))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		c.clients = append(c.clients, authv3.NewAuthorizationClient(conn))
	}
	return c
}

func (c *checks) run(b *testing.B) measured {
	b.Helper()
	start, cpu := time.Now(), cpuTime(b)
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			for range checkBurst / connections {
				answer, err := c.clients[i%len(c.clients)].Check(b.Context(), c.request)
				if err != nil || answer.GetStatus().GetCode() != int32(codes.OK) {
					b.Error(answer, err)
					return
				}
			}
		})
	}
	group.Wait()
	return measured{wall: time.Since(start), cpu: cpuTime(b) - cpu}
}

type bareAuthorization struct {
	authv3.UnimplementedAuthorizationServer

	answer *authv3.CheckResponse
}

// Check answers what it was given.
func (s *bareAuthorization) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return s.answer, nil
}

func (p *plane) startBareGRPC(b *testing.B, answer *authv3.CheckResponse) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(p.tlsConfig())))
	bare, ok := proto.Clone(answer).(*authv3.CheckResponse)
	if !ok {
		b.Fatal("a clone of another type")
	}
	authv3.RegisterAuthorizationServer(s, &bareAuthorization{answer: bare})
	go func() { _ = s.Serve(listener) }()
	b.Cleanup(s.Stop)
	return listener.Addr().String()
}
