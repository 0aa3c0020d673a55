// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// bindPolicy tells whether the endpoint in the Secret has a policy to answer by.
// It gates nothing: a pipeline that applies clients before policies must not hang.
func (s *clientScope) bindPolicy(ctx context.Context) {
	value, reason, message := s.policyBound(ctx)
	s.status().set(v1alpha1.ConditionPolicyBound, value, reason, message)
}

func (s *clientScope) policyBound(ctx context.Context) (value metav1.ConditionStatus, reason, message string) {
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer {
		return metav1.ConditionTrue, v1alpha1.ReasonNoPolicyNeeded, "The Secret is for the server's own endpoint: no policy is checked there."
	}
	name := policyName(s.object)
	policy := &v1alpha1.TokenPolicy{}
	err := s.Get(ctx, types.NamespacedName{Namespace: s.object.Namespace, Name: name}, policy)
	switch {
	case apierrors.IsNotFound(err):
		return metav1.ConditionFalse, v1alpha1.ReasonPolicyNotFound, fmt.Sprintf("There is no TokenPolicy %s in this namespace: until there is, the endpoint in the Secret answers 503. Create it, or name another in spec.policyRef.", name)
	case err != nil:
		return metav1.ConditionUnknown, v1alpha1.ReasonInternalError, "The policy could not be read: " + err.Error()
	case !slices.ContainsFunc(policy.Spec.Accept, func(a v1alpha1.AcceptedServer) bool { return a.ClientRef.Name == s.object.Name }):
		return metav1.ConditionFalse, v1alpha1.ReasonPolicyNamesAnotherClient, fmt.Sprintf("TokenPolicy %s accepts tokens by %s, not by this one: it will not answer this client.", name, acceptedBy(policy))
	case !apimeta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionCompiled):
		return metav1.ConditionFalse, v1alpha1.ReasonPolicyNotCompiled, fmt.Sprintf("TokenPolicy %s has no meaning yet: see its condition Compiled.", name)
	}
	return metav1.ConditionTrue, v1alpha1.ReasonSucceeded, fmt.Sprintf("TokenPolicy %s answers at the endpoint in the Secret.", name)
}

// acceptedBy are the clients that a policy names.
func acceptedBy(policy *v1alpha1.TokenPolicy) string {
	names := make([]string, 0, len(policy.Spec.Accept))
	for _, a := range policy.Spec.Accept {
		names = append(names, a.ClientRef.Name)
	}
	return "IntrospectionClient " + strings.Join(names, ", ")
}
