// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// BenchmarkForwardAuth compares forward-auth on a warm cache, with the caller's certificate,
// metrics and the scan for aliases, with a bare net/http handler that sets the same headers
// for the same request, over TLS, in interleaved pairs. ratio is of their rates;
// cpu-us/op-more is what a request costs more.
func BenchmarkForwardAuth(b *testing.B) {
	for name, s := range map[string]setup{
		"plain":    {},
		"cel":      {change: withRules},
		"audit":    {allows: 1},
		"tracing":  {tracer: trace.NewTracerProvider(trace.WithSampler(trace.TraceIDRatioBased(0.01))).Tracer("bench")},
		"policies": {policies: 10_000},
	} {
		b.Run(name, func(b *testing.B) {
			p := s.start(b)
			request := original("")
			ours := p.newLoad(b, p.addresses.ForwardAuth, request)
			bare := p.newLoad(b, p.startBare(b, bareForwardAuth), request)
			for b.Loop() {
				compare(b, ours.run, bare.run, burst).report(b)
			}
		})
	}
}

// withRules are three conditions, one on the request.
func withRules(spec *v1alpha1.TokenPolicySpec) {
	spec.Require.Rules = []v1alpha1.Rule{
		{Name: "staff", Expression: `claims.sub.startsWith("a")`},
		{Name: "scope", Expression: `"profile" in claims.scope.split(" ")`},
		{Name: "reads", Expression: `request.method == "GET"`},
	}
}

// original is what nginx sends, with a token of a usual size.
func original(more string) []byte {
	var b bytes.Buffer
	b.WriteString("GET /authorize/shop/orders HTTP/1.1\r\nHost: webhook.introspection.svc\r\n")
	b.WriteString("X-Original-URL: https://orders.example.com/v1/orders?page=2\r\nX-Original-Method: GET\r\n")
	b.WriteString("User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: application/json\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n")
	b.WriteString(more)
	fmt.Fprintf(&b, "Authorization: Bearer %s\r\n\r\n", accessToken("1"))
	return b.Bytes()
}

func bareForwardAuth(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["X-Auth-Subject"], h["X-Auth-Scope"], h["X-Auth-Client"] = []string{"alice"}, []string{"orders.read profile"}, []string{"web"}
	h["Introspection-Decision"], h["Cache-Control"] = []string{"0123456789abcdef"}, []string{"no-store"}
	w.WriteHeader(http.StatusOK)
}
