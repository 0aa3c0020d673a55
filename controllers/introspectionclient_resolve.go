// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// maxClientID is the longest client id: servers take 255, and their answer to
// more is trouble of their own (Keycloak: 500).
const maxClientID = 100

// resolve finds the server and what it grants this namespace, and makes of both
// what is desired.
func (s *clientScope) resolve(ctx context.Context) (outcome, error) {
	name := s.object.Spec.AuthorizationServerRef.Name
	if err := s.findServer(ctx); err != nil {
		return outcome{}, err
	}
	if s.server == nil {
		// It may follow: objects are applied in any order, and Stalled would end a GitOps tool's wait.
		return outcome{}, worldMustChange(time.Minute, v1alpha1.ReasonServerNotFound, "There is no ClusterAuthorizationServer %s; the client waits for it. `kubectl get casrv` lists those there are; the reference is immutable, so correct it in a new object.", name)
	}
	if err := s.resolveAccess(ctx); err != nil {
		return outcome{}, s.withheldBy(ctx, err)
	}
	if err := s.resolveServer(ctx); err != nil {
		return outcome{}, err
	}
	return outcome{}, s.resolveDesired()
}

// findServer reads the server that the object names; nil if there is none.
func (s *clientScope) findServer(ctx context.Context) error {
	server := &v1alpha1.ClusterAuthorizationServer{}
	err := s.Get(ctx, types.NamespacedName{Name: s.object.Spec.AuthorizationServerRef.Name}, server)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading the server: %w", err)
	}
	s.server = server
	return nil
}

// resolveAccess asks whether this namespace may use the server at all.
func (s *clientScope) resolveAccess(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	if err := s.Get(ctx, types.NamespacedName{Name: s.object.Namespace}, namespace); err != nil {
		return fmt.Errorf("reading the namespace: %w", err)
	}
	if !namespace.DeletionTimestamp.IsZero() {
		return worldMustChange(time.Minute, v1alpha1.ReasonNamespaceTerminating, "The namespace is being deleted; nothing is created in it.")
	}
	selector, err := accessSelector(s.server)
	if err != nil {
		return err
	}
	if selector.Matches(labels.Set(namespace.Labels)) {
		return nil
	}
	if s.server.Spec.Access == nil {
		return userMustAct(v1alpha1.ReasonAccessDenied, "ClusterAuthorizationServer %s has no spec.access, so no namespace may use it. The platform team grants access there.", s.server.Name)
	}
	return userMustAct(v1alpha1.ReasonAccessDenied, "Namespace %s may not use ClusterAuthorizationServer %s: its labels do not match spec.access.namespaceSelector (%s). The platform team labels the namespace or widens the selector.",
		s.object.Namespace, s.server.Name, selector)
}

// resolveServer waits for the server and takes its session.
func (s *clientScope) resolveServer(ctx context.Context) error {
	if !s.server.DeletionTimestamp.IsZero() {
		return othersFirst(time.Minute, v1alpha1.ReasonServerNotReady, "ClusterAuthorizationServer %s is being deleted.", s.server.Name)
	}
	ready := apimeta.FindStatusCondition(s.server.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || s.server.Status.Endpoints == nil {
		return othersFirst(30*time.Second, v1alpha1.ReasonServerNotReady, "ClusterAuthorizationServer %s was not looked at yet.", s.server.Name)
	}
	if ready.Status != "True" {
		return othersFirst(30*time.Second, v1alpha1.ReasonServerNotReady, "ClusterAuthorizationServer %s is not Ready (%s): %s", s.server.Name, ready.Reason, ready.Message)
	}
	if s.server.Status.Capabilities == nil || len(s.server.Status.Capabilities.AuthenticationMethods) == 0 {
		return othersFirst(30*time.Second, v1alpha1.ReasonServerNotReady, "What ClusterAuthorizationServer %s can do was not looked at yet.", s.server.Name)
	}
	s.can = s.sessions.dialect(s.server).Capabilities
	var err error
	s.session, err = s.sessions.lookup(ctx, s.server)
	return err
}

// resolveDesired makes the registration that is declared, within what the server grants.
func (s *clientScope) resolveDesired() error {
	spec := &s.object.Spec
	if spec.DeletionPolicy == v1alpha1.DeletionRetain && s.server.Spec.Access.Retain != v1alpha1.Allowed {
		return userMustAct(v1alpha1.ReasonRetainNotAllowed, "spec.deletionPolicy Retain is not allowed by spec.access.retain of ClusterAuthorizationServer %s. Use Delete, or have the platform team allow it.", s.server.Name)
	}
	if spec.AdoptionPolicy == v1alpha1.AdoptionUnowned && (choosesIDs(s.can) || isManual(s.server)) {
		return userMustAct(v1alpha1.ReasonAdoptionNotAllowed, "spec.adoptionPolicy Unowned is for servers where the operator chooses client ids: at ClusterAuthorizationServer %s there is nothing to take over. Leave it out.", s.server.Name)
	}
	if err := s.resolveMethod(); err != nil {
		return err
	}
	clientID, err := s.resolveClientID()
	if err != nil {
		return err
	}
	if err := s.resolveScopes(); err != nil {
		return err
	}
	s.desired = provider.Desired{
		Identity:    provider.Identity{ClientID: clientID, Owner: ownerMark(s.config.Instance, s.object.Namespace, s.object.Name)},
		DisplayName: spec.DisplayName,
		Scopes:      slices.Sorted(slices.Values(spec.Scopes)),
	}
	s.desired.Audience, s.audienceRefused = s.resolveAudience() // told when its turn comes
	return nil
}

// resolveMethod finds out whether clients can prove themselves so at this server.
func (s *clientScope) resolveMethod() error {
	existing, manually := s.object.Spec.ExistingSecretName != "", isManual(s.server)
	switch {
	case existing && !manually:
		return userMustAct(v1alpha1.ReasonExistingSecretNotAllowed, "spec.existingSecretName is for servers where nothing is registered, and the operator registers clients at ClusterAuthorizationServer %s. Leave it out, or use a server with registration Manual.", s.server.Name)
	case !existing && manually:
		return userMustAct(v1alpha1.ReasonExistingSecretNotFound, "ClusterAuthorizationServer %s has registration Manual: the operator makes no credentials there. Name the Secret that holds them in spec.existingSecretName.", s.server.Name)
	}
	method := string(s.object.Spec.Authentication.Method)
	known := s.server.Status.Capabilities.AuthenticationMethods
	if slices.Contains(known, method) {
		return nil
	}
	if method == string(provider.ServiceAccountJWT) && s.server.Spec.Keycloak != nil && !manually {
		return userMustAct(v1alpha1.ReasonMethodNotSupported, "spec.authentication.method ServiceAccountJWT needs spec.keycloak.serviceAccountIssuer on ClusterAuthorizationServer %s: the identity provider of the realm that trusts this cluster's ServiceAccounts. Use another method, or have the platform team name it.", s.server.Name)
	}
	return userMustAct(v1alpha1.ReasonMethodNotSupported, "ClusterAuthorizationServer %s can't have clients with spec.authentication.method %s; it can with %s (its status.capabilities.authenticationMethods).", s.server.Name, method, strings.Join(known, ", "))
}

// resolveClientID makes the client id; empty where it is not ours to choose.
func (s *clientScope) resolveClientID() (string, error) {
	clientID := s.object.Spec.ClientID
	switch {
	case isManual(s.server):
		return "", nil // it is in the Secret
	case choosesIDs(s.can) && clientID != "":
		return "", userMustAct(v1alpha1.ReasonClientIDNotAllowed, "ClusterAuthorizationServer %s chooses client ids itself (RFC 7591), so spec.clientID can't be had. It is immutable: leave it out in a new object.", s.server.Name)
	case choosesIDs(s.can):
		return "", nil
	case clientID == "":
		clientID = expand(s.server.Spec.ClientIDTemplate, s.object.Namespace, s.object.Name)
	}
	if len(clientID) > maxClientID {
		return "", userMustAct(v1alpha1.ReasonClientIDNotAllowed, "The client id %s is longer than %d characters. Set a shorter spec.clientID in a new object.", clientID, maxClientID)
	}
	if prefixes := s.grantedPrefixes(); !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(clientID, p) && clientID != p }) {
		return "", userMustAct(v1alpha1.ReasonClientIDNotAllowed, "The client id %s is not one that namespace %s may claim: it must begin with %s (spec.access.clientIDPrefixes of ClusterAuthorizationServer %s). clientID is immutable: correct it in a new object.",
			clientID, s.object.Namespace, strings.Join(prefixes, " or "), s.server.Name)
	}
	return clientID, nil
}

// resolveScopes bounds what a client may look into.
func (s *clientScope) resolveScopes() error {
	scopes := s.object.Spec.Scopes
	if len(scopes) > 0 && s.server.Spec.Keycloak != nil {
		return userMustAct(v1alpha1.ReasonScopeNotAllowed, "spec.scopes means nothing at a Keycloak, which asks for the audience and not for scopes. Leave it out; what a token must have is said by spec.require.scopes of the TokenPolicy.")
	}
	for _, scope := range scopes {
		if !slices.Contains(s.server.Spec.Access.Scopes, scope) {
			return userMustAct(v1alpha1.ReasonScopeNotAllowed, "Scope %s is not in spec.access.scopes of ClusterAuthorizationServer %s: whoever registers a scope may look into every token that has it. Leave it out, or have the platform team grant it.", scope, s.server.Name)
		}
	}
	return nil
}

// grantedPrefixes are what a client id of this namespace must begin with.
func (s *clientScope) grantedPrefixes() []string {
	granted := s.server.Spec.Access.ClientIDPrefixes
	if len(granted) == 0 {
		before, _, _ := strings.Cut(s.server.Spec.ClientIDTemplate, "{name}")
		granted = []string{before}
	}
	prefixes := make([]string, len(granted))
	for i, p := range granted {
		prefixes[i] = expand(p, s.object.Namespace, "")
	}
	return prefixes
}

// expand fills a template in one pass: what is filled in is not looked at again.
func expand(template, namespace, name string) string {
	return strings.NewReplacer("{namespace}", namespace, "{name}", name).Replace(template)
}

// ownerMark says whose a registration is. It holds no UID: a restore changes that.
func ownerMark(instance, namespace, name string) string {
	return instance + "/" + namespace + "/" + name
}

// resolveAudience says how tokens come to name this client, within what the server
// grants: by token clients at Keycloak, by a scope at Duende, and elsewhere not by us.
func (s *clientScope) resolveAudience() (provider.Audience, error) {
	audience, unmanaged := s.object.Spec.Audience, provider.Audience{Mode: provider.AudienceUnmanaged}
	switch {
	case audience.Mode == v1alpha1.AudienceUnmanaged:
		return unmanaged, nil
	case !slices.Contains(s.can.AudienceModes, provider.AudienceMode(audience.Mode)):
		return unmanaged, nil // mapAudience says so
	case !slices.Contains(s.server.Spec.Access.Audience.Modes, audience.Mode):
		return unmanaged, userMustAct(v1alpha1.ReasonAudienceModeNotAllowed, "spec.audience.mode %s is not allowed by spec.access.audience.modes of ClusterAuthorizationServer %s.", audience.Mode, s.server.Name)
	case audience.Mode == v1alpha1.AudienceOnRequest && s.server.Spec.Duende != nil && !provider.IsResource(s.desired.ClientID):
		return unmanaged, userMustAct(v1alpha1.ReasonAudienceNotRequestable, "Nobody could ask for %s with resource=: that must be a URI (RFC 8707). Use spec.audience.mode Default, or a spec.clientID that is a URI, in a new object.", s.desired.ClientID)
	case s.server.Spec.Keycloak == nil:
		return provider.Audience{Mode: provider.AudienceMode(audience.Mode)}, s.resolveScopesNamed()
	}
	clients := audience.TokenClients
	if len(clients) == 0 {
		clients = s.server.Spec.Keycloak.TokenClients
	}
	if len(clients) == 0 {
		return unmanaged, userMustAct(v1alpha1.ReasonNoTokenClients, "No token client is named: introspection would answer inactive for every token. Set spec.keycloak.tokenClients on ClusterAuthorizationServer %s.", s.server.Name)
	}
	for _, c := range clients {
		if !slices.Contains(s.server.Spec.Keycloak.TokenClients, c) {
			return unmanaged, userMustAct(v1alpha1.ReasonTokenClientNotAllowed, "Token client %q is not in spec.keycloak.tokenClients of ClusterAuthorizationServer %s, the list beyond which nothing is mapped. Name one of it, or have the platform team add this one.", c, s.server.Name)
		}
	}
	return provider.Audience{
		Mode: provider.AudienceMode(audience.Mode), TokenClients: clients, MaxPerTokenClient: int(s.server.Spec.Access.Audience.MaxPerTokenClient),
	}, nil
}

// resolveScopesNamed is the other half of an audience where the server asks for a scope.
func (s *clientScope) resolveScopesNamed() error {
	if len(s.object.Spec.Scopes) > 0 || s.can.ScopeCheck != provider.CheckEnforced {
		return nil
	}
	return userMustAct(v1alpha1.ReasonNoScopes, "No scope is named: the server would answer inactive for every token. Set spec.scopes to scopes of this API that spec.access.scopes of ClusterAuthorizationServer %s grants.", s.server.Name)
}
