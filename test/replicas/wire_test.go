// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// wire is the way to the API server, which can be cut: an API server that is told to stop
// waits for those who watch, and they are to find nobody at once.
type wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	isCut bool
	open  []net.Conn
}

// lay begins to pass connections on to an address.
func lay(target string) (*wire, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("listening before the API server: %w", err)
	}
	w := &wire{listener: listener, target: target}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // cut
			}
			go w.pass(near)
		}
	}()
	return w, nil
}

func (w *wire) pass(near net.Conn) {
	far, err := (&net.Dialer{}).Dial("tcp", w.target)
	if err != nil {
		_ = near.Close()
		return
	}
	w.mu.Lock()
	w.open = append(w.open, near, far)
	late := w.isCut
	w.mu.Unlock()
	if late {
		_ = w.cut()
		return
	}
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

// cut closes all that is open, and takes nothing more.
func (w *wire) cut() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, conn := range w.open {
		_ = conn.Close() // the other end may have
	}
	w.open = nil
	if err := w.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
