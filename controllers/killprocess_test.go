// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// The binary that make build makes.
const operatorBinary = "../bin/introspection-operator"

// gate is between a process and all that it calls, and is where it is killed from.
type gate struct {
	k    *killer
	next http.Handler
}

// dies says that a call is the last, and ends the process: what the call asked for may still be done.
func (g *gate) dies(r *http.Request) (dead, last bool) {
	if g.k == nil {
		return false, false
	}
	dead, last = g.k.count(r)
	if last {
		g.k.end()
		close(g.k.killed)
	}
	return dead, last
}

// ServeHTTP stands before the API server.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := r.Clone(r.Context())
	seen.URL.Host = hostOf(plane.Config())
	dead, last := g.dies(seen)
	if !dead && !last {
		g.next.ServeHTTP(w, r)
		return
	}
	if last && g.k.after {
		g.next.ServeHTTP(httptest.NewRecorder(), r.Clone(context.WithoutCancel(r.Context())))
	}
	panic(http.ErrAbortHandler)
}

// fault stands before the authorization server.
func (g *gate) fault() fault.Fault {
	return fault.Fault{Drop: true, Undone: g.k == nil || !g.k.after, Match: func(c fault.Call) bool {
		dead, last := g.dies(&http.Request{Method: c.Method, URL: &url.URL{Host: c.Host, Path: c.Path}})
		return dead || last
	}}
}

func hostOf(config *rest.Config) string {
	u, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		panic(err)
	}
	return u.Host
}

// process runs the real one, which SIGKILL ends at a killer's point.
func (s *site) process(k *killer) (stop func()) {
	t := s.t
	t.Helper()
	transport, err := rest.TransportFor(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	upstream := &url.URL{Scheme: "https", Host: hostOf(plane.Config())}
	g := &gate{k: k, next: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}}
	front := httptest.NewServer(g)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(kubeconfig, &rest.Config{Host: front.URL}); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Clean(kubeconfig + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(operatorBinary, "controller", "--kubeconfig="+kubeconfig, "--allow-insecure-loopback", "--leader-elect=false", //nolint:noctx // it ends with stop
		"--namespace="+s.config.SystemNamespace, "--webhook-namespace="+s.config.WebhookNamespace, "--instance="+s.config.Instance,
		"--webhook-url="+s.config.WebhookURL, "--authorize-url="+s.config.AuthorizeURL, "--drift-interval=1h",
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	cmd.Stdout, cmd.Stderr = out, out
	open := func() {}
	if k != nil {
		k.end = func() { _ = cmd.Process.Kill() }
		open = s.inject(g.fault())
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (make build makes it)", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Kill()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("it outlives SIGKILL")
		}
		open()
		front.CloseClientConnections()
		front.Close()
		_ = out.Close()
	}
	t.Cleanup(stop)
	return stop
}

// The real process, ended by SIGKILL at every second point: it begins again as the harness
// within one process says.
func TestTheProcessIsKilled(t *testing.T) {
	killed := 0
	for name, tc := range map[string]struct {
		at   func(*testing.T) *site
		path path
		dies string
	}{
		"keycloak/create":          {keycloakSite(nil), creation(), ""},
		"keycloak/rotate":          {keycloakSite(policed()), rotation(), ""},
		"duende/delete":            {duendeSite, deletion(), ""},
		"oauth/update, new secret": {oauthSite(oauth.Options{NewSecret: true}), renaming(), untilRead},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.at(t)
			s.begin, s.every = s.process, 2
			killed += s.walk(name, tc.path, tc.dies)
		})
	}
	if killed < 20 {
		t.Errorf("killed at %d points only", killed)
	}
}
