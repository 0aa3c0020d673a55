// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stateFile = "processes.json"
	lockFile  = "lock"
	downLimit = 90 * time.Second
	leftLimit = 15 * time.Second
)

// state is what `demo down` needs to end a run, also one that was killed.
type state struct {
	// Demo is the process that ends everything when it is asked to.
	Demo int `json:"demo"`
	// Children are what it started, down to the last one.
	Children []int `json:"children,omitempty"`
}

// runsDir is where each run has a directory.
func runsDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the cache: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "introspection-operator", "demo"), nil
}

// newRun makes a run's directory and says whose it is. It is locked for the life
// of this process, so that nobody mistakes it for one that has ended.
func newRun() (string, error) {
	runs, err := runsDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(runs, 0o700); err != nil {
		return "", fmt.Errorf("making room for the demo: %w", err)
	}
	dir, err := os.MkdirTemp(runs, "run-")
	if err != nil {
		return "", fmt.Errorf("making room for the demo: %w", err)
	}
	if free, err := lock(dir); err != nil || !free {
		return "", fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		return "", fmt.Errorf("making room for the logs: %w", err)
	}
	return dir, saveState(dir, state{Demo: os.Getpid()})
}

// lock takes the run's lock, or says that a living process has it. The
// descriptor is raw: an os.File would be closed by the garbage collector.
func lock(dir string) (free bool, err error) {
	fd, err := syscall.Open(filepath.Join(dir, lockFile), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return false, err
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closed := syscall.Close(fd)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, closed
		}
		return false, errors.Join(err, closed)
	}
	return true, nil
}

func saveState(dir string, s state) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), content, 0o600); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	return nil
}

// recordChildren writes down what runs, for a `demo down` after we were killed.
func (d *demo) recordChildren(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil // without ps, only the demo itself can end what it started
	}
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	children := map[int][]int{}
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	s := state{Demo: os.Getpid()}
	todo := children[s.Demo]
	for len(todo) > 0 {
		pid := todo[0]
		todo = append(todo[1:], children[pid]...)
		s.Children = append(s.Children, pid)
	}
	return saveState(d.dir, s)
}

// down ends every run, by the process ids that it wrote down.
func down(ctx context.Context, out io.Writer) error {
	runs, err := runsDir()
	if err != nil {
		return err
	}
	dirs, err := filepath.Glob(filepath.Join(runs, "run-*"))
	if err != nil {
		return fmt.Errorf("looking for runs: %w", err)
	}
	var errs []error
	for _, dir := range dirs {
		_, err := fmt.Fprintf(out, "ending %s\n", dir)
		errs = append(errs, err, endRun(ctx, dir))
	}
	return errors.Join(errs...)
}

func endRun(ctx context.Context, dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the state: %w", err)
	}
	var s state
	if err == nil {
		if err := json.Unmarshal(content, &s); err != nil {
			return fmt.Errorf("reading the state of %s: %w", dir, err)
		}
	}
	if err := endDemo(ctx, dir, s.Demo); err != nil {
		return err
	}
	// Asked first: a program that is killed leaves its own children behind.
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := signalLeft(ctx, dir, s.Children, sig); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}

// signalLeft sends sig to those children that run, and gives them time to end.
func signalLeft(ctx context.Context, dir string, children []int, sig syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, leftLimit)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for left := running(ctx, dir, children); len(left) > 0; left = running(ctx, dir, left) {
		for _, pid := range left {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("ending process %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil // the next signal is a stronger one
		case <-tick.C:
		}
	}
	return nil
}

// running are those of the processes that are still what they were: an id may be
// another program's by now, so its command must name our directory.
func running(ctx context.Context, dir string, pids []int) []int {
	var left []int
	for _, pid := range pids {
		args, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
		if err == nil && strings.Contains(string(args), dir) {
			left = append(left, pid)
		}
	}
	return left
}

// endDemo asks a demo that lives to end, and waits until it has.
func endDemo(ctx context.Context, dir string, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	asked := false
	for {
		ended, err := lock(dir)
		if err != nil || ended {
			return err
		}
		if !asked && pid > 0 {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return fmt.Errorf("asking process %d to end: %w", pid, err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d does not end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
}
