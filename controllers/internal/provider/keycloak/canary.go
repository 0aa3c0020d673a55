// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// canaryMark is the attribute of a client scope that names the canary it is lent to, or about to be.
const canaryMark = "introspection.dev/canary"

func (sc *scope) canary() string { return sc.Attributes[canaryMark] }

// lend writes the canary beside the intent, where there is one or was one.
func (sc *scope) lend(found *scope, to *provider.CanaryLoan) {
	was := ""
	if found != nil {
		was = found.canary()
	}
	switch {
	case to == nil && was != "":
		sc.Attributes[canaryMark] = was
	case to != nil && (to.ClientID != "" || was != ""):
		sc.Attributes[canaryMark] = to.ClientID
	}
}

// takeBack detaches the scope from a canary that is none any more. It goes before the mark is
// changed, as the intent does: who crashes in between finds it again.
func (s *Server) takeBack(ctx context.Context, found *scope, audience provider.Audience, caller provider.Caller) error {
	was := found.canary()
	if was == "" || audience.Canary == nil || was == audience.Canary.ClientID || slices.Contains(audience.TokenClients, was) {
		return nil
	}
	at, err := s.tokenClient(ctx, was)
	if kind, _ := provider.KindOf(err); err != nil && kind == provider.KindTokenClientNotFound {
		return nil // and the loan went with it
	}
	if err != nil || !slices.Contains(at.OptionalScopes, found.Name) && !slices.Contains(at.DefaultScopes, found.Name) {
		return err
	}
	return s.detach(ctx, at, found.ID, caller)
}

// lendTo attaches the scope to the canary as optional: no token of it carries the audience
// unless it is asked for. A canary that is a token client has it already, and one that does not
// exist shows when it signs in.
func (s *Server) lendTo(ctx context.Context, found *scope, audience provider.Audience, caller provider.Caller) error {
	to := audience.Canary.ClientID
	if to == "" || slices.Contains(audience.TokenClients, to) {
		return nil
	}
	leave, err := s.enter(ctx, to)
	if err != nil {
		return err
	}
	defer leave()
	at, err := s.tokenClient(ctx, to)
	if kind, _ := provider.KindOf(err); err != nil && kind == provider.KindTokenClientNotFound {
		return nil
	}
	if err != nil || slices.Contains(at.OptionalScopes, found.Name) || slices.Contains(at.DefaultScopes, found.Name) {
		return err
	}
	return s.putScope(ctx, caller, s.call("lend client scope to the canary", http.MethodPut, clientPath(at.ID)+"/optional-client-scopes/"+url.PathEscape(found.ID)))
}
