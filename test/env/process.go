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
	"sync"
	"syscall"
	"time"
)

const (
	pollInterval = 250 * time.Millisecond
	stopGrace    = 20 * time.Second
)

// child is a started program and whatever it started: a process group of its
// own, so that a signal to us does not reach it and one to it reaches all.
type child struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	once sync.Once
	err  error
}

// startChild runs cmd with its output appended to logFile.
func startChild(cmd *exec.Cmd, logFile string) (*child, error) {
	out, err := openLog(logFile)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", cmd.Path, err), out.Close())
	}
	c := &child{cmd: cmd, log: logFile, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = errors.Join(cmd.Wait(), out.Close())
	}()
	return c, nil
}

// stop asks the group to end and, after a grace or when ctx is done, ends it.
func (c *child) stop(ctx context.Context) error {
	var err error
	c.once.Do(func() { err = c.end(ctx) })
	return err
}

func (c *child) end(ctx context.Context) error {
	group := -c.cmd.Process.Pid
	if err := signal(group, syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	// Whoever outlived its parent must not hold the port or the data.
	if err := signal(group, syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

func signal(group int, sig syscall.Signal) error {
	if err := syscall.Kill(group, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %s to process group %d: %w", sig, -group, err)
	}
	return nil
}

// await polls ready until it holds, the program ends or ctx is done; the last
// two are errors that show the end of the log.
func (c *child) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended before it was ready (%w); %s", c.cmd.Path, errors.Join(c.err, last), tail(c.log))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w); %s", c.cmd.Path, errors.Join(ctx.Err(), last), tail(c.log))
		case <-tick.C:
		}
	}
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making room for a log: %w", err)
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	return file, nil
}

// tail is the end of a log file, for an error that a person reads.
func tail(logFile string) string {
	const most = 2000
	data, err := os.ReadFile(filepath.Clean(logFile))
	if err != nil {
		return "no log: " + err.Error()
	}
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return fmt.Sprintf("%s ends:\n%s", logFile, data)
}
