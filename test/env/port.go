// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Below the range from which kernels serve port 0 and outgoing connections: a
// server that is stopped and started again finds its port still free.
const (
	firstPort    = 20000
	ports        = 10000
	portAttempts = 200
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on. It is
// reserved for this process until the process ends, also against other
// processes that ask here.
func FreePort() (int, error) {
	cache, err := cacheDir()
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(cache, "ports")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, fmt.Errorf("reserving a port: %w", err)
	}
	for range portAttempts {
		port := firstPort + rand.IntN(ports) //nolint:gosec // spreads processes over the range; nothing rests on it
		if !answersNobody(port) {
			continue
		}
		switch err := reserve(filepath.Join(dir, strconv.Itoa(port))); {
		case err == nil:
			return port, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return 0, fmt.Errorf("reserving port %d: %w", port, err)
		}
	}
	return 0, fmt.Errorf("no free port after %d attempts", portAttempts)
}

func answersNobody(port int) bool {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// reserve locks the file for the life of the process. The descriptor is left
// open on purpose, and raw: an os.File would be closed by the garbage collector.
func reserve(path string) error {
	fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	return nil
}
