// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
)

func rand128() string { return rand.Text() }

func nowUnix() int64 { return time.Now().Unix() }

// extAuthz asks as Envoy does, over gRPC.
func (p *plane) extAuthz(t *testing.T, g gatewayKind) *surface {
	t.Helper()
	return p.extAuthzAs(t, g, g.san())
}

// extAuthzAs asks with a certificate of another name, or with none if it is empty.
func (p *plane) extAuthzAs(t *testing.T, g gatewayKind, san string) *surface {
	t.Helper()
	conn, err := grpc.NewClient(p.addresses.ExtAuthz, grpc.WithTransportCredentials(credentials.NewTLS(p.tlsOf(t, san))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := authv3.NewAuthorizationClient(conn)
	return &surface{name: g.kind, kind: "ext-authz", ask: func(ctx context.Context, t *testing.T, q *question) (answer, error) {
		t.Helper()
		response, err := client.Check(ctx, checkRequest(t, g, q))
		if err != nil {
			return answer{}, err
		}
		return checked(response), nil
	}}
}

// checkRequest has the headers in their own bytes (encode_raw_headers), as a user may have sent them.
func checkRequest(t *testing.T, g gatewayKind, q *question) *authv3.CheckRequest {
	t.Helper()
	var headers []*corev3.HeaderValue
	add := func(name, value string) {
		headers = append(headers, &corev3.HeaderValue{Key: strings.ToLower(name), RawValue: []byte(value)})
	}
	host := strings.TrimPrefix(resource, "https://")
	add(":method", http.MethodGet)
	add(":path", q.target)
	add(":authority", host)
	for name, values := range q.sent(t) {
		for _, value := range values {
			add(name, value)
		}
	}
	source := &authv3.AttributeContext_Peer{}
	if q.certificate != nil {
		source.Certificate = g.tell(q.certificate)
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:            source,
		ContextExtensions: map[string]string{"namespace": q.namespace, "policy": q.policy},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: http.MethodGet, Path: q.target, Host: host, Scheme: "https", Protocol: "HTTP/1.1",
			HeaderMap: &corev3.HeaderMap{Headers: headers},
		}},
	}}
}

// checked is a CheckResponse as Envoy takes it.
func checked(response *authv3.CheckResponse) answer {
	a := answer{headers: http.Header{}, text: response.String(), verdict: response.String()}
	collect := func(options []*corev3.HeaderValueOption) {
		for _, o := range options {
			a.headers.Add(o.GetHeader().GetKey(), o.GetHeader().GetValue())
			a.text += fmt.Sprint(o.GetHeader().GetKey(), o.GetHeader().GetValue(), string(o.GetHeader().GetRawValue()))
		}
	}
	code := codes.Code(response.GetStatus().GetCode())
	if ok := response.GetOkResponse(); ok != nil && code == codes.OK {
		a.status = http.StatusOK
		collect(ok.GetHeaders())
		for _, o := range ok.GetHeaders() {
			if o.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || !o.GetKeepEmptyValue() {
				return a // a client's own would stay
			}
		}
		if len(a.headers) > 0 {
			a.verdict = allow
		}
		collect(ok.GetResponseHeadersToAdd())
	}
	if denied := response.GetDeniedResponse(); denied != nil && code != codes.OK {
		a.status, a.body = int(denied.GetStatus().GetCode()), denied.GetBody()
		collect(denied.GetHeaders())
		challenged := len(a.headers["Www-Authenticate"]) == 1
		switch {
		case (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) && challenged:
			a.verdict = deny
		case a.status == http.StatusServiceUnavailable && !challenged:
			a.verdict = cannotTell
		}
	}
	if ids := a.headers["Introspection-Decision"]; len(ids) == 1 {
		a.id = ids[0]
	}
	return a
}
