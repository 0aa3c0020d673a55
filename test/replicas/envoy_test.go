// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
)

// extAuthz asks as Envoy does.
func (w *world) extAuthz(t *testing.T, address string, roots *x509.CertPool) func(context.Context, tested, string) (verdict, error) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(w.tls(t, roots, meshSAN))), grpc.WithStatsHandler(sentHandler{}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: pollPause, Multiplier: 1, MaxDelay: pollPause}, MinConnectTimeout: answerLimit}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	authorization := authv3.NewAuthorizationClient(conn)
	return func(ctx context.Context, p tested, token string) (verdict, error) {
		var sent atomic.Bool
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, sentKey{}, &sent), answerLimit)
		defer cancel()
		response, err := authorization.Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Method: http.MethodGet, Path: "/orders", Host: "orders.example.com", Scheme: "https",
				Headers: map[string]string{":method": http.MethodGet, ":path": "/orders", ":authority": "orders.example.com", "authorization": "Bearer " + token},
			}},
			ContextExtensions: map[string]string{"namespace": tenantNamespace, "policy": p.name},
		}})
		switch {
		case err != nil && sent.Load():
			return broken, fmt.Errorf("sent, and not answered: %w", err)
		case err != nil:
			return unreached, err
		case response.GetDeniedResponse() != nil && response.GetStatus().GetCode() != 0:
			return gatewayVerdict(int(response.GetDeniedResponse().GetStatus().GetCode()), nil)
		case response.GetStatus() != nil && response.GetStatus().GetCode() == 0 && response.GetOkResponse() != nil:
			return allowed, nil
		}
		return broken, fmt.Errorf("answered %v", response)
	}
}

// sentHandler notes that a call went out on a connection.
type sentHandler struct{}

type sentKey struct{}

func (sentHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); ok {
		if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
			sent.Store(true)
		}
	}
}

func (sentHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentHandler) HandleConn(context.Context, stats.ConnStats) {}
