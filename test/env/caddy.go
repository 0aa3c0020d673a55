// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

const caddyStart = 30 * time.Second

// Caddy is a running Caddy.
type Caddy struct {
	child *child
}

// StartCaddy runs Caddy on the text of a Caddyfile, with dir as its working directory
// and home: relative paths are below it, the log is dir/caddy.log. The Caddyfile has at
// least one site `http://name:port` or `https://…` at the start of a line, bound to 127.0.0.1 (Caddy is ready
// when all of them take connections), and leaves admin to us. ctx bounds the start.
func StartCaddy(ctx context.Context, caddyfile, dir string) (*Caddy, error) {
	binary, err := cachedBinary("caddy")
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, site := range regexp.MustCompile(`(?m)^https?://[^\s,]+:(\d+)[ ,]`).FindAllStringSubmatch(caddyfile, -1) {
		addresses = append(addresses, "127.0.0.1:"+site[1])
	}
	if len(addresses) == 0 {
		return nil, errors.New("the Caddyfile has no site `http://name:port`")
	}
	admin, err := FreePort() // the usual one is one for all Caddys of a machine
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		return nil, fmt.Errorf("writing the Caddyfile: %w", err)
	}
	cmd := exec.Command(binary, "run", "--config", file, "--adapter", "caddyfile") //nolint:noctx // ours; ends with Stop
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, fmt.Sprintf("CADDY_ADMIN=127.0.0.1:%d", admin),
	}
	c, err := startChild(cmd, filepath.Join(dir, "caddy.log"))
	if err != nil {
		return nil, err
	}
	if err := c.awaitListening(ctx, caddyStart, addresses); err != nil {
		return nil, err
	}
	return &Caddy{child: c}, nil
}

// Stop ends Caddy.
func (c *Caddy) Stop() error {
	return c.child.stop(context.Background())
}
