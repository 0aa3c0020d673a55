// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
)

func TestRevocation(t *testing.T) {
	const cached = "; exp for callers that cache until exp"
	cases := map[string]struct {
		reason string
		spec   specs
		want   []policy.Revocation
	}{
		"default": {"maxAge", nil, []policy.Revocation{{"Introspection", "JWT", "30s" + cached}, {"Gateways", "JWT", "30s"}}},
		"opaque": {"asked about as JWTs are", specs{opaque(v1alpha1.OpaqueAccepted), maxAge(0)}, []policy.Revocation{
			{"Introspection", "JWT", "0s" + cached}, {"Introspection", "Opaque", "0s" + cached}, {"Gateways", "JWT", "0s"}, {"Gateways", "Opaque", "0s"},
		}},
		"clamp": {"who caches until exp adds maxAge once", specs{clamped}, []policy.Revocation{
			{"Introspection", "JWT", "30s; 1m0s for callers that cache until exp"}, {"Gateways", "JWT", "30s"},
		}},
		"outage": {"staleFor comes on top", specs{clamped, stale(duration(time.Minute))}, []policy.Revocation{
			{"Introspection", "JWT", "30s, in an outage 1m30s; 1m0s, in an outage 2m0s, for callers that cache until exp"}, {"Gateways", "JWT", "30s, in an outage 1m30s"},
		}},
		"local": {"nobody is asked about a JWT", specs{local, opaque(v1alpha1.OpaqueAccepted), review("claims.sub", "")}, []policy.Revocation{
			{"Introspection", "JWT", "exp"},
			{"Introspection", "Opaque", "30s" + cached},
			{"Gateways", "JWT", "exp"},
			{"Gateways", "Opaque", "30s"},
			{"TokenReview", "JWT", "exp"},
			{"TokenReview", "Opaque", "30s + 2m0s of the API server's cache"},
		}},
		"two": {"each by its own", specs{local, second("b", "")}, []policy.Revocation{
			{"Introspection", "JWT", "30s" + cached + "; exp for tokens of orders"}, {"Gateways", "JWT", "30s; exp for tokens of orders"},
		}},
		"review": {"the API server caches", specs{review("claims.sub", "")}, []policy.Revocation{
			{"Introspection", "JWT", "30s" + cached}, {"Gateways", "JWT", "30s"}, {"TokenReview", "JWT", "30s + 2m0s of the API server's cache"},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, compile(t, c.spec...).Revocation(func(string) bool { return true })); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestRevocationFits: the status' field has room for so much.
func TestRevocationFits(t *testing.T) {
	p := compile(t, stale(duration(time.Minute+time.Millisecond)), clamped, local, func(s *v1alpha1.TokenPolicySpec) {
		for i := range 7 {
			second(strings.Repeat("abcdefgh"[i:i+1], 253), "")(s)
			s.Accept[i].Validation = v1alpha1.ValidationLocal
		}
	})
	for _, r := range p.Revocation(nil) {
		if len(r.Bound) > 255 {
			t.Errorf("%d bytes: %s", len(r.Bound), r.Bound)
		}
	}
}
