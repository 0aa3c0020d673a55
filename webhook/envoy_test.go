// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// envoy runs the page's configuration in a real one, which asks at webhook; certificate
// is the one that it shows. replace is applied first.
func (f *front) envoy(t *testing.T, conf, webhook, certificate string, replace ...string) (address string) {
	t.Helper()
	address = "127.0.0.1:" + strconv.Itoa(env.FreePortForTest(t))
	port := "{address: webhook.introspection.svc, port_value: 9444}"
	if strings.Contains(conf, "webhook.introspection.svc, port_value: 9443") {
		port = "{address: webhook.introspection.svc, port_value: 9443}"
	}
	env.EnvoyForTest(t, filled(t, conf, append(replace,
		"{address: 0.0.0.0, port_value: 443}", socketAddress(t, address),
		port, socketAddress(t, webhook),
		"{address: orders.shop.svc, port_value: 8080}", socketAddress(t, strings.TrimPrefix(f.api.URL, "http://")),
		"/etc/envoy/tls/tls", f.dir+"/user", "/etc/envoy/gateway/tls", f.dir+"/"+certificate, "/bindings/orders/ca.crt", f.dir+"/ca.crt")...))
	return address
}

func socketAddress(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return "{address: " + host + ", port_value: " + port + "}"
}

// rawEnvoy are replacements that hand on what the client sent as it is: not every Envoy
// is configured as the page says.
func rawEnvoy() []string {
	return []string{
		"headers_with_underscores_action: DROP_HEADER", "headers_with_underscores_action: ALLOW",
		"          normalize_path: true\n          merge_slashes: true\n", "",
	}
}

// between cuts what stands between two texts out, and puts another one there.
func between(t *testing.T, text, from, to, instead string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("the page has no %q up to %q", from, to)
	}
	return before + instead + to + after
}
