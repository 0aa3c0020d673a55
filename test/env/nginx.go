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

const nginxStart = 30 * time.Second

// Nginx is a running nginx.
type Nginx struct {
	child *child
}

// StartNginx runs nginx on the configuration text conf with dir as its prefix:
// relative paths are below it, the log is dir/nginx.log. conf listens on at
// least one 127.0.0.1:port (it is ready when all of them answer) and leaves
// the directives daemon, pid and the main error_log to us. ctx bounds the start.
func StartNginx(ctx context.Context, conf, dir string) (*Nginx, error) {
	binary, err := findNginx()
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, listen := range regexp.MustCompile(`(?m)^[^#]*\blisten\s+(127\.0\.0\.1:\d+)`).FindAllStringSubmatch(conf, -1) {
		addresses = append(addresses, listen[1])
	}
	if len(addresses) == 0 {
		return nil, errors.New("the nginx configuration has no `listen 127.0.0.1:port`")
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("writing the nginx configuration: %w", err)
	}
	cmd := exec.Command(binary, "-c", file, "-p", dir, "-e", "stderr", //nolint:noctx // nginx of the machine; ends with Stop
		"-g", "daemon off; error_log stderr; pid "+filepath.Join(dir, "nginx.pid")+";")
	c, err := startChild(cmd, filepath.Join(dir, "nginx.log"))
	if err != nil {
		return nil, err
	}
	if err := c.awaitListening(ctx, nginxStart, addresses); err != nil {
		return nil, err
	}
	return &Nginx{child: c}, nil
}

// Stop ends nginx and its workers.
func (n *Nginx) Stop() error {
	return n.child.stop(context.Background())
}

func findNginx() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	// Debian keeps it off the PATH of ordinary users.
	const sbin = "/usr/sbin/nginx"
	if _, err := os.Stat(sbin); err != nil {
		return "", fmt.Errorf("nginx is missing (%w): install it, as Debian's nginx-light", err)
	}
	return sbin, nil
}
