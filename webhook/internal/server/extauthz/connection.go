// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"maps"
	"net"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
)

// handshaker gives each connection a memory of who is at its other end.
type handshaker struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshaker) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	c := &connection{AuthInfo: info}
	if t, ok := info.(credentials.TLSInfo); ok {
		c.CommonAuthInfo = t.CommonAuthInfo
		c.tls = &t
	}
	return conn, c, nil
}

// Clone implements credentials.TransportCredentials.
func (h handshaker) Clone() credentials.TransportCredentials {
	return handshaker{TransportCredentials: h.TransportCredentials.Clone()}
}

// connection remembers who is at its other end.
type connection struct {
	credentials.AuthInfo
	credentials.CommonAuthInfo

	tls    *credentials.TLSInfo
	memory server.Connection
}

// gatewayOf is the gateway that asks. Its ServiceAccount token stands in the metadata of
// the call, where no user can write, unlike the headers in the CheckRequest.
func (c *checker) gatewayOf(ctx context.Context) (gateway *server.Gateway, remote string, ok bool) {
	p, found := peer.FromContext(ctx)
	if !found {
		return nil, "", false
	}
	conn, found := p.AuthInfo.(*connection)
	if !found || conn.tls == nil {
		return nil, p.Addr.String(), false
	}
	shown := server.Peer{Certificates: conn.tls.State.PeerCertificates, Connection: &conn.memory}
	if len(shown.Certificates) == 0 {
		shown.Tokens = metadata.ValueFromIncomingContext(ctx, server.HeaderGateway)
	}
	gateway, _, ok = c.caller(ctx, &shown)
	if !ok {
		return nil, p.Addr.String(), false
	}
	return gateway, "", true
}

// carrier reads traceparent from the metadata of a call.
type carrier metadata.MD

var _ propagation.TextMapCarrier = carrier(nil)

func carrierOf(ctx context.Context) carrier {
	md, _ := metadata.FromIncomingContext(ctx)
	return carrier(md)
}

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	values := metadata.MD(c).Get(key)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return slices.Collect(maps.Keys(c)) }
