// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// canary is a server's, as its Secret was when the session was opened.
type canary struct {
	*provider.Canary

	fingerprint string
	// broken is why there is none that could sign in.
	broken error
}

// canaryLimits bound what canaries add to the load of a server, beside the limits of its object.
func canaryLimits() provider.Limits {
	return provider.Limits{RequestsPerSecond: 20, Burst: 20, MaxInFlight: 4}
}

// canary reads the canary of a server; nil without spec.canary. A Secret that can't be used is
// no error: the platform's fault must not stop the registration of clients.
func (s *sessions) canary(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer, conn *connection, metadata provider.Metadata) (*canary, error) {
	if server.Spec.Canary == nil {
		return nil, nil //nolint:nilnil // none is no error
	}
	signIn, err := s.clientCredentials(ctx, server.Spec.Issuer, server.Spec.Canary.SecretName)
	if h := (*halt)(nil); errors.As(err, &h) && h.verdict == act {
		return &canary{broken: err, fingerprint: "broken"}, nil
	}
	if err != nil {
		return nil, err
	}
	made, err := provider.NewCanary(provider.Config{
		Issuer: server.Spec.Issuer, Metadata: metadata, SignIn: signIn.SignIn, HTTPClient: conn.http, Clock: s.clock.Now, Limits: canaryLimits(),
	})
	if err != nil {
		return &canary{broken: fmt.Errorf("the canary can't sign in: %w", err), fingerprint: "broken"}, nil
	}
	return &canary{Canary: made, fingerprint: signIn.fingerprint}, nil
}

// fingerprintOf tells canaries apart.
func (c *canary) fingerprintOf() string {
	if c == nil {
		return ""
	}
	return c.fingerprint
}

// token gets a token.
func (c *canary) token(ctx context.Context, wish provider.CanaryWish) (provider.Secret, error) {
	if c.broken != nil {
		return "", c.broken
	}
	return c.Token(ctx, wish)
}

// lookAtCanary says whether the canary can get a token. It gates nothing: the canary is the
// platform's to repair, and clients work without it.
func (s *serverScope) lookAtCanary(ctx context.Context) {
	if s.object.Spec.Canary == nil {
		apimeta.RemoveStatusCondition(&s.object.Status.Conditions, v1alpha1.ConditionCanaryAvailable)
		return
	}
	if !apimeta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionReady) {
		return // what is wrong with the server is said already
	}
	opened, err := s.sessions.lookup(ctx, s.object)
	if err != nil || opened.canary == nil {
		return // looked at again with the server
	}
	_, err = opened.canary.token(ctx, provider.CanaryWish{})
	kind, said := provider.KindOf(err)
	if err == nil || said && kind == provider.KindInvalid { // it signed in, and may ask for nothing without a name
		s.status().set(v1alpha1.ConditionCanaryAvailable, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "The canary signed in at the token endpoint.")
		return
	}
	s.status().set(v1alpha1.ConditionCanaryAvailable, metav1.ConditionFalse, v1alpha1.ReasonCanaryUnavailable, fmt.Sprintf(
		"The canary gets no token, so that clients are Verified by their credential only: %v. Put right Secret %s/%s or the client that it is for at the server: it must be confidential, with the client credentials grant.",
		err, s.sessions.namespace, s.object.Spec.Canary.SecretName))
}
