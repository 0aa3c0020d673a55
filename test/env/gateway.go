// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// cachedBinary is the path of a program that make NAME put into the cache.
func cachedBinary(name string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing (%w): run `make %s`", name, err, name)
	}
	return path, nil
}

// awaitListening waits until all addresses take connections. A program that does not get
// there within limit is ended.
func (c *child) awaitListening(ctx context.Context, limit time.Duration, addresses []string) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := c.await(within, func(ctx context.Context) error {
		for _, address := range addresses {
			if err := listens(ctx, address); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, c.stop(context.WithoutCancel(ctx)))
	}
	return nil
}

// listens is nil if address takes a TCP connection.
func listens(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	return conn.Close()
}
