// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// publish takes the verified credential into use: in the record, then for the
// webhook, then in the Secret that workloads mount.
func (s *clientScope) publish(ctx context.Context) (outcome, error) {
	if s.object.Spec.Endpoint == v1alpha1.EndpointServer && s.settling() {
		return outcome{}, worldMustChange(s.untilSettled(1), v1alpha1.ReasonPropagating,
			"Not every part of the server knows the credential yet: it is published at %s.", s.record.SettledAt.UTC().Format(time.RFC3339))
	}
	if s.record.Next != nil && !s.record.Rotating() {
		s.record.Current, s.record.Next = s.record.Next, nil
	}
	if s.record.Current.ClientID != "" {
		s.record.ClientID = s.record.Current.ClientID
		s.object.Status.ClientID = s.record.ClientID
	}
	s.record.CallerID = cmp.Or(s.record.CallerID, s.record.ClientID)
	if err := s.store.SaveRecord(ctx, s.record); err != nil {
		return outcome{}, err
	}
	if err := s.store.SaveClient(ctx, s.record.Project()); err != nil {
		return outcome{}, err
	}
	if err := s.dropServiceAccount(ctx); err != nil {
		return outcome{}, err
	}
	mounted, value, err := s.mounted(ctx)
	if err != nil {
		return outcome{}, err
	}
	repaired, err := s.store.SaveMounted(ctx, mounted)
	if errors.Is(err, credential.ErrForeign) {
		return outcome{}, userMustAct(v1alpha1.ReasonSecretConflict, "Secret %s exists and is not this object's; it is left as it is. Delete it, or set spec.secret.name in a new object.", mounted.Name)
	}
	if err != nil {
		return outcome{}, err
	}
	if repaired && s.published(mounted.Name) {
		s.metrics.driftRepaired(s.server.Name, "secret")
		eventSecretWritten(s.events, s.object, mounted.Name)
	}
	issuedAt := metav1.NewTime(value.IssuedAt)
	s.object.Status.Binding = &v1alpha1.LocalReference{Name: mounted.Name}
	s.object.Status.Credential = &v1alpha1.ClientCredential{
		IssuedAt: &issuedAt, Method: v1alpha1.AuthenticationMethod(s.record.Current.Method()),
	}
	if !value.IsBrought() && !value.TakenIn { // a weak one could be guessed from it
		s.object.Status.Credential.Fingerprint = value.Fingerprint()
	}
	if expires := s.record.Current.ExpiresAt; !expires.IsZero() {
		at := metav1.NewTime(expires)
		s.object.Status.Credential.ExpiresAt = &at
	}
	return outcome{v1alpha1.ReasonSucceeded, fmt.Sprintf("Secret %s holds the credentials.", mounted.Name)}, nil
}

// published says that the Secret was there once: to make it is no repair before.
func (s *clientScope) published(name string) bool {
	binding := s.object.Status.Binding
	return binding != nil && binding.Name == name
}

// mounted is the Secret that workloads mount, and the secret value in it: with
// endpoint Webhook one that is good at our endpoint only, so that whoever steals
// it gets nothing from the server.
func (s *clientScope) mounted(ctx context.Context) (credential.MountedSecret, credential.Value, error) {
	spec, endpoints := s.object.Spec, s.server.Status.Endpoints
	content := credential.Mounted{
		Provider: settingsOf(s.server).Dialect, ClientID: s.record.ClientID, Issuer: s.server.Spec.Issuer,
		TokenEndpoint: endpoints.Token, JWKSURI: endpoints.JWKS,
	}
	value := *s.record.Current
	if spec.Endpoint == v1alpha1.EndpointServer {
		content.IntrospectionEndpoint, content.CA = endpoints.Introspection, string(s.session.ca)
	} else {
		value = s.record.Facade
		content.ClientID = s.record.CallerID
		content.IntrospectionEndpoint = introspectionURL(s.config, s.object.Namespace, policyName(s.object))
		content.AuthorizeURL = authorizeURL(s.config, s.object.Namespace, policyName(s.object))
		bundle, err := s.bundle(ctx)
		if err != nil {
			return credential.MountedSecret{}, value, err
		}
		if content.CA = string(bundle); content.CA == "" {
			return credential.MountedSecret{}, value, worldMustChange(2*time.Second, v1alpha1.ReasonProgressing, "The webhook's certificate authority is not made yet.")
		}
	}
	content.ClientSecret, content.PrivateKey, content.KeyID = value.Secret, value.PrivateKey, value.KeyID
	return credential.MountedSecret{
		Object: s.id(), Name: s.secretName(), Data: content.Data(s.shape()),
		OwnerReference: *metav1.NewControllerRef(s.object, v1alpha1.GroupVersion.WithKind("IntrospectionClient")),
		Labels:         stringMap(spec.Secret.Labels), Annotations: stringMap(spec.Secret.Annotations),
	}, value, nil
}

// shape is how the object wants the mounted Secret's keys.
func (s *clientScope) shape() credential.Shape {
	shape := credential.Shape{Keys: s.keys()}
	for _, format := range s.object.Spec.Secret.Formats {
		shape.Formats = append(shape.Formats, credential.Format(format))
	}
	return shape
}

// keys are those of the mounted Secret that the object renames.
func (s *clientScope) keys() credential.Keys {
	k := s.object.Spec.Secret.Keys
	if k == nil {
		return credential.Keys{}
	}
	return credential.Keys{
		ClientID: string(k.ClientID), ClientSecret: string(k.ClientSecret),
		PrivateKey: string(k.PrivateKey), KeyID: string(k.KeyID), Issuer: string(k.Issuer),
		IntrospectionEndpoint: string(k.IntrospectionEndpoint), CACertificate: string(k.CACertificate),
	}
}

// dropServiceAccount deletes the client's ServiceAccount when no credential is one any more.
func (s *clientScope) dropServiceAccount(ctx context.Context) error {
	if !s.record.ServiceAccount || s.record.Current.ServiceAccount != "" {
		return nil
	}
	if err := s.store.DeleteServiceAccount(ctx, s.id()); err != nil {
		return err
	}
	s.record.ServiceAccount = false
	return s.store.SaveRecord(ctx, s.record)
}

// stringMap takes the names off the values' types.
func stringMap[V ~string](m map[string]V) map[string]string {
	plain := make(map[string]string, len(m))
	for k, v := range m {
		plain[k] = string(v)
	}
	return plain
}

// introspectionURL is where a policy is asked over RFC 7662.
func introspectionURL(c Config, namespace, policy string) string {
	return c.WebhookURL + "/introspect/" + namespace + "/" + policy
}

// authorizeURL is where gateways ask a policy.
func authorizeURL(c Config, namespace, policy string) string {
	return c.AuthorizeURL + "/authorize/" + namespace + "/" + policy
}
