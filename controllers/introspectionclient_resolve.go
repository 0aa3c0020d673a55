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
	s.server = &v1alpha1.ClusterAuthorizationServer{}
	if err := s.Get(ctx, types.NamespacedName{Name: name}, s.server); err != nil {
		if apierrors.IsNotFound(err) {
			return outcome{}, userMustAct(v1alpha1.ReasonServerNotFound, "There is no ClusterAuthorizationServer %s. `kubectl get casrv` lists those there are; the reference is immutable, so correct it in a new object.", name)
		}
		return outcome{}, fmt.Errorf("reading the server: %w", err)
	}
	if err := s.resolveAccess(ctx); err != nil {
		return outcome{}, err
	}
	if err := s.resolveServer(ctx); err != nil {
		return outcome{}, err
	}
	return outcome{}, s.resolveDesired()
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
	var err error
	s.session, err = s.sessions.lookup(ctx, s.server)
	return err
}

// resolveDesired makes the registration as it should be, within what is granted.
func (s *clientScope) resolveDesired() error {
	spec := &s.object.Spec
	clientID := spec.ClientID
	if clientID == "" {
		clientID = expand(s.server.Spec.ClientIDTemplate, s.object.Namespace, s.object.Name)
	}
	if len(clientID) > maxClientID {
		return userMustAct(v1alpha1.ReasonClientIDNotAllowed, "The client id %s is longer than %d characters. Set a shorter spec.clientID in a new object.", clientID, maxClientID)
	}
	if prefixes := s.grantedPrefixes(); !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(clientID, p) && clientID != p }) {
		return userMustAct(v1alpha1.ReasonClientIDNotAllowed, "The client id %s is not one that namespace %s may claim: it must begin with %s (spec.access.clientIDPrefixes of ClusterAuthorizationServer %s). clientID is immutable: correct it in a new object.",
			clientID, s.object.Namespace, strings.Join(prefixes, " or "), s.server.Name)
	}
	if spec.DeletionPolicy == v1alpha1.DeletionRetain && s.server.Spec.Access.Retain != v1alpha1.Allowed {
		return userMustAct(v1alpha1.ReasonRetainNotAllowed, "spec.deletionPolicy Retain is not allowed by spec.access.retain of ClusterAuthorizationServer %s. Use Delete, or have the platform team allow it.", s.server.Name)
	}
	s.desired = provider.Desired{
		Identity:    provider.Identity{ClientID: clientID, Owner: ownerMark(s.config.Instance, s.object.Namespace, s.object.Name)},
		DisplayName: spec.DisplayName,
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

// resolveAudience makes the mapping as it should be, within what the server allows.
func (s *clientScope) resolveAudience() (provider.Audience, error) {
	audience := s.object.Spec.Audience
	access := s.server.Spec.Access.Audience
	if audience.Mode == v1alpha1.AudienceUnmanaged {
		return provider.Audience{Mode: provider.AudienceUnmanaged}, nil
	}
	if !slices.Contains(access.Modes, audience.Mode) {
		return provider.Audience{}, userMustAct(v1alpha1.ReasonAudienceModeNotAllowed, "spec.audience.mode %s is not allowed by spec.access.audience.modes of ClusterAuthorizationServer %s.", audience.Mode, s.server.Name)
	}
	clients := audience.TokenClients
	if len(clients) == 0 {
		clients = s.server.Spec.Keycloak.TokenClients
	}
	if len(clients) == 0 {
		return provider.Audience{}, userMustAct(v1alpha1.ReasonNoTokenClients, "No token client is named: introspection would answer inactive for every token. Set spec.keycloak.tokenClients on ClusterAuthorizationServer %s.", s.server.Name)
	}
	for _, c := range clients {
		if !slices.Contains(s.server.Spec.Keycloak.TokenClients, c) {
			return provider.Audience{}, userMustAct(v1alpha1.ReasonTokenClientNotAllowed, "Token client %q is not in spec.keycloak.tokenClients of ClusterAuthorizationServer %s, the list beyond which nothing is mapped. Name one of it, or have the platform team add this one.", c, s.server.Name)
		}
	}
	return provider.Audience{
		Mode: provider.AudienceMode(audience.Mode), TokenClients: clients, MaxPerTokenClient: int(access.MaxPerTokenClient),
	}, nil
}
