// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/test/env"
)

const caddySite = `http://gateway.test:%d {
	bind 127.0.0.1
	respond "served"
}`

const envoyListener = `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: served}}}]
`

type start func(t *testing.T, conf string) (interface{ Stop() error }, error)

func startCaddy(t *testing.T, conf string) (interface{ Stop() error }, error) {
	t.Helper()
	return env.StartCaddy(t.Context(), conf, t.TempDir())
}

func startEnvoy(t *testing.T, conf string) (interface{ Stop() error }, error) {
	t.Helper()
	return env.StartEnvoy(t.Context(), conf, t.TempDir())
}

// TestGateways: each serves as configured, two of them at once, and is gone after Stop.
func TestGateways(t *testing.T) {
	for name, c := range map[string]struct {
		conf  string
		start start
	}{
		"Caddy": {caddySite, startCaddy},
		"Envoy": {envoyListener, startEnvoy},
	} {
		t.Run(name, func(t *testing.T) {
			var ports []int
			for range 2 {
				port := env.FreePortForTest(t)
				gateway, err := c.start(t, fmt.Sprintf(c.conf, port))
				if err != nil {
					t.Fatal(err)
				}
				ports = append(ports, port)
				defer func() {
					if err := gateway.Stop(); err != nil {
						t.Error(err)
					}
					if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listenAddress(port)); err == nil {
						t.Error("it still listens after Stop", conn.Close())
					}
				}()
			}
			for _, port := range ports {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listenAddress(port)+"/", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = fmt.Sprintf("gateway.test:%d", port)
				if got := do(t, http.DefaultClient, req, http.StatusOK); got != "served" {
					t.Errorf("it answers %q", got)
				}
			}
		})
	}
}

// TestGatewaysRefuse: what can't become ready is an error that says why.
func TestGatewaysRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		start start
		conf  string
		want  string
	}{
		"a Caddyfile without a site":     {startCaddy, "{\n}\n", "has no site"},
		"what Caddy does not understand": {startCaddy, "http://a.test:%d {\n\tnonsense\n}", "nonsense"},
		"an Envoy that listens nowhere":  {startEnvoy, "static_resources: {}", "no static listener"},
		"an Envoy that all can reach":    {startEnvoy, strings.Replace(envoyListener, "127.0.0.1", "0.0.0.0", 1), `on "0.0.0.0"`},
		"no YAML":                        {startEnvoy, "\t", "reading Envoy's configuration"},
		"what Envoy does not understand": {startEnvoy, strings.Replace(envoyListener, "stat_prefix", "nonsense", 1), "nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := c.conf
			if strings.Contains(conf, "%d") {
				conf = fmt.Sprintf(conf, env.FreePortForTest(t))
			}
			gateway, err := c.start(t, conf)
			if err == nil {
				t.Fatal("it was served", gateway.Stop())
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, want %q in it", err, c.want)
			}
		})
	}
}
