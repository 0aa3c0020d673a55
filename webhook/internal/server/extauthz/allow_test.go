// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// TestAllow holds the encoding that is written by hand to the generated types: every
// header is set once, also those with an empty value (Caddy GHSA-7r4p-vjf4-gxv4), and the
// other spellings are removed (CVE-2026-44087, Traefik's alias family).
func TestAllow(t *testing.T) {
	long := make([]byte, 20000)
	for i := range long {
		long[i] = 'x'
	}
	cases := map[string]struct {
		reason  string
		headers []token.Header
		remove  []string
	}{
		"none": {"a policy without headers", nil, nil},
		"one hyphen": {
			"one other spelling, and dots",
			[]token.Header{{Name: "X-User", Value: "alice"}},
			[]string{"X_User", "X.User"},
		},
		"two hyphens": {
			"all mixtures",
			[]token.Header{{Name: "X-Auth-Subject", Value: "alice"}},
			[]string{"X_Auth-Subject", "X-Auth_Subject", "X_Auth_Subject", "X.Auth.Subject"},
		},
		"three hyphens": {
			"all mixtures",
			[]token.Header{{Name: "X-A-B-C", Value: "alice"}},
			[]string{"X_A-B-C", "X-A_B-C", "X_A_B-C", "X-A-B_C", "X_A-B_C", "X-A_B_C", "X_A_B_C", "X.A.B.C"},
		},
		"many hyphens":  {"bounded: underscores for all", []token.Header{{Name: "X-A-B-C-D", Value: "alice"}}, []string{"X_A_B_C_D", "X.A.B.C.D"}},
		"no hyphen":     {"no other spelling", []token.Header{{Name: "Subject", Value: "alice"}}, nil},
		"empty":         {"it replaces the client's", []token.Header{{Name: "Subject", Value: ""}}, nil},
		"long":          {"lengths of more than two bytes", []token.Header{{Name: "Subject", Value: string(long)}, {Name: "Tenant", Value: "t"}}, nil},
		"127, 128, 129": {"lengths of one and two bytes", []token.Header{{Name: "A", Value: string(long[:127])}, {Name: "B", Value: string(long[:128])}, {Name: "C", Value: string(long[:120])}}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, always(token.Decision{Verdict: token.Allow, Headers: c.headers}, nil), nil)
			got := f.check(t, question("authorization", "Bearer alice"))
			added := got.GetOkResponse().GetResponseHeadersToAdd()
			if len(added) != 1 || len(added[0].GetHeader().GetValue()) != 16 {
				t.Fatalf("%s: the user is answered with %v", c.reason, added)
			}
			id := added[0].GetHeader().GetValue()
			want := &authv3.CheckResponse{
				Status: &rpcstatus.Status{},
				HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
					HeadersToRemove:      append([]string{"Introspection-Gateway"}, c.remove...),
					ResponseHeadersToAdd: []*corev3.HeaderValueOption{overwritten("Introspection-Decision", id)},
				}},
				DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{
					"decision": structpb.NewStringValue(id), "policy": structpb.NewStringValue("shop/orders"),
				}},
			}
			for _, h := range c.headers {
				want.GetOkResponse().Headers = append(want.GetOkResponse().Headers, overwritten(h.Name, h.Value))
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if len(got.ProtoReflect().GetUnknown()) != 0 {
				t.Errorf("%s: unknown fields", c.reason)
			}
			if diff := cmp.Diff(map[string]float64{"200": 1}, f.answers(t)); diff != "" {
				t.Errorf("%s: counted (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func overwritten(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: value},
		AppendAction:   corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		KeepEmptyValue: true,
	}
}
