// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	operatorBinary = "../../bin/introspection-operator"
	operatorStart  = 2 * time.Minute
	// ticksPerSecond is USER_HZ, in which Linux counts a process's time.
	ticksPerSecond = 100
)

// operator is the real process of the control plane.
type operator struct {
	cmd     *exec.Cmd
	done    chan error
	metrics string
	log     string
}

// startOperator runs the binary that make build made, for the plane of a fleet.
func (f *fleet) startOperator(b *testing.B, args ...string) *operator {
	b.Helper()
	dir := b.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := f.plane.WriteKubeconfig(kubeconfig, f.plane.Config()); err != nil {
		b.Fatal(err)
	}
	o := &operator{metrics: freeAddress(b), log: filepath.Join(dir, "log"), done: make(chan error, 1)}
	out, err := os.Create(o.log)
	if err != nil {
		b.Fatal(err)
	}
	o.cmd = exec.Command(operatorBinary, append([]string{ //nolint:noctx // it ends with stop
		"controller", "--kubeconfig=" + kubeconfig, "--allow-insecure-loopback", "--leader-elect=false",
		"--metrics-bind-address=" + o.metrics, "--health-probe-bind-address=0", "--instance=bench",
	}, args...)...)
	o.cmd.Stdout, o.cmd.Stderr = out, out
	if err := o.cmd.Start(); err != nil {
		b.Fatalf("%v (make build makes it)", err)
	}
	go func() { o.done <- errors.Join(o.cmd.Wait(), out.Close()) }()
	b.Cleanup(func() { o.stop(b) })
	for limit := time.Now().Add(operatorStart); ; time.Sleep(50 * time.Millisecond) {
		if _, err := o.scrape(); err == nil {
			return o
		}
		if time.Now().After(limit) {
			b.Fatal("the operator shows no metrics")
		}
	}
}

func freeAddress(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens for no time at all
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// stop ends it, once.
func (o *operator) stop(b *testing.B) {
	b.Helper()
	if o.cmd == nil {
		return
	}
	if err := o.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		b.Error(err)
	}
	select {
	case <-o.done:
	case <-time.After(time.Minute):
		b.Error(errors.Join(errors.New("it did not end"), o.cmd.Process.Kill()))
	}
	o.cmd = nil
}

func (o *operator) scrape() ([]byte, error) {
	resp, err := http.Get("http://" + o.metrics + "/metrics") //nolint:noctx // of a process on this machine
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// metric sums the samples of a metric whose labels have all of these parts.
func (o *operator) metric(b *testing.B, name string, labels ...string) float64 {
	b.Helper()
	body, err := o.scrape()
	if err != nil {
		b.Fatal(err)
	}
	sum := 0.0
next:
	for line := range strings.Lines(string(body)) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue next
			}
		}
		fields := strings.Fields(rest)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			b.Fatalf("%q: %v", line, err)
		}
		sum += value
	}
	return sum
}

// looks is how often clients were looked at.
func (o *operator) looks(b *testing.B) float64 {
	b.Helper()
	return o.metric(b, "controller_runtime_reconcile_total", `controller="introspectionclient"`)
}

// kubeWrites is how often it wrote to the API server.
func (o *operator) kubeWrites(b *testing.B) float64 {
	b.Helper()
	sum := 0.0
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		sum += o.metric(b, "rest_client_requests_total", fmt.Sprintf("method=%q", method))
	}
	return sum
}

// quiet waits until at least so many looks were made and nobody waits for one.
func (o *operator) quiet(b *testing.B, looks int) {
	b.Helper()
	for limit := time.Now().Add(fleetPatience); ; time.Sleep(100 * time.Millisecond) {
		busy := o.metric(b, "workqueue_depth") + o.metric(b, "controller_runtime_active_workers")
		if o.looks(b) >= float64(looks) && busy == 0 {
			return
		}
		if time.Now().After(limit) {
			b.Fatalf("after %.0f looks %.0f objects wait", o.looks(b), busy)
		}
	}
}

// cpu is the processor time that the process has used.
func (o *operator) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat := o.proc(b, "stat")
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name may hold anything
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// memory is a line of proc(5)'s status, in MiB: VmRSS now, VmHWM at most.
func (o *operator) memory(b *testing.B, line string) float64 {
	b.Helper()
	for l := range strings.Lines(string(o.proc(b, "status"))) {
		if fields := strings.Fields(l); len(fields) == 3 && fields[0] == line+":" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatalf("there is no %s: this benchmark is for Linux", line)
	return 0
}

func (o *operator) proc(b *testing.B, file string) []byte {
	b.Helper()
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(o.cmd.Process.Pid), file))
	if err != nil {
		b.Fatal(err)
	}
	return content
}
