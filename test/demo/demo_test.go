// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A story that can't fail is no test.
func TestTheStoryFailsWhenAStepDoes(t *testing.T) {
	good := func(d *demo) step {
		return step{"good", func(context.Context) error { d.check(true, "so it is", ""); return nil }}
	}
	for name, tc := range map[string]struct {
		reason string
		stop   bool
		second func(*demo) step
		ok     bool
	}{
		"all hold": {"the only way to pass", false, good, true},
		"a check does not": {"it is counted, and the story goes on", false, func(d *demo) step {
			return step{"bad", func(context.Context) error { d.check(false, "something", "nothing"); return nil }}
		}, false},
		"an error": {"nothing can go on", false, func(*demo) step {
			return step{"broken", func(context.Context) error { return errors.New("no such thing") }}
		}, false},
		"a panic": {"what was started must be ended all the same", false, func(*demo) step {
			return step{"broken", func(context.Context) error { panic("oh") }}
		}, false},
		"interrupted": {"a test that was stopped has not passed", true, func(*demo) step {
			return step{"waits", func(ctx context.Context) error { return ctx.Err() }}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var told bytes.Buffer
			d := newDemo(newStory(&told, false), "", t.TempDir(), true)
			ended := false
			d.atEnd("it", func() error { ended = true; return nil })
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			first := good(d)
			if tc.stop {
				first.tell = func(context.Context) error { d.check(true, "so it is", ""); stop(); return nil }
			}
			d.tellAll(ctx, first, tc.second(d))
			if err := d.close(); err != nil {
				t.Fatal(err)
			}
			if ok := d.summary(); ok != tc.ok {
				t.Errorf("%s: passed: %t\n%s", tc.reason, ok, told.String())
			}
			if tc.ok && !strings.HasSuffix(told.String(), "\n2 passed, 0 failed\n") {
				t.Errorf("%s: it ends otherwise:\n%s", tc.reason, told.String())
			}
			if !ended {
				t.Errorf("%s: what was started was not ended", tc.reason)
			}
		})
	}
}

func TestClosingEndsTheLastFirstAndKeepsOnlyLogs(t *testing.T) {
	d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
	var ended []string
	fault := errors.New("it does not end")
	for _, what := range []string{"first", "second", "third"} {
		d.atEnd(what, func() error {
			ended = append(ended, what)
			if what == "second" {
				return fault
			}
			return nil
		})
	}
	for _, file := range []string{"alice.token", "logs/webhook.log", "keycloak/keycloak.log", "keycloak/data/h2/keycloakdb.mv.db"} {
		if err := d.write(file, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.close(); !errors.Is(err, fault) {
		t.Errorf("got %v, want the fault", err)
	}
	if diff := cmp.Diff([]string{"third", "second", "first"}, ended); diff != "" {
		t.Errorf("one fault must not keep the others running:\n%s", diff)
	}
	var left []string
	err := filepath.WalkDir(d.dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, strings.TrimPrefix(path, d.dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"logs/keycloak.log", "logs/webhook.log"}, left); diff != "" {
		t.Errorf("tokens and keys must not outlive the run:\n%s", diff)
	}
}

// A demo that was killed leaves programs behind, and a process id may be
// somebody else's by the time we look.
func TestDownEndsWhatAKilledDemoLeft(t *testing.T) {
	ours, foreign := t.TempDir(), t.TempDir()
	left, other := startTail(t, ours), startTail(t, foreign)
	if err := saveState(ours, state{Demo: 0, Children: []int{left.Process.Pid, other.Process.Pid}}); err != nil {
		t.Fatal(err)
	}
	if err := endRun(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if err := left.Wait(); err == nil {
		t.Error("what the demo left was not killed")
	}
	if err := other.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // that it was ended is sure: the question is by what
	if status, ok := other.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("a process of somebody else was ended: %s", other.ProcessState)
	}
	if _, err := os.Stat(ours); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run's directory is still there: %v", err)
	}
}

func startTail(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(dir, "log")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "tail", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

func TestALivingRunIsNotTakenForAnEndedOne(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []bool{true, false} {
		free, err := lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if free != want {
			t.Errorf("look %d: free: %t", i+1, free)
		}
	}
}

func TestSecretsAreFoundWhereTheyLeak(t *testing.T) {
	d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
	d.secret("canary-token")
	d.secret("") // no secret: everything has it
	d.output("a line")
	if n := d.count(d.said()); n != 0 {
		t.Errorf("%d found where none is", n)
	}
	d.output("a line with canary-token in it")
	if n := d.count(d.said()); n != 1 {
		t.Errorf("%d found where one is", n)
	}
}
