// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// proofInterval is how long a proof is good while nothing changed: it costs a token and a question.
	proofInterval = time.Hour
	// unprovenPause is when a mapping that was not proven is looked at again.
	unprovenPause = time.Minute
)

// What came of a proof: the values of the metric's label. Unmanaged is inactive too, where the
// audience is not the operator's to map.
const (
	proofProven      = "proven"
	proofUnproven    = "unproven"
	proofUnmanaged   = "unmanaged"
	proofUnavailable = "unavailable"
	proofNoAnswer    = "no_answer"
)

// proofs remembers, in a session, which clients' mappings were proven. The zero value is ready.
type proofs struct {
	mu   sync.Mutex
	good map[credential.Object]proofEntry
}

// proofEntry is what was proven, and how long that is good.
type proofEntry struct {
	of    string
	until time.Time
}

func (p *proofs) forget(o credential.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.good, o)
}

func (p *proofs) keep(o credential.Object, e proofEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.good == nil {
		p.good = map[credential.Object]proofEntry{}
	}
	p.good[o] = e
}

func (p *proofs) of(o credential.Object) (proofEntry, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.good[o]
	return e, ok
}

// provable names what a proof is about: this object as declared, with this credential.
func (s *clientScope) provable() string {
	return fmt.Sprint(s.object.UID, " ", s.object.Generation, " ", s.record.RegistrationID, " ", s.record.ClientID, " ", s.record.InUse().Fingerprint())
}

// proofDue says whether the mapping is to be proven at this look.
func (s *clientScope) proofDue() bool {
	proven, known := s.session.proofs.of(s.id())
	return !known || proven.of != s.provable() || !s.clock.Now().Before(proven.until)
}

// recall takes over what the status says of a proof of an earlier process, so that a restart does
// not prove all clients again at once.
func (s *clientScope) recall() {
	if _, known := s.session.proofs.of(s.id()); known || !s.record.InUse().Known() {
		return
	}
	verified := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionVerified)
	if verified == nil || verified.Status != metav1.ConditionTrue || verified.Reason != v1alpha1.ReasonMappingProven || verified.ObservedGeneration != s.object.Generation {
		return
	}
	rest := time.Duration(rand.Int64N(int64(proofInterval))) //nolint:gosec // spreading load needs no secrecy
	s.session.proofs.keep(s.id(), proofEntry{s.provable(), s.clock.Now().Add(rest)})
}

// canaryNews says that a look has to be live for the canary's sake: a proof is due, or there is no
// canary any more and what it was lent is to be taken back.
func (s *clientScope) canaryNews() bool {
	if s.session.canary != nil {
		s.recall()
		return s.proofDue()
	}
	verified := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionVerified)
	return verified != nil && slices.Contains([]string{v1alpha1.ReasonMappingProven, v1alpha1.ReasonMappingUnproven, v1alpha1.ReasonCanaryUnavailable}, verified.Reason)
}

// loan is what the mapping lends to the canary: nil where it can't be said which client that is.
func (s *clientScope) loan() *provider.CanaryLoan {
	c := s.session.canary
	switch {
	case s.server.Spec.Keycloak == nil:
		return nil
	case c == nil:
		return &provider.CanaryLoan{}
	case c.broken != nil: // its Secret may be back in a moment
		return nil
	}
	s.recall()
	return &provider.CanaryLoan{ClientID: c.ClientID(), Due: s.proofDue()}
}

// wishFor is what the canary asks for to get a token that this client may look into.
func wishFor(server *v1alpha1.ClusterAuthorizationServer, object *v1alpha1.IntrospectionClient) provider.CanaryWish {
	if server.Spec.Keycloak != nil {
		return provider.CanaryWish{Scope: object.Status.AudienceScope}
	}
	wish := provider.CanaryWish{Resource: object.Status.AudienceResource}
	if scopes := object.Spec.Scopes; len(scopes) > 0 {
		wish.Scope = slices.Min(scopes)
	}
	return wish
}

// proveMapping has the canary get a live token, and asks the server about it as this client:
// active proves the mapping. A canary that gets none is the platform's trouble, and no client's.
func (s *clientScope) proveMapping(ctx context.Context, as credential.Value, answered string) (outcome, error) {
	if s.session.canary == nil {
		return outcome{v1alpha1.ReasonSucceeded, answered}, nil
	}
	s.recall()
	proven := outcome{v1alpha1.ReasonMappingProven, answered + " It called a live token of the canary active."}
	if !s.proofDue() {
		return proven, nil
	}
	s.session.proofs.forget(s.id())
	wish := wishFor(s.server, s.object)
	live, err := s.session.canary.token(ctx, wish)
	if kind, said := provider.KindOf(err); said && kind == provider.KindInvalid && wish.Scope == s.object.Status.AudienceScope && wish.Scope != "" {
		return s.unproven("The server refuses the canary a token with scope=%s, which was lent to it.", wish.Scope)
	}
	if err != nil {
		return s.noCanary(answered, "gets no token"+askedWith(wish)), nil //nolint:nilerr // the platform's trouble, told in the condition, and no client's
	}
	facts, err := s.factsOf(ctx, as, token.New(live.Reveal()))
	switch {
	case errors.Is(err, introspect.ErrUnsupportedToken):
		return s.noCanary(answered, "gets tokens of a form that the server does not introspect"), nil
	case err != nil:
		s.metrics.proofMade(s.server.Name, proofNoAnswer)
		return outcome{}, tryAgain(v1alpha1.ReasonServerError, err, "The server gave no answer about a token of the canary: %v. It is asked again.", err)
	case facts.Active:
		s.metrics.proofMade(s.server.Name, proofProven)
		s.session.proofs.keep(s.id(), proofEntry{s.provable(), s.clock.Now().Add(jitter(proofInterval))})
		return proven, nil
	case s.desired.Audience.Mode == provider.AudienceUnmanaged:
		s.metrics.proofMade(s.server.Name, proofUnmanaged)
		return outcome{v1alpha1.ReasonMappingUnproven, answered + " A live token of the canary is inactive for this client: whether tokens name it in aud is not the operator's business here. Have the canary's tokens name it at the server, to prove that too."}, nil
	}
	return s.unproven("A live token of the canary%s is inactive for this client.", askedWith(wish))
}

// unproven says that tokens which should be good for this client are not.
func (s *clientScope) unproven(format string, args ...any) (outcome, error) {
	evidence := fmt.Sprintf(format, args...)
	if s.settling() {
		return outcome{}, worldMustChange(s.untilSettled(1), v1alpha1.ReasonPropagating, "%s Not every part of the server may know the mapping before %s. It is asked again.", evidence, s.record.SettledAt.UTC().Format(time.RFC3339))
	}
	s.metrics.proofMade(s.server.Name, proofUnproven)
	pause := propagationPause
	if was := apimeta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionVerified); was != nil && was.Reason == v1alpha1.ReasonMappingUnproven {
		pause = unprovenPause
	}
	where := "at the server that this client may look into tokens of its scopes"
	if scope := s.object.Status.AudienceScope; scope != "" {
		where = "at client scope " + scope + " of the realm, its audience mapper, and whether a client policy or another mapper changes aud"
	}
	return outcome{}, worldMustChange(pause, v1alpha1.ReasonMappingUnproven, "%s Callers' tokens would be refused. Look %s; what the operator made is put right, and the canary asks again.", evidence, where)
}

// noCanary says that the credential works, and nothing more could be proven.
func (s *clientScope) noCanary(answered, why string) outcome {
	s.metrics.proofMade(s.server.Name, proofUnavailable)
	return outcome{v1alpha1.ReasonCanaryUnavailable, fmt.Sprintf("%s That tokens name this client is unproven: the canary %s. The platform team sees to it: ClusterAuthorizationServer %s, spec.canary and condition CanaryAvailable.", answered, why, s.server.Name)}
}

// askedWith says with what a token was asked for.
func askedWith(wish provider.CanaryWish) string {
	with := ""
	if wish.Scope != "" {
		with = ", asked for with scope=" + wish.Scope
	}
	if wish.Resource != "" {
		with += ", asked for with resource=" + wish.Resource
	}
	return with
}
