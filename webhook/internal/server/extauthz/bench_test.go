// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/internal/server/extauthz"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// bare answers a ready message.
type bare struct {
	authv3.UnimplementedAuthorizationServer

	answer *authv3.CheckResponse
}

func (b *bare) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return b.answer, nil
}

// asked is a question as Envoy sends them: a token of 1 KiB, a dozen headers.
func asked() *authv3.CheckRequest {
	return question("authorization", "Bearer "+strings.Repeat("a", 1024), "accept", "application/json", "accept-encoding", "gzip",
		"cookie", "session=0123456789abcdef0123456789abcdef", "referer", "https://shop.example.com/orders",
		"x-forwarded-for", "192.0.2.1", "x-forwarded-proto", "https", "x-request-id", "0b2b2b9d-7f7e-4a8e-9d39-0a3e1a5b7c11")
}

// BenchmarkCheck compares us with a server of generated code that sends the same bytes.
func BenchmarkCheck(b *testing.B) {
	d := alice()
	d.Headers = append(d.Headers, token.Header{Name: "X-Auth-Scope", Value: "orders.read orders.write"})
	e := always(d, nil)
	f := serve(b, e, func(o *extauthz.Options) { o.Decide = e.decide }) // which remembers nothing
	ours := f.dial(b, "envoy.edge.svc")
	answer, err := authv3.NewAuthorizationClient(ours).Check(b.Context(), asked())
	if err != nil || answer.GetOkResponse() == nil {
		b.Fatal(answer, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	certificate := f.ca.CertificateForTest(b, env.Names{DNS: []string{hostname}})
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13,
	})))
	authv3.RegisterAuthorizationServer(s, &bare{answer: answer})
	go func() { _ = s.Serve(listener) }()
	b.Cleanup(s.Stop)
	theirs, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(f.clientTLS(b, "envoy.edge.svc"))))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = theirs.Close() })
	for name, conn := range map[string]*grpc.ClientConn{"bare": theirs, "ours": ours} {
		b.Run(name, func(b *testing.B) {
			client, req := authv3.NewAuthorizationClient(conn), asked()
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // as Envoy does
					response, err := client.Check(ctx, req)
					cancel()
					if err != nil || response.GetOkResponse() == nil {
						b.Error(response, err)
						return
					}
				}
			})
		})
	}
	b.Run("messages", func(b *testing.B) {
		encoded, err := proto.Marshal(asked())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(encoded, &authv3.CheckRequest{}); err != nil {
				b.Fatal(err)
			}
			if _, err := proto.Marshal(answer); err != nil {
				b.Fatal(err)
			}
		}
	})
}
