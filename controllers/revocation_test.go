// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// probed runs one round of the probe, and returns what it counted: the measurements, and the
// reasons why there are none.
func (w *world) probed() (measured uint64, failures []string, p *revocationProbe) {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	metrics, err := newControlMetrics(registry)
	if err != nil {
		w.t.Fatal(err)
	}
	w.config.Registerer = prometheus.NewRegistry()
	p = &revocationProbe{clients: &clientReconciler{
		Client: w.kube, config: w.config, store: w.store(), metrics: metrics, clock: w.config.Clock,
		sessions: newSessions(w.kube, w.config, newMint(w.kube, w.config.Clock)),
	}}
	p.round(w.t.Context())
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "introspection_controller_revocation_seconds":
				measured += m.GetHistogram().GetSampleCount()
			case "introspection_controller_revocation_failures_total":
				for _, l := range m.GetLabel() {
					if l.GetName() == "reason" {
						failures = append(failures, l.GetValue())
					}
				}
			}
		}
	}
	return measured, failures, p
}

func TestTheProbeMeasuresARevocation(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		fault  *fault.Fault
		want   string
	}{
		"revoked":         {"the next introspection tells it", nil, ""},
		"not carried out": {"the server says so, and the token lives on", &fault.Fault{Match: fault.Matching(http.MethodPost, "/revoke"), Undone: true, Status: http.StatusOK}, probeStillActive},
		"refused":         {"the canary may not revoke", &fault.Fault{Match: fault.Matching(http.MethodPost, "/revoke"), Undone: true, Status: http.StatusForbidden}, probeRefused},
		"no token": {"the canary's sign-in is slow to death", &fault.Fault{Match: func(c fault.Call) bool {
			return strings.HasSuffix(c.Path, "/token") && strings.Contains(c.Body, "introspection%3A")
		}, Drop: true}, probeNoToken},
		"no answer": {"nobody can tell is not inactive", &fault.Fault{Match: fault.Matching(http.MethodPost, "/token/introspect"), Status: http.StatusServiceUnavailable}, probeNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(w.keycloakCanary())
			stop := w.start(nil)
			c := w.clientObject("orders")
			w.create(c)
			w.ready(c)
			stop()
			if tc.fault != nil {
				w.idp.Inject(*tc.fault)
			}
			measured, failures, _ := w.probed()
			if got := strings.Join(failures, ","); got != tc.want || (measured == 1) != (tc.want == "") {
				t.Errorf("measured %d, failures %q, want %q: %s", measured, got, tc.want, tc.reason)
			}
		})
	}
}

// What the probe saw stands in the status of a server of which it was not known.
func TestTheProbeTeachesWhatRevocationDoes(t *testing.T) {
	w := newWorld(t)
	_, server := w.oauthServer(oauth.Options{Clients: []oauth.Client{{ID: "canary", Secret: "canary-secret", Scopes: []string{ordersScope}}}})
	w.withCanary("canary", "canary-secret")(server)
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	w.eventually("the canary has proven the client", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil || server.Status.Capabilities == nil {
			return errors.Join(err, errors.New("no capabilities"))
		}
		return nil
	})
	measured, failures, p := w.probed()
	if measured != 1 || len(failures) != 0 {
		t.Fatalf("measured %d, failures %v", measured, failures)
	}
	open, err := p.clients.sessions.lookup(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	can := provider.Capabilities{OpaqueRevocation: provider.RevocationUnknown, JWTRevocation: provider.RevocationUnknown}
	open.shownRevocations(&can)
	if can.OpaqueRevocation != provider.RevocationImmediate || can.JWTRevocation != provider.RevocationUnknown {
		t.Errorf("it has seen %+v", can)
	}
	if looks := len(p.clients.sessions.learned); looks != 1 {
		t.Errorf("the server is looked at %d times because of it", looks)
	}
}
