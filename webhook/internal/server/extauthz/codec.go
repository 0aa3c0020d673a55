// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"fmt"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// incoming is a question, or why it can't be read.
type incoming struct {
	authv3.CheckRequest

	unreadable error
}

// outgoing is an answer, encoded.
type outgoing struct {
	encoded []byte
	// code is the status that the user sees; 200 if the request goes on.
	code int
}

// codec reads questions and writes encoded answers. One that can't be read is no error of
// gRPC: with failure_mode_allow Envoy would let such a request in, and a user could write
// one (CVE-2023-27488).
type codec struct{ proto encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return fmt.Errorf("reading a CheckRequest into %T", v)
	}
	in.unreadable = c.proto.Unmarshal(data, &in.CheckRequest)
	return nil
}

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(*outgoing)
	if !ok || len(out.encoded) == 0 { // nothing would be an allow
		return nil, fmt.Errorf("writing a CheckResponse from %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(out.encoded)}, nil
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }
