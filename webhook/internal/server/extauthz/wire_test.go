// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// passing sends and receives messages as they are.
type passing struct{}

func (passing) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("sending %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (passing) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("receiving %T", v)
	}
	*b = data.Materialize()
	return nil
}

func (passing) Name() string { return "proto" }

// send is the answer to a message that may be none.
func send(ctx context.Context, conn *grpc.ClientConn, message []byte) (*authv3.CheckResponse, error) {
	var answer []byte
	if err := conn.Invoke(ctx, "/envoy.service.auth.v3.Authorization/Check", message, &answer, grpc.ForceCodecV2(passing{})); err != nil {
		return nil, err
	}
	response := &authv3.CheckResponse{}
	return response, proto.Unmarshal(answer, response)
}

// TestCVE202327488: bytes that are not UTF-8 break a message of protocol buffers. gRPC
// would answer an error, which failure_mode_allow makes an allow; we refuse.
func TestCVE202327488(t *testing.T) {
	whole, err := proto.Marshal(question("authorization", "Bearer alice", "x-name", "ALICE"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"a header's value": bytes.Replace(whole, []byte("ALICE"), []byte("AL\xffCE"), 1),
		"a header's name":  bytes.Replace(whole, []byte("x-name"), []byte("x-\xffame"), 1),
		"garbage":          []byte("\xff\xff\xff"),
		"cut":              whole[:len(whole)-3],
	}
	f := serve(t, always(alice(), nil), nil)
	conn := f.dial(t, "envoy.edge.svc")
	for name, message := range cases {
		t.Run(name, func(t *testing.T) {
			response, err := send(t.Context(), conn, message)
			if err != nil {
				t.Fatal(err)
			}
			if got := refusedBy(t, response); got.Status != http.StatusUnauthorized {
				t.Errorf("answered %+v", got)
			}
		})
	}
	if response, err := send(t.Context(), conn, whole); err != nil || response.GetOkResponse() == nil {
		t.Errorf("the same message, whole: %v %v", response, err)
	}
}

// TestCVE202650197 (family): a message over the limit is not judged as an empty one.
func TestCVE202650197(t *testing.T) {
	e := always(alice(), nil)
	f := serve(t, e, nil)
	req := question("authorization", "Bearer alice")
	req.GetAttributes().GetRequest().GetHttp().Body = strings.Repeat("x", 1<<20)
	response, err := authv3.NewAuthorizationClient(f.dial(t, "envoy.edge.svc")).Check(t.Context(), req)
	if status.Code(err) != codes.ResourceExhausted || len(e.requests()) != 0 {
		t.Errorf("answered %v %v", response, err)
	}
}

// call sends a request of raw HTTP/2 frames. It returns the status of gRPC and the data.
func (f *fixture) call(t *testing.T, path string, message []byte) (grpcStatus string, data []byte) {
	t.Helper()
	config := f.clientTLS(t, "envoy.edge.svc")
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", f.server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, h := range [][2]string{
		{":method", "POST"},
		{":scheme", "https"},
		{":path", path},
		{":authority", hostname},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			t.Fatal(err)
		}
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	prefixed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	_, err = conn.Write([]byte(http2.ClientPreface))
	err = errors.Join(err, framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}),
		framer.WriteData(1, true, prefixed))
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			data = append(data, frame.Data()...)
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				if field.Name == "grpc-status" {
					return field.Value, data
				}
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return fmt.Sprint(frame), data
		}
	}
}

// TestCVE202633186: a method that is not exactly ours is none, and answers no message.
func TestCVE202633186(t *testing.T) {
	message, err := proto.Marshal(question("authorization", "Bearer alice"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		path   string
		want   string
	}{
		"the method":     {"raw frames work", "/envoy.service.auth.v3.Authorization/Check", "0"},
		"no slash":       {"dodged interceptors of gRPC", "envoy.service.auth.v3.Authorization/Check", "12"},
		"two slashes":    {"another path", "//envoy.service.auth.v3.Authorization/Check", "12"},
		"another method": {"not ours", "/envoy.service.auth.v3.Authorization/Checks", "12"},
		"in lower case":  {"not ours", "/envoy.service.auth.v3.authorization/check", "12"},
		"with a query":   {"not ours", "/envoy.service.auth.v3.Authorization/Check?x", "12"},
		"v2":             {"not ours", "/envoy.service.auth.v2.Authorization/Check", "12"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := always(alice(), nil)
			f := serve(t, e, nil)
			got, data := f.call(t, c.path, message)
			if allowed := c.want == "0"; got != c.want || (len(data) > 0) != allowed || len(e.requests()) == 1 != allowed {
				t.Errorf("%s: grpc-status %s, %d bytes, asked %v", c.reason, got, len(data), e.requests())
			}
		})
	}
}
