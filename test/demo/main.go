// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo tells the story of the product on real parts: a Kubernetes control
// plane, an authorization server, nginx, and the operator's two processes. Each
// step shows the command that a user would type and what came of it, and is checked.
//
// Usage, from the root of the repository:
//
//	demo         stay up after the story, to play with
//	demo down    end every demo that runs
//
// SERVER in the environment chooses the authorization server: embedded (the
// default), keycloak or duende. With ONESHOT=1 it tells the story to its end, exits,
// and fails if a step does not hold: it is the end-to-end test.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	// Caught to the end: a second Ctrl-C must not leave programs running.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	ctrl.SetLogger(logr.Discard()) // of the library that starts the control plane
	var err error
	switch {
	case len(args) == 0:
		var ok bool
		if ok, err = tellStory(ctx); err == nil && !ok {
			return 1
		}
	case len(args) == 1 && args[0] == "down":
		err = down(ctx, os.Stdout)
	default:
		err = errors.New("usage: demo [down]")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

func tellStory(ctx context.Context) (ok bool, err error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return false, fmt.Errorf("finding the repository: %w", err)
	}
	if _, err := os.Stat(filepath.Join(root, "bin", "introspection-operator")); err != nil {
		return false, fmt.Errorf("the operator is not built (%w): run `make demo` at the root of the repository", err)
	}
	dir, err := newRun()
	if err != nil {
		return false, err
	}
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	s := newStory(os.Stdout, terminal)
	d := newDemo(s, root, dir, os.Getenv("ONESHOT") != "")
	defer func() {
		s.say("")
		ended := s.during("everything that was started has ended", d.close)
		s.say("Logs: %s", filepath.Join(dir, "logs"))
		err = errors.Join(err, ended)
		ok = s.summary() || !d.once && s.failed == 0
	}()
	if err := d.useServer(os.Getenv("SERVER")); err != nil {
		return false, err
	}
	d.tellAll(ctx, d.steps()...)
	return false, nil
}

// steps are the story.
func (d *demo) steps() []step {
	steps := []step{
		{"The parts", d.start},
		{"The objects", d.applyObjects},
		{"1. Is it working, and why not?", d.showObjects},
		{"2. The Secret to mount: its keys, not its values", d.showSecret},
		{"3. active is not authorized", d.activeIsNotAuthorized},
		{"4. Through forward-auth: who it is", d.identity},
		{"5. Through RFC 7662, with what the Secret holds", d.facade},
		{"6. A token ends before its time: " + d.facts.says.ends, d.ending},
		{"7. Somebody deletes the registration at the server", d.drift},
		{"8. The server is down", d.outage},
	}
	if !d.once {
		return append(steps, step{"Yours", d.stay})
	}
	return append(steps, step{"9. kubectl delete", d.cleanUp}, step{"Afterwards", d.noLeaks})
}
