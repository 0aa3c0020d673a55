// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"sigs.k8s.io/yaml"
)

const envoyStart = 30 * time.Second

// Envoy is a running Envoy.
type Envoy struct {
	child *child
}

// StartEnvoy runs Envoy on the text of a bootstrap configuration (YAML), with dir as its
// working directory: relative paths are below it, the log is dir/envoy.log. conf has at
// least one static listener, on an address of 127.0.0.1 (Envoy is ready when all of them
// take connections). ctx bounds the start.
func StartEnvoy(ctx context.Context, conf, dir string) (*Envoy, error) {
	binary, err := cachedBinary("envoy")
	if err != nil {
		return nil, err
	}
	addresses, err := envoyListeners(conf)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	cmd := exec.Command(binary, "--config-path", file, "--concurrency", "1", //nolint:noctx // ours; ends with Stop
		// The shared memory for it is one for all Envoys of a machine.
		"--disable-hot-restart", "--log-level", "warning")
	cmd.Dir = dir
	c, err := startChild(cmd, filepath.Join(dir, "envoy.log"))
	if err != nil {
		return nil, err
	}
	if err := c.awaitListening(ctx, envoyStart, addresses); err != nil {
		return nil, err
	}
	return &Envoy{child: c}, nil
}

// Stop ends Envoy.
func (e *Envoy) Stop() error {
	return e.child.stop(context.Background())
}

// envoyListeners are the addresses of the static listeners.
func envoyListeners(conf string) ([]string, error) {
	var bootstrap struct {
		StaticResources struct {
			Listeners []struct {
				Address struct {
					SocketAddress struct {
						Address   string `json:"address"`
						PortValue int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
			} `json:"listeners"`
		} `json:"static_resources"`
	}
	if err := yaml.Unmarshal([]byte(conf), &bootstrap); err != nil {
		return nil, fmt.Errorf("reading Envoy's configuration: %w", err)
	}
	listeners := bootstrap.StaticResources.Listeners
	if len(listeners) == 0 {
		return nil, errors.New("the configuration of Envoy has no static listener")
	}
	addresses := make([]string, len(listeners))
	for i, l := range listeners {
		address := l.Address.SocketAddress
		if address.Address != "127.0.0.1" {
			return nil, fmt.Errorf("listener %d of Envoy is on %q: a test's is on 127.0.0.1", i, address.Address)
		}
		addresses[i] = net.JoinHostPort(address.Address, strconv.Itoa(address.PortValue))
	}
	return addresses, nil
}
