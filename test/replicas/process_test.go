// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// startLimit is for a machine that does other things too.
	startLimit = 2 * time.Minute
	// stopLimit is longer than the program's own drain.
	stopLimit = time.Minute
	pollPause = 100 * time.Millisecond
)

// process is one of the operator's.
type process struct {
	binary, log, health string
	args                []string

	cmd  *exec.Cmd
	done chan error
}

// start runs it, and returns when it is ready.
func (p *process) start(ctx context.Context, client *http.Client) error {
	out, err := os.OpenFile(filepath.Clean(p.log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	cmd := exec.Command(p.binary, p.args...) //nolint:noctx // it ends with stop, not with the start's context
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own: a signal to the test is none to it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", p.binary, err), out.Close())
	}
	p.cmd, p.done = cmd, make(chan error, 1)
	go func() { p.done <- errors.Join(cmd.Wait(), out.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return p.await(ctx, client)
}

func (p *process) await(ctx context.Context, client *http.Client) error {
	for {
		last := p.ready(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case err := <-p.done:
			p.cmd = nil
			return fmt.Errorf("it ended before it was ready: %w; %s says why", err, p.log)
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w; %s says more", errors.Join(ctx.Err(), last), p.log)
		case <-time.After(pollPause):
		}
	}
}

// ready says whether it says that it is.
func (p *process) ready(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.health+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s: %w", resp.Status, err)
	}
	return nil
}

// stop asks it to end. An error says that it had to be killed, or that it did not end well.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	cmd := p.cmd
	p.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.log, err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("%s ended badly: %w", p.log, err)
		}
		return nil
	case <-time.After(stopLimit):
	}
	err := cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("%s did not end in %s", p.log, stopLimit), err)
}
