// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	readers    = 64
	coldTokens = 50 // a reader's
	thinking   = 2 * time.Millisecond
)

// idp is an authorization server over TLS that thinks for a moment about each token.
type idp struct {
	*httptest.Server

	ca    *env.CA
	calls atomic.Int64
}

func newIDP(b *testing.B) *idp {
	b.Helper()
	p := certificates(b)
	s := &idp{ca: p.ca}
	body, err := json.Marshal(goodFacts().Claims)
	if err != nil {
		b.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(thinking)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*p.serving}, MinVersion: tls.VersionTLS13}
	s.StartTLS()
	b.Cleanup(s.Close)
	return s
}

func (s *idp) engine(b *testing.B) *engine.Engine {
	b.Helper()
	e, err := engine.New(engine.Options{
		Clock: time.Now, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	state := setup{}.state(b)
	state.Servers[0].IntrospectionEndpoint = strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/introspect"
	state.Servers[0].CAPEM = s.ca.PEM()
	e.Load(state)
	return e
}

// BenchmarkOneColdToken counts the calls upstream when 64 callers want one cold token.
func BenchmarkOneColdToken(b *testing.B) {
	s := newIDP(b)
	e := s.engine(b)
	round := 0
	for b.Loop() {
		round++
		before := s.calls.Load()
		raw := accessToken(fmt.Sprintf("one-%d", round))
		at64(func(int) {
			if err := decide(e, raw); err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(float64(s.calls.Load()-before), "calls")
	}
}

// BenchmarkColdTokens compares 64 concurrent readers of distinct cold tokens, over TLS,
// with a bare client whose pool is tuned. ratio is of their rates.
func BenchmarkColdTokens(b *testing.B) {
	s := newIDP(b)
	e := s.engine(b)
	client := s.bareClient(b)
	round := 0
	distinct := func(ask func(raw string) error) func(*testing.B) measured {
		return func(b *testing.B) measured {
			b.Helper()
			round++
			raws := make([]string, readers*coldTokens)
			for i := range raws {
				raws[i] = accessToken(fmt.Sprintf("%d-%d", round, i))
			}
			start, cpu := time.Now(), cpuTime(b)
			at64(func(reader int) {
				for i := range coldTokens {
					if err := ask(raws[reader*coldTokens+i]); err != nil {
						b.Error(err)
					}
				}
			})
			return measured{wall: time.Since(start), cpu: cpuTime(b) - cpu}
		}
	}
	ours := distinct(func(raw string) error { return decide(e, raw) })
	bare := distinct(func(raw string) error { return s.askBare(client, raw) })
	for b.Loop() {
		compare(b, ours, bare, readers*coldTokens).report(b)
	}
}

func at64(work func(reader int)) {
	var group sync.WaitGroup
	for i := range readers {
		group.Go(func() { work(i) })
	}
	group.Wait()
}

// decide fails unless the token is let in.
func decide(e *engine.Engine, raw string) error {
	d, err := e.Decide(context.Background(), token.Request{
		Surface: token.SurfaceForwardAuth, Policy: token.Ref{Namespace: "shop", Name: "orders"}, Token: token.New(raw),
		HTTP: &token.HTTPRequest{Method: http.MethodGet, Headers: token.HTTPHeaders{}},
	})
	if err == nil && d.Verdict != token.Allow {
		err = fmt.Errorf("refused: %s", d.Reason)
	}
	return err
}

func (s *idp) bareClient(b *testing.B) *http.Client {
	b.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS13},
		MaxIdleConns:    2 * readers, MaxIdleConnsPerHost: 2 * readers,
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

// askBare does what any client must: sends the form, reads and decodes the answer.
func (s *idp) askBare(client *http.Client, raw string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/introspect",
		strings.NewReader(url.Values{"token": {raw}}.Encode()))
	if err != nil {
		return err
	}
	req.SetBasicAuth(facadeID, "s")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var claims map[string]json.RawMessage
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&claims); err != nil {
		return err
	}
	if string(claims["active"]) != "true" {
		return fmt.Errorf("answered %v", claims)
	}
	return nil
}
