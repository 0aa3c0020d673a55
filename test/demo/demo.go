// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// Files in the demo's directory.
const (
	adminKubeconfig = "admin.kubeconfig"
	serverCA        = "server-ca.crt"
	serverCert      = "server.crt"
	serverKey       = "server.key"
	gatewayCert     = "gateway.crt"
	gatewayKey      = "gateway.key"
)

// demo is one run: what it started, and what it knows.
type demo struct {
	*story

	root string // of the repository
	dir  string // of this run
	once bool   // run every step and end

	server  authServer
	facts   facts
	plane   *env.ControlPlane
	kube    client.Client
	urls    struct{ introspection, authorize, webhookHealth, controllerHealth, webhookMetrics string }
	gateway string // URL of nginx; empty where there is none

	operatorSecret, alicePassword string

	mu      sync.Mutex
	secrets []string
	ends    []ending
}

// ending ends one thing that was started.
type ending struct {
	what string
	end  func() error
}

// step is a part of the story.
type step struct {
	title string
	tell  func(context.Context) error
}

func newDemo(s *story, root, dir string, once bool) *demo {
	d := &demo{story: s, root: root, dir: dir, once: once, operatorSecret: rand.Text(), alicePassword: rand.Text()}
	d.secret(d.operatorSecret)
	d.secret(d.alicePassword)
	return d
}

// tellAll runs the steps until one can't go on. A check that does not hold is
// counted and does not end the story; an error or a panic does.
func (d *demo) tellAll(ctx context.Context, steps ...step) {
	for i, st := range steps {
		if err := d.one(ctx, st); err != nil {
			if ctx.Err() != nil && !d.once {
				d.say("Stopped.")
			} else { // a test that was interrupted has not passed
				d.check(false, st.title, err.Error())
			}
			if left := len(steps) - i - 1; left > 0 {
				d.say("%d more steps are not told.", left)
			}
			break
		}
	}
	if d.failed > 0 {
		d.evidence(ctx)
	}
}

func (d *demo) one(ctx context.Context, st step) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a panic: %v\n%s", r, debug.Stack())
		}
	}()
	d.heading(st.title)
	if err := st.tell(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return d.recordChildren(ctx)
}

// atEnd remembers how to end what was started.
func (d *demo) atEnd(what string, end func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ends = append(d.ends, ending{what, end})
}

// close ends everything, the last first, and removes what is secret: all but the logs.
func (d *demo) close() error {
	d.mu.Lock()
	ends := d.ends
	d.ends = nil
	d.mu.Unlock()
	var errs []error
	for _, e := range slices.Backward(ends) {
		if err := e.end(); err != nil {
			errs = append(errs, fmt.Errorf("ending %s: %w", e.what, err))
		}
	}
	// Logs stay, where they are looked for.
	for _, name := range []string{serverKeycloak, "nginx"} {
		if err := os.Rename(filepath.Join(d.dir, name, name+".log"), d.log(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	entries, err := os.ReadDir(d.dir)
	errs = append(errs, err)
	for _, e := range entries {
		if e.Name() != "logs" && e.Name() != lockFile {
			errs = append(errs, os.RemoveAll(filepath.Join(d.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// secret is never to be told.
func (d *demo) secret(value string) {
	if value == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secrets = append(d.secrets, value)
}

// write puts a file into the demo's directory that only its owner may read.
func (d *demo) write(name, content string) error {
	file := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making room for %s: %w", name, err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (d *demo) log(name string) string {
	return filepath.Join(d.dir, "logs", name+".log")
}

// evidence shows the objects and the ends of the logs, for whoever looks for a fault.
func (d *demo) evidence(ctx context.Context) {
	if d.kube != nil && ctx.Err() == nil {
		d.heading("The objects as they are now")
		if _, err := d.run(ctx, "kubectl get introspection -A -o wide"); err != nil {
			d.output(err.Error())
		}
	}
	const most = 15
	logs := []string{d.log("controller"), d.log("webhook")}
	if d.facts.file != "" {
		logs = append(logs, d.facts.file)
	}
	for _, file := range logs {
		content, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			continue // it was not started
		}
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		if len(lines) > most {
			lines = lines[len(lines)-most:]
		}
		d.heading("The end of " + file)
		d.output(strings.Join(lines, "\n"))
	}
}

// until polls done and says how long it took.
func (d *demo) until(ctx context.Context, limit time.Duration, done func(context.Context) (bool, error)) (time.Duration, error) {
	began := d.clock.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := d.clock.NewTicker(pollPause)
	defer tick.Stop()
	for {
		ok, err := done(ctx)
		if err != nil || ok {
			return d.clock.Since(began), err
		}
		select {
		case <-ctx.Done():
			return d.clock.Since(began), fmt.Errorf("not within %s: %w", limit, ctx.Err())
		case <-tick.C():
		}
	}
}
