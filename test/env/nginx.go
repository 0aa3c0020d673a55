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
	addresses := regexp.MustCompile(`(?m)^[^#]*\blisten\s+(127\.0\.0\.1:\d+)`).FindAllStringSubmatch(conf, -1)
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
	ctx, cancel := context.WithTimeout(ctx, nginxStart)
	defer cancel()
	err = c.await(ctx, func(ctx context.Context) error {
		for _, address := range addresses {
			if err := listens(ctx, address[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.stop(context.WithoutCancel(ctx)))
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

// listens is nil if address takes a TCP connection.
func listens(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	return conn.Close()
}
