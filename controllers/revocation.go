// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// revocationInterval is how often a server with a canary is probed.
	revocationInterval = 10 * time.Minute
	// revocationBound is how long a revoked token is asked about, and revocationPause the longest
	// pause between two questions.
	revocationBound, revocationPause = 30 * time.Second, 2 * time.Second
)

// Why a revocation could not be measured: the values of the metric's label.
const (
	probeUnsupported = "unsupported"
	probeNoToken     = "no_token"
	probeInactive    = "inactive_before"
	probeNoAnswer    = "no_answer"
	probeRefused     = "refused"
	probeStillActive = "still_active"
)

// revocationProbe measures how long a revocation (RFC 7009) takes until introspection tells it,
// at each server with a canary. It runs with the leader, since it is added as a plain Runnable.
type revocationProbe struct {
	clients *clientReconciler
	bound   time.Duration
}

// Start probes until the context ends, and not at once: a process that has just begun has more to do.
func (p *revocationProbe) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(jitter(revocationInterval)):
			p.round(ctx)
		}
	}
}

// round probes each server once.
func (p *revocationProbe) round(ctx context.Context) {
	servers, objects := &v1alpha1.ClusterAuthorizationServerList{}, &v1alpha1.IntrospectionClientList{}
	if p.clients.List(ctx, servers, client.UnsafeDisableDeepCopy) != nil || p.clients.List(ctx, objects, client.UnsafeDisableDeepCopy) != nil {
		return // the next round comes
	}
	for i := range servers.Items {
		server := servers.Items[i].DeepCopy()
		ready := apimeta.IsStatusConditionTrue(server.Status.Conditions, v1alpha1.ConditionReady)
		asking := provenClient(objects, server.Name)
		if server.Spec.Canary == nil || !ready || !server.DeletionTimestamp.IsZero() || asking == nil {
			continue
		}
		p.probe(ctx, server, asking.DeepCopy())
	}
}

// provenClient is a client whose introspections are known to call the canary's tokens active.
func provenClient(objects *v1alpha1.IntrospectionClientList, server string) *v1alpha1.IntrospectionClient {
	for i := range objects.Items {
		o := &objects.Items[i]
		verified := apimeta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionVerified)
		if o.Spec.AuthorizationServerRef.Name == server && o.DeletionTimestamp.IsZero() && verified != nil &&
			verified.Status == "True" && verified.Reason == v1alpha1.ReasonMappingProven {
			return o
		}
	}
	return nil
}

// probe measures one server, and counts why it could not.
func (p *revocationProbe) probe(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer, asking *v1alpha1.IntrospectionClient) {
	s := &clientScope{clientReconciler: p.clients, object: asking, server: server}
	var err error
	if s.record, err = p.clients.store.LoadRecord(ctx, s.id()); err != nil || s.record == nil || !s.record.InUse().Known() {
		return
	}
	if s.session, err = p.clients.sessions.lookup(ctx, server); err != nil || s.session.canary == nil {
		return
	}
	took, failed := s.revocation(ctx, s.record.InUse(), p.bound)
	switch {
	case ctx.Err() != nil:
	case failed != "":
		p.clients.metrics.revocationFailures.WithLabelValues(server.Name, failed).Inc()
	default:
		p.clients.metrics.revocations.WithLabelValues(server.Name).Observe(took.Seconds())
	}
}

// revocation gets a live token, revokes it, and asks until it is inactive: how long that took, or
// why nobody knows.
func (s *clientScope) revocation(ctx context.Context, as credential.Value, bound time.Duration) (took time.Duration, failed string) {
	c := s.session.canary
	if c.broken != nil {
		return 0, probeNoToken
	}
	if !c.Revokes() {
		return 0, probeUnsupported
	}
	live, err := c.token(ctx, wishFor(s.server, s.object))
	if err != nil {
		return 0, probeNoToken
	}
	about := token.New(live.Reveal())
	switch facts, err := s.factsOf(ctx, as, about); {
	case err != nil:
		return 0, probeNoAnswer
	case !facts.Active:
		return 0, probeInactive
	}
	begun := s.clock.Now()
	if err := c.Revoke(ctx, live); err != nil {
		return 0, probeRefused
	}
	failed = s.untilInactive(ctx, as, about, begun.Add(bound))
	took = s.clock.Since(begun)
	if form := strings.Count(live.Reveal(), "."); failed == probeStillActive && ctx.Err() == nil {
		s.sessions.learnRevocation(s.server, s.session, form == 2, provider.RevocationNever)
	} else if failed == "" && took < revocationPause {
		s.sessions.learnRevocation(s.server, s.session, form == 2, provider.RevocationImmediate)
	}
	return took, failed
}

// untilInactive asks about a revoked token, ever more slowly, until it is inactive or the time is over.
func (s *clientScope) untilInactive(ctx context.Context, as credential.Value, about token.Token, end time.Time) (failed string) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, revocationPause) {
		switch facts, err := s.factsOf(ctx, as, about); {
		case err != nil:
			failed = probeNoAnswer
		case !facts.Active:
			return ""
		default:
			failed = probeStillActive
		}
		if !s.clock.Now().Add(pause).Before(end) {
			return failed
		}
		select {
		case <-ctx.Done():
			return probeNoAnswer
		case <-time.After(pause):
		}
	}
}

// learnRevocation keeps what a server has shown, and has its status follow.
func (s *sessions) learnRevocation(server *v1alpha1.ClusterAuthorizationServer, open *session, jwt bool, shown provider.Revocation) {
	of := &open.opaqueRevocation
	if jwt {
		of = &open.jwtRevocation
	}
	if was, _ := of.Swap(shown).(provider.Revocation); was != shown {
		s.look(server)
	}
}

// shownRevocations puts what a session has seen in the place of what is not known of such servers.
func (s *session) shownRevocations(can *provider.Capabilities) {
	if shown, ok := s.opaqueRevocation.Load().(provider.Revocation); ok && can.OpaqueRevocation == provider.RevocationUnknown {
		can.OpaqueRevocation = shown
	}
	if shown, ok := s.jwtRevocation.Load().(provider.Revocation); ok && can.JWTRevocation == provider.RevocationUnknown {
		can.JWTRevocation = shown
	}
}
