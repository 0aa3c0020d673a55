// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// maxHeaders is what Envoy takes of headers by default (max_request_headers_kb), in bytes.
const maxHeaders = 60 << 10

// set sets a header of an answer.
func set(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: value},
		AppendAction:   corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		KeepEmptyValue: true,
	}
}

// denied refuses with a challenge.
func denied(q *question, d *token.Decision) *outgoing {
	httpCode, challenge := server.Challenge(d)
	code := codes.Unauthenticated
	if httpCode == http.StatusForbidden {
		code = codes.PermissionDenied
	}
	return encode(&authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(code)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(httpCode)}, //nolint:gosec // 401 or 403
			Headers: append(fixed(q), set("www-authenticate", challenge)),
		}},
	}, httpCode)
}

// undecided says that nobody could tell: denied with 503, or as an error.
func (c *checker) undecided(q *question, u *token.Undecided) *outgoing {
	answer := &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		Headers: append(fixed(q),
			set("content-type", "text/plain; charset=utf-8"),
			set("x-content-type-options", "nosniff")), // users see it in browsers
		Body: strings.ToValidUTF8(string(u.Reason)+": "+u.Message+"\n", "?"),
	}
	response := &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.Unavailable)}}
	if c.errorResponse {
		response.HttpResponse = &authv3.CheckResponse_ErrorResponse{ErrorResponse: answer}
	} else {
		response.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: answer}
	}
	return encode(response, http.StatusServiceUnavailable)
}

// fixed is what each answer to a user has.
func fixed(q *question) []*corev3.HeaderValueOption {
	return append(make([]*corev3.HeaderValueOption, 0, 4), //nolint:mnd // with two more
		set(server.HeaderDecision, q.call.ID), set("cache-control", "no-store"))
}

// encode is an answer as it is sent. One that can't be encoded is denied all the same.
func encode(response *authv3.CheckResponse, code int) *outgoing {
	encoded, err := proto.Marshal(response)
	if err != nil || len(encoded) == 0 {
		return &outgoing{encoded: lastResort(), code: http.StatusServiceUnavailable}
	}
	return &outgoing{encoded: encoded, code: code}
}

// lastResort is an encoded CheckResponse {status {code: UNAVAILABLE}}, which Envoy denies.
func lastResort() []byte { return []byte{0x0a, 0x02, 0x08, byte(codes.Unavailable)} }
