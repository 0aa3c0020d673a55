// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
)

// policyReconciler reports on TokenPolicies. The webhook compiles them itself:
// nothing of a policy's meaning goes through a status.
type policyReconciler struct {
	client.Client

	config   Config
	statuses *statusWriter
}

// policyScope is one reconciliation of a policy.
type policyScope struct {
	*policyReconciler

	object   *v1alpha1.TokenPolicy
	compiled *policy.Policy
}

// Reconcile reports on one policy.
func (r *policyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.TokenPolicy{}
	if err := r.Get(ctx, req.NamespacedName, object); err != nil {
		return ctrl.Result{}, r.statuses.forget(req.NamespacedName, err)
	}
	if !object.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	newest(r.statuses, object, &object.Status)
	before := object.Status.DeepCopy()
	s := &policyScope{policyReconciler: r, object: object}
	result, err := status{conditions: &object.Status.Conditions, generation: object.Generation}.run(
		ctx, 0,
		phase{v1alpha1.ConditionCompiled, s.compile},
		phase{v1alpha1.ConditionClientsReady, s.findClients},
	)
	object.Status.ObservedGeneration = object.Generation
	if err := r.statuses.apply(ctx, object, before, &object.Status); err != nil {
		return ctrl.Result{}, err
	}
	return result, err
}

// compile finds out whether the policy has a meaning.
func (s *policyScope) compile(context.Context) (outcome, error) {
	s.object.Status.Endpoints = endpointsOf(s.config, s.object)
	var err error
	if s.compiled, err = compileAll(s.object); err != nil {
		s.object.Status.Revocation = nil
		return outcome{}, userMustAct(v1alpha1.ReasonInvalidPolicy, "The policy does not compile, and its endpoints answer 503: %v", err)
	}
	return outcome{v1alpha1.ReasonSucceeded, "The policy compiles."}, nil
}

// compileAll compiles a policy and its expressions: the webhook does the latter later.
func compileAll(object *v1alpha1.TokenPolicy) (compiled *policy.Policy, err error) {
	defer contain(&err)
	if compiled, err = policy.Compile(object); err != nil {
		return nil, err
	}
	return compiled, compiled.Prepare()
}

// endpointsOf are where a policy is asked.
func endpointsOf(c Config, object *v1alpha1.TokenPolicy) *v1alpha1.PolicyEndpoints {
	endpoints := &v1alpha1.PolicyEndpoints{
		Introspection: introspectionURL(c, object.Namespace, object.Name),
		Authorize:     authorizeURL(c, object.Namespace, object.Name),
		ExtAuthz:      c.ExtAuthzAddress,
	}
	if object.Spec.Surfaces.TokenReview != nil && c.TokenReviewURL != "" {
		endpoints.TokenReview = c.TokenReviewURL + "/tokenreview/" + object.Namespace + "/" + object.Name
	}
	return endpoints
}

// findClients looks at the clients that the policy asks by, and at their servers.
func (s *policyScope) findClients(ctx context.Context) (outcome, error) {
	s.object.Status.Revocation = nil // until every server is known
	accepted, err := s.accepted(ctx)
	if err != nil {
		return outcome{}, err
	}
	s.object.Status.Revocation = revocationOf(s.compiled, accepted)
	if err := fit(accepted); err != nil {
		return outcome{}, err
	}
	for _, a := range accepted {
		for _, needed := range []string{v1alpha1.ConditionVerified, v1alpha1.ConditionPublished} {
			if !apimeta.IsStatusConditionTrue(a.client.Status.Conditions, needed) {
				return outcome{}, worldMustChange(time.Minute, v1alpha1.ReasonClientNotReady,
					"IntrospectionClient %s is not %s yet: until it is, its server's tokens are answered 503. `kubectl describe ic %s` says why.", a.client.Name, needed, a.client.Name)
			}
		}
	}
	return outcome{v1alpha1.ReasonSucceeded, "The clients are verified and published."}, nil
}

// accepted are the clients that the policy names, with their servers.
func (s *policyScope) accepted(ctx context.Context) ([]acceptedClient, error) {
	var found []acceptedClient
	for _, entry := range s.compiled.Entries() {
		c := &v1alpha1.IntrospectionClient{}
		err := s.Get(ctx, types.NamespacedName{Namespace: s.object.Namespace, Name: entry.Client}, c)
		if apierrors.IsNotFound(err) {
			return nil, worldMustChange(stalledPause, v1alpha1.ReasonClientNotFound,
				"There is no IntrospectionClient %s in this namespace: until there is, its server's tokens are answered 503. Create it, or correct spec.accept.", entry.Client)
		}
		if err != nil {
			return nil, fmt.Errorf("reading IntrospectionClient %s: %w", entry.Client, err)
		}
		if r := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionRegistered); r != nil && r.Reason == v1alpha1.ReasonAccessDenied {
			return nil, worldMustChange(stalledPause, v1alpha1.ReasonAccessDenied, "IntrospectionClient %s: %s", entry.Client, r.Message)
		}
		server := &v1alpha1.ClusterAuthorizationServer{}
		err = s.Get(ctx, types.NamespacedName{Name: c.Spec.AuthorizationServerRef.Name}, server)
		if apierrors.IsNotFound(err) { // the client says it better
			return nil, worldMustChange(time.Minute, v1alpha1.ReasonClientNotReady,
				"The server of IntrospectionClient %s does not exist: until it does, its tokens are answered 503. `kubectl describe ic %s` says more.", entry.Client, entry.Client)
		}
		if err != nil {
			return nil, fmt.Errorf("reading ClusterAuthorizationServer %s: %w", c.Spec.AuthorizationServerRef.Name, err)
		}
		if err := s.audienceNamed(c, server); err != nil {
			return nil, err
		}
		found = append(found, acceptedClient{entry: entry, client: c, server: server})
	}
	return found, nil
}

// audienceNamed says when a policy must name its audience: where the client's id is not
// ours to choose, tokens are unlikely to name it.
func (s *policyScope) audienceNamed(c *v1alpha1.IntrospectionClient, server *v1alpha1.ClusterAuthorizationServer) error {
	if s.object.Spec.Require.Audiences != nil || (server.Spec.OAuth == nil && !isManual(server)) {
		return nil
	}
	return userMustAct(v1alpha1.ReasonAudienceRequired,
		"spec.require.audiences must say what aud of a token names: the client id of IntrospectionClient %s is chosen by its server, or by whoever registered it, and until then every token is refused. Set spec.require.audiences.anyOf.", c.Name)
}

// acceptedClient is an entry of a policy with what it rests on.
type acceptedClient struct {
	entry  policy.Entry
	client *v1alpha1.IntrospectionClient
	server *v1alpha1.ClusterAuthorizationServer
}

// hasKeys says that the server publishes the keys that it signs with.
func (a *acceptedClient) hasKeys() bool {
	return a.server.Status.Endpoints != nil && a.server.Status.Endpoints.JWKS != ""
}

// introspectsNoJWT says that the server is known to answer about no JWT.
func (a *acceptedClient) introspectsNoJWT() bool {
	can := a.server.Status.Capabilities
	return can != nil && can.TokenForms.JWT == string(provider.Unsupported)
}

// fit says what a policy asks of a server that this server can't do: nobody would ever be let in.
func fit(accepted []acceptedClient) error {
	of := map[string]string{}
	for i := range accepted {
		a := &accepted[i]
		name, issuer := a.client.Name, a.server.Spec.Issuer
		if other, ok := of[issuer]; ok {
			return userMustAct(v1alpha1.ReasonDuplicateIssuer,
				"IntrospectionClients %s and %s are of one issuer, %s: a token's iss does not tell which of them to ask by. Leave one out of spec.accept.", other, name, issuer)
		}
		of[issuer] = name
		needsKeys := a.entry.Mode == policy.ModeLocal || a.entry.Mode == policy.ModeLocalThenIntrospect
		if needsKeys && a.server.Status.Endpoints != nil && !a.hasKeys() {
			return userMustAct(v1alpha1.ReasonNoKeys,
				"The server of IntrospectionClient %s publishes no keys (its metadata has no jwks_uri), so no signature can be verified, and its tokens are answered 503. In the entry of spec.accept, set validation Introspect.", name)
		}
		if a.introspectsNoJWT() && a.entry.Mode != policy.ModeLocal && !a.entry.Opaque {
			return userMustAct(v1alpha1.ReasonUnsupportedTokenForm,
				"The server of IntrospectionClient %s introspects no JWT, and so each is refused with unsupported_token. In the entry of spec.accept, set validation: Local, which asks nobody: a revoked token is then good until its exp. Or let clients get opaque tokens, and set opaque: Accepted.", name)
		}
	}
	return nil
}

// revocationOf is how long a revoked token may be let in, as the policy and its servers have it.
func revocationOf(compiled *policy.Policy, accepted []acceptedClient) []v1alpha1.RevocationBound {
	named := make(map[string]*acceptedClient, len(accepted))
	for i := range accepted {
		named[accepted[i].client.Name] = &accepted[i]
	}
	var bounds []v1alpha1.RevocationBound
	for _, r := range compiled.Revocation(func(client string) bool { return named[client] != nil && named[client].hasKeys() }) {
		bound := withServers(r, accepted)
		bounds = append(bounds, v1alpha1.RevocationBound{Surface: r.Surface, TokenForm: r.TokenForm, Bound: bound[:min(len(bound), maxBound)]})
	}
	return bounds
}

// maxBound is the schema's.
const maxBound = 255

// withServers is a policy's bound as its servers have it: where one calls no token inactive
// before its end, it makes no difference how often it is asked.
func withServers(r policy.Revocation, accepted []acceptedClient) string {
	var never []string
	taking := 0
	for i := range accepted {
		a := &accepted[i]
		if r.TokenForm == formOpaque && !a.entry.Opaque {
			continue
		}
		taking++
		if a.revokes(r.TokenForm) == string(provider.RevocationNever) {
			never = append(never, a.client.Name)
		}
	}
	switch {
	case len(never) == 0 || strings.HasPrefix(r.Bound, "exp"):
		return r.Bound
	case len(never) == taking:
		return "exp: the server calls no such token inactive before"
	default:
		return "exp at the server of " + strings.Join(never, ", ") + "; elsewhere " + r.Bound
	}
}

// formOpaque is the form of a token that is no JWT, in policy.Revocation.
const formOpaque = "Opaque"

// revokes says when a revoked token of that form is inactive at the server.
func (a *acceptedClient) revokes(form string) string {
	switch can := a.server.Status.Capabilities; {
	case can == nil:
		return ""
	case form == formOpaque:
		return can.Revocation.Opaque
	default:
		return can.Revocation.JWT
	}
}
