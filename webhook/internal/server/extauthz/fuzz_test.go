// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// FuzzCheck: whatever a message holds, it is answered, and by an allow only if the policy
// that it names said so about the token that it holds.
func FuzzCheck(f *testing.F) {
	for _, req := range []proto.Message{
		question(), question("authorization", "Bearer alice"), question("authorization", "Bearer t1,Bearer t2"),
		question("authorization", "DPoP alice", "dpop", "a.b.c"), raw(question(), "authorization", "Bearer al\xffce", "x_auth_subject", "root"),
	} {
		message, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Add([]byte{})
	f.Add([]byte("\xff"))
	e := &engine{}
	var allowed bool
	e.decide = func(_ context.Context, req token.Request) (token.Decision, error) {
		e.mu.Lock()
		e.asked = nil
		e.mu.Unlock()
		req.HTTP.Headers.Odd([]string{"X-Auth-Subject", "X-Auth-Tenant"})
		asHeaders(req.HTTP.Headers)
		if req.Token.Reveal() != "alice" || req.Policy != (token.Ref{Namespace: "shop", Name: "orders"}) {
			return token.Decision{Reason: token.ReasonInactive, Message: req.Policy.String()}, nil
		}
		allowed = true
		return alice(), nil
	}
	server := serve(f, e, nil)
	conn := server.dial(f, "envoy.edge.svc")
	f.Fuzz(func(t *testing.T, message []byte) {
		allowed = false
		response, err := send(t.Context(), conn, message)
		if err != nil {
			t.Fatal(err)
		}
		if ok := response.GetOkResponse(); ok != nil && allowed && response.GetStatus().GetCode() == 0 {
			if headers := headersOf(t, ok.GetHeaders()); len(headers) != 2 || headers["X-Auth-Subject"] != "alice" {
				t.Errorf("an allow has %v", headers)
			}
			return
		}
		refusedBy(t, response)
	})
}
